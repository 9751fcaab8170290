package pages

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"

	"tunic/api/client"
	"tunic/chain"
)

const (
	// slashesCounted is how many of the newest the figures are of.
	slashesCounted = 1000
	// slashEpochs is how many epochs the chart shows.
	slashEpochs = 48
)

type slashesView struct {
	Items []client.Slash // newest first
	Total int64
	// Figures are of the newest offences, on the first page alone.
	Figures     *slashFigures
	First, Next string
	Later       bool
	// Challenges of storage receipts, on the first page alone: open, and lapsed as
	// long as their loss can be punished.
	Challenges []client.Challenge
	Challenged int64 // how many there are in all
}

// Partial says that there are more offences than the figures are of.
func (v slashesView) Partial() bool { return v.Total > slashesCounted }

// slashFigures sum offences up: in units, as the API writes amounts.
type slashFigures struct {
	Count                   int
	Slashed, Burned, Reward string
	Kinds                   []kindCount
	Chart                   template.HTML
}

type kindCount struct {
	Kind  string
	Basis string
	Count int
}

// slashes is the timeline of offences, newest first.
func (s *Site) slashes(r *http.Request) (view, error) {
	page, err := s.newestOffences(r.Context(), pageLimit, "", cursor(r))
	if err != nil {
		return view{}, err
	}
	status, err := s.chainStatus(r.Context())
	if err != nil {
		return view{}, err
	}
	d := slashesView{Items: page.Items, Total: page.Total, First: "/slashes", Next: next("/slashes", nil, page.NextCursor), Later: cursor(r) != nil}
	if !d.Later && d.Total > 0 {
		if d.Figures, err = s.slashFigures(r.Context(), status.Epoch); err != nil {
			return view{}, err
		}
	}
	if !d.Later {
		limit := pageLimit
		res, err := s.api.ListChallengesWithResponse(r.Context(), &client.ListChallengesParams{Limit: &limit})
		if err != nil {
			return view{}, err
		}
		open, err := read(res.JSON200, res.HTTPResponse, res.Body)
		if err != nil {
			return view{}, err
		}
		d.Challenges, d.Challenged = open.Items, open.Total
	}
	return view{Template: "slashes", Title: "Slashes", Nav: "/slashes", Live: "slash", status: status, Data: d}, nil
}

// newestOffences are of one node, or of all where node is empty.
func (s *Site) newestOffences(ctx context.Context, limit int, node string, cursor *string) (*client.SlashPage, error) {
	order := "-height"
	res, err := s.api.ListSlashesWithResponse(ctx, &client.ListSlashesParams{Limit: &limit, Order: &order, Node: ptr(node), Cursor: cursor})
	if err != nil {
		return nil, err
	}
	return read(res.JSON200, res.HTTPResponse, res.Body)
}

func (s *Site) slashFigures(ctx context.Context, epoch int64) (*slashFigures, error) {
	page, err := s.newestOffences(ctx, slashesCounted, "", nil)
	if err != nil {
		return nil, err
	}
	f := &slashFigures{Count: len(page.Items), Kinds: kindCounts(page.Items)}
	f.Slashed, f.Burned, f.Reward = sums(page.Items)
	f.Chart, err = slashChart(page.Items, epoch)
	return f, err
}

func kindCounts(all []client.Slash) (out []kindCount) {
	for _, x := range all {
		at := slices.IndexFunc(out, func(k kindCount) bool { return k.Kind == x.Kind })
		if at < 0 {
			at = len(out)
			out = append(out, kindCount{Kind: x.Kind, Basis: string(x.Basis)})
		}
		out[at].Count++
	}
	slices.SortStableFunc(out, func(a, b kindCount) int { return cmp.Compare(b.Count, a.Count) })
	return out
}

// sums are what all offences cost, settlements of correlation included.
func sums(all []client.Slash) (slashed, burned, reward string) {
	var s, b, w chain.Amount
	add := func(to *chain.Amount, text string) {
		x, _ := units(text)
		*to += x
	}
	for _, x := range all {
		add(&s, x.Slashed)
		add(&b, x.Burned)
		add(&w, x.Reward)
		if x.Correlation != nil && x.Correlation.Settled != nil {
			add(&s, x.Correlation.Settled.Slashed)
			add(&b, x.Correlation.Settled.Slashed) // all of it burns
		}
	}
	return inUnits(s), inUnits(b), inUnits(w)
}

// inUnits is an amount as the API writes it.
func inUnits(a chain.Amount) string { return fmt.Sprint(uint64(a)) }

// slashChart draws how many offences were punished in each of the last epochs.
func slashChart(all []client.Slash, now int64) (template.HTML, error) {
	if len(all) == 0 {
		return "", nil
	}
	for _, x := range all {
		now = max(now, x.Epoch) // what is signed for the next epoch can be an offence in this one
	}
	first := max(1, now-slashEpochs+1)
	proven, voted := series{Name: "proven"}, series{Name: "by vote"}
	c := chart{Name: "Offences by epoch"}
	for e := first; e <= now; e++ {
		c.Labels = append(c.Labels, fmt.Sprint(e))
	}
	proven.Values, voted.Values = make([]float64, len(c.Labels)), make([]float64, len(c.Labels))
	within := 0
	for _, x := range all {
		if x.Epoch < first || x.Epoch > now {
			continue
		}
		within++
		if x.Basis == client.Vote {
			voted.Values[x.Epoch-first]++
		} else {
			proven.Values[x.Epoch-first]++
		}
	}
	if within == 0 {
		return "", nil
	}
	c.Series = []series{proven, voted}
	c.Says = fmt.Sprintf("%s in epochs %d to %d", count(within, "offence"), first, now)
	return c.bars()
}
