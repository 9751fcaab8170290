package pages

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"slices"
	"strings"

	"tunic/api/client"
)

// nodeRecent bounds the transactions and slashes on a node's page.
const nodeRecent = 10

type nodeView struct {
	client.NodeDetail
	// Why and what to do; nil where the API does not say.
	Explained *client.NodeExplanation
	Parts     []part
	// Missing is the stake that is lacking, empty where none is.
	Missing string
	Squares squares
	Scores  template.HTML
	// Entry is the node's in the directory, nil where it is not listed.
	Entry  *client.DirectoryEntry
	Events []client.NodeEvent // newest first
	// Slashes are its offences, newest first.
	Slashes []client.Slash
	Recent  []client.TransactionItem
}

// StateWord is the node's state.
func (n nodeView) StateWord() string { return string(n.State) }

// SwarmWord is the node's swarm.
func (n nodeView) SwarmWord() string { return swarm(n.Swarm) }

// Rewarded says that the API tells what each account has earned here.
func (n nodeView) Rewarded() bool {
	return slices.ContainsFunc(n.Parts, func(p part) bool { return p.Reward != nil })
}

// Tone is the colour of what is said about the node's place in the directory.
func (n nodeView) Tone() string {
	switch {
	case n.Listed:
		return "good"
	case n.State == "tombstoned", n.State == "deregistered":
		return "bad"
	case n.State == "left", n.State == "unlocking":
		return ""
	}
	return "warn"
}

// part is one account's share of a bond, drawn as a piece of a bar that is 1000
// units long.
type part struct {
	client.Contribution
	Operator bool
	Permille int
	X, Width float64
	Shade    int // of the style sheet's, 1 to 6
}

// node is the page of one node.
func (s *Site) node(r *http.Request) (view, error) {
	ctx, id := r.Context(), r.PathValue("node")
	res, err := s.api.GetNodeWithResponse(ctx, id, nil)
	if err != nil {
		return view{}, err
	}
	n, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	d := nodeView{NodeDetail: *n, Parts: parts(n.Stake), Events: slices.Clone(n.History)}
	slices.Reverse(d.Events)
	if n.State == "registered" {
		d.Missing = lacking(n.Staked, n.Requirement)
	}
	if d.Explained, err = s.explained(ctx, id); err != nil {
		return view{}, err
	}
	past, err := s.nodePast(ctx, id)
	if err != nil {
		return view{}, err
	}
	d.Squares = squaresOf(past)
	if d.Scores, err = scoreChart(past); err != nil {
		return view{}, err
	}
	if d.Entry, err = s.nodeEntry(ctx, id); err != nil {
		return view{}, err
	}
	offences, err := s.newestOffences(ctx, nodeRecent, id, nil)
	if err != nil {
		return view{}, err
	}
	d.Slashes = offences.Items
	recent, err := s.listTransactions(ctx, &client.ListTransactionsParams{Node: &id, Limit: ptr(nodeRecent)})
	if err != nil {
		return view{}, err
	}
	d.Recent = recent.Items
	return view{Template: "node", Title: nodeTitle(id), Nav: "/nodes", Live: "node", LiveOf: id, Data: d}, nil
}

// explained asks why the node is listed or not.
func (s *Site) explained(ctx context.Context, id string) (*client.NodeExplanation, error) {
	res, err := s.api.ExplainNodeWithResponse(ctx, id)
	if err != nil {
		return nil, err
	}
	return known(read(res.JSON200, res.HTTPResponse, res.Body))
}

// nodePast asks for the last epochs, newest first.
func (s *Site) nodePast(ctx context.Context, id string) (*client.NodeEpochs, error) {
	res, err := s.api.ListNodeEpochsWithResponse(ctx, id)
	if err != nil {
		return nil, err
	}
	return known(read(res.JSON200, res.HTTPResponse, res.Body))
}

