package pages

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"

	"tunic/api/client"
)

// quorumsMost is how many quorums an epoch's page shows.
const quorumsMost = 200

type epochsView struct {
	Items       []client.EpochSummary
	Total       int64
	Chart       template.HTML
	First, Next string
	Later       bool
}

// epochs are the last epochs, newest first.
func (s *Site) epochs(r *http.Request) (view, error) {
	res, err := s.api.ListEpochsWithResponse(r.Context(), &client.ListEpochsParams{Limit: &pageLimit, Cursor: cursor(r)})
	if err != nil {
		return view{}, err
	}
	d := epochsView{First: "/epochs", Later: r.URL.Query().Get("cursor") != ""}
	page, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	d.Items, d.Total, d.Next = page.Items, page.Total, next("/epochs", nil, page.NextCursor)
	if d.Chart, err = epochChart(page.Items); err != nil {
		return view{}, err
	}
	return view{Template: "epochs", Title: "Epochs", Nav: "/epochs", Live: "epoch", Data: d}, nil
}

// epochChart draws what stood in the blocks of epochs, given newest first; empty
// where none of them is remembered.
func epochChart(items []client.EpochSummary) (template.HTML, error) {
	tx, votes := series{Name: "transactions"}, series{Name: "votes"}
	c := chart{Name: "By epoch"}
	most := 0
	for _, e := range slices.Backward(items) {
		if e.Transactions == nil && e.Votes == nil {
			continue
		}
		c.Labels = append(c.Labels, fmt.Sprint(e.Epoch))
		tx.Values = append(tx.Values, float64(deref(e.Transactions)))
		votes.Values = append(votes.Values, float64(deref(e.Votes)))
		most = max(most, deref(e.Transactions))
	}
	c.Series = []series{tx, votes}
	c.Says = fmt.Sprintf("%s, at most %s in one", count(len(c.Labels), "epoch"), count(most, "transaction"))
	return c.bars()
}

type epochView struct {
	client.EpochDetail
	Before, After int64 // other epochs to go to; 0: none
	Latest        int64
	Rows          []judgedRow // those found unfit by somebody first
	Quorums       []quorumRow
	QuorumTotal   int64
}

// judgedRow is what the votes on one node say.
type judgedRow struct {
	client.Judgement
	Fit, Unfit int
	Reasons    []string // that stand in any of them
}

// quorumRow is a quorum; Outside: its subject is not in the epoch's list.
type quorumRow struct {
	client.Quorum
	Outside bool
}

// Blocks is how many the epoch has so far.
func (e epochView) Blocks() int64 { return e.LastHeight - e.FirstHeight + 1 }

// ContributedIDs are who contributed to the beacon.
func (e epochView) ContributedIDs() []string { return deref(e.Contributed) }

// UnfitCount is how many somebody found unfit.
func (e epochView) UnfitCount() (n int) {
	for _, r := range e.Rows {
		n += b2i(r.Unfit > 0)
	}
	return n
}

// epoch is the page of one epoch.
func (s *Site) epoch(r *http.Request) (view, error) {
	ctx, name := r.Context(), r.PathValue("epoch")
	res, err := s.api.GetEpochWithResponse(ctx, name)
	if err != nil {
		return view{}, err
	}
	e, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	status, err := s.chainStatus(r.Context())
	if err != nil {
		return view{}, err
	}
	d := epochView{EpochDetail: *e, Latest: status.Epoch, Before: max(0, e.Epoch-1), Rows: judgedRows(e.Judged)}
	if e.Epoch < status.Epoch {
		d.After = e.Epoch + 1
	}
	if d.Quorums, d.QuorumTotal, err = s.quorums(ctx, fmt.Sprint(e.Epoch)); err != nil {
		return view{}, err
	}
	v := view{Template: "epoch", Title: fmt.Sprintf("Epoch %d", e.Epoch), Nav: "/epochs", status: status, Data: d}
	if e.Running {
		v.Live = "epoch"
	}
	return v, nil
}

func (s *Site) quorums(ctx context.Context, epoch string) (rows []quorumRow, total int64, err error) {
	limit := quorumsMost
	res, err := s.api.ListQuorumsWithResponse(ctx, epoch, &client.ListQuorumsParams{Limit: &limit})
	if err != nil {
		return nil, 0, err
	}
	page, err := known(read(res.JSON200, res.HTTPResponse, res.Body))
	if page == nil || err != nil {
		return nil, 0, err
	}
	for _, q := range page.Items {
		rows = append(rows, quorumRow{q, q.Listed != nil && !*q.Listed})
	}
	return rows, page.Total, nil
}

// judgedRows count the votes on each node; those on whom somebody voted unfit
// come first.
func judgedRows(all []client.Judgement) (out []judgedRow) {
	for _, j := range all {
		row := judgedRow{Judgement: j}
		for _, v := range j.Votes {
			if len(v.Reasons) == 0 {
				row.Fit++
				continue
			}
			row.Unfit++
			for _, why := range v.Reasons {
				if !slices.Contains(row.Reasons, string(why)) {
					row.Reasons = append(row.Reasons, string(why))
				}
			}
		}
		slices.Sort(row.Reasons)
		out = append(out, row)
	}
	slices.SortStableFunc(out, func(a, b judgedRow) int { return b.Unfit - a.Unfit })
	return out
}