// nodeEntry asks for the node's entry in the present directory.
func (s *Site) nodeEntry(ctx context.Context, id string) (*client.DirectoryEntry, error) {
	res, err := s.api.GetDirectoryProofWithResponse(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	proof, err := known(read(res.JSON200, res.HTTPResponse, res.Body))
	if proof == nil || err != nil {
		return nil, err
	}
	return proof.Entry, nil
}

// parts are the shares of a bond, the operator's first and then the largest.
func parts(stake *client.Stake) (out []part) {
	if stake == nil {
		return nil
	}
	for _, c := range stake.Contributions {
		out = append(out, part{Contribution: c, Operator: c.Account == stake.Operator, Permille: permilleOf(c.Amount, stake.Total)})
	}
	slices.SortStableFunc(out, func(a, b part) int {
		if a.Operator != b.Operator {
			return cmp.Compare(b2i(b.Operator), b2i(a.Operator))
		}
		return cmp.Compare(b.Permille, a.Permille)
	})
	// The bar is as long as the requirement, so that it shows what is missing.
	x := 0.0
	for i := range out {
		out[i].X, out[i].Width = x, float64(permilleOf(out[i].Amount, longer(stake.Total, stake.Requirement)))
		out[i].Shade = i%6 + 1
		x += out[i].Width
	}
	return out
}

// longer is the larger of two amounts.
func longer(a, b string) string {
	x, _ := units(a)
	y, _ := units(b)
	if y > x {
		return b
	}
	return a
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// scoreChart draws the scores that quorums gave, and what the lists said.
func scoreChart(past *client.NodeEpochs) (template.HTML, error) {
	if past == nil {
		return "", nil
	}
	score, performance := series{Name: "by votes"}, series{Name: "in the list"}
	c := chart{Name: "Scores by epoch", Most: 1000, Write: func(v float64) string { return fmt.Sprintf("%.0f %%", v/10) }}
	last := math.NaN()
	for _, e := range slices.Backward(past.Items[:min(len(past.Items), squaresMost)]) {
		c.Labels = append(c.Labels, fmt.Sprint(e.Epoch))
		score.Values = append(score.Values, permilleValue(e.Score))
		performance.Values = append(performance.Values, permilleValue(e.Performance))
		if e.Score != nil {
			last = float64(*e.Score)
		}
	}
	c.Says = "no votes yet"
	if !math.IsNaN(last) {
		c.Says = fmt.Sprintf("the last score is %.1f %% of the best", last/10)
	}
	c.Series = []series{score, performance}
	return c.lines()
}

func permilleValue(v *int) float64 {
	if v == nil {
		return math.NaN()
	}
	return float64(*v)
}

// squaresMost is how many epochs the squares show.
const squaresMost = 64

// squares are the last epochs of a node, oldest first.
type squares struct {
	Items []square
	// Rows are the same as a table, newest first.
	Rows []client.NodeEpoch
	// Says sums them up in a sentence.
	Says string
}

// square is one epoch. The mark differs with the class, so that nothing depends
// on the colour.
type square struct {
	Epoch              int64
	Class, Mark, Title string
}

// squaresOf sums up what a node did in its last epochs.
func squaresOf(past *client.NodeEpochs) (out squares) {
	if past == nil || len(past.Items) == 0 {
		return out
	}
	out.Rows = past.Items[:min(len(past.Items), squaresMost)]
	listed, beats := 0, 0
	for _, e := range slices.Backward(out.Rows) {
		out.Items = append(out.Items, squareOf(e))
		listed += b2i(e.Listed)
		beats += b2i(e.Heartbeats > 0)
	}
	out.Says = fmt.Sprintf("Of the last %s it was listed in %d and sent heartbeats in %d.", count(len(out.Rows), "epoch"), listed, beats)
	return out
}

func squareOf(e client.NodeEpoch) square {
	sq := square{Epoch: e.Epoch}
	var says []string
	unfit, votes := deref(e.Unfit), deref(e.Votes)
	switch {
	case e.Removed:
		sq.Class, sq.Mark = "bad", "×"
		says = append(says, "removed from the list")
	case !e.Listed:
		sq.Class, sq.Mark = "out", "–"
		says = append(says, "not listed")
	case unfit > 0:
		sq.Class, sq.Mark = "weak", "!"
		says = append(says, "listed")
	default:
		sq.Class = "ok"
		says = append(says, "listed")
	}
	says = append(says, count(e.Heartbeats, "heartbeat"))
	if votes > 0 {
		says = append(says, fmt.Sprintf("%d of %s unfit", unfit, count(votes, "vote")))
	}
	if e.Reasons != nil && len(*e.Reasons) > 0 {
		says = append(says, "for "+strings.Join(*e.Reasons, ", "))
	}
	if e.Score != nil {
		says = append(says, "score "+permille(*e.Score))
	}
	if e.From != nil && e.To != nil {
		says = append(says, fmt.Sprintf("from %s to %s", *e.From, *e.To))
	}
	sq.Title = fmt.Sprintf("epoch %d: %s", e.Epoch, strings.Join(says, ", "))
	return sq
}
