package pages

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"tunic/api/client"
)

// feedRows is how many rows the live feed begins with; the script keeps at most
// 30.
const feedRows = 12

// newestBlockRows and newestTxRows are how many of the newest are shown; the
// script keeps as many.
const (
	newestBlockRows = 11
	newestTxRows    = 8
)

// states are those of a node's life, in the order in which they are shown.
var states = []client.NodeState{client.Active, client.Registered, client.Decommissioned, client.Unlocking, client.Deregistered, client.Tombstoned, client.Left}

// stateCount is how many nodes are in a state; X and Width are its part of the
// bar, of barWidth.
type stateCount struct {
	State    client.NodeState
	N        int
	X, Width float64
	Tone     string
}

const barWidth = 1000

// feedItem is a row of the live feed: one of its members is set.
type feedItem struct {
	TimeMs int64
	Height int64
	Epoch  *client.EpochSummary
	Tx     *client.TransactionItem
	Slash  *client.Slash
}

// overview sums the network up.
func (s *Site) overview(r *http.Request) (view, error) {
	ctx := r.Context()
	status, err := s.chainStatus(ctx)
	if err != nil {
		return view{}, err
	}
	blocks, err := s.newestBlocks(ctx, newestBlockRows)
	if err != nil {
		return view{}, err
	}
	txs, err := s.listTransactions(ctx, &client.ListTransactionsParams{Kind: ptr("signed"), Limit: ptr(newestTxRows)})
	if err != nil {
		return view{}, err
	}
	rewards, err := s.rewards(ctx)
	if err != nil {
		return view{}, err
	}
	slashes, err := s.newestOffences(ctx, feedRows/2, "", nil)
	if err != nil {
		return view{}, err
	}
	epochs, err := s.newestEpochs(ctx, feedRows/2)
	if err != nil {
		return view{}, err
	}
	rules, err := s.inForce(ctx)
	if err != nil {
		return view{}, err
	}
	epochMs, _ := rules.Params["epoch_length_ms"].(float64)
	all := 0
	for _, n := range status.Nodes {
		all += n
	}
	return view{Template: "overview", Title: "Overview", Nav: "/", Live: "epoch,node,slash,transaction,params", status: status, Data: struct {
		*client.Status
		Known   int
		EpochMs int64
		States  []stateCount
		Bar     int
		Blocks  []client.Header
		Txs     *client.TransactionPage // signed by accounts
		Rewards *client.Rewards
		Feed    []feedItem
	}{status, all, int64(epochMs), shares(status.Nodes, all), barWidth, blocks, txs, rewards, feedOf(epochs, txs.Items, slashes.Items)}}, nil
}

// shares splits the bar among the states.
func shares(nodes map[string]int, known int) []stateCount {
	out := make([]stateCount, 0, len(states))
	x := 0.0
	for _, state := range states {
		c := stateCount{State: state, N: nodes[string(state)], X: x, Tone: tones[string(state)]}
		if known > 0 {
			c.Width = barWidth * float64(c.N) / float64(known)
		}
		x += c.Width
		out = append(out, c)
	}
	return out
}

func (s *Site) newestBlocks(ctx context.Context, n int) ([]client.Header, error) {
	res, err := s.api.ListBlocksWithResponse(ctx, &client.ListBlocksParams{Limit: &n})
	if err != nil {
		return nil, err
	}
	page, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// listTransactions asks for a page of transactions.
func (s *Site) listTransactions(ctx context.Context, params *client.ListTransactionsParams) (*client.TransactionPage, error) {
	res, err := s.api.ListTransactionsWithResponse(ctx, params)
	if err != nil {
		return nil, err
	}
	return read(res.JSON200, res.HTTPResponse, res.Body)
}

// rewards are what blocks pay.
func (s *Site) rewards(ctx context.Context) (*client.Rewards, error) {
	res, err := s.api.GetRewardsWithResponse(ctx, &client.GetRewardsParams{})
	if err != nil {
		return nil, err
	}
	return read(res.JSON200, res.HTTPResponse, res.Body)
}

// newestEpochs are the last n.
func (s *Site) newestEpochs(ctx context.Context, n int) ([]client.EpochSummary, error) {
	res, err := s.api.ListEpochsWithResponse(ctx, &client.ListEpochsParams{Limit: &n})
	if err != nil {
		return nil, err
	}
	page, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// feedOf merges what the overview knows into the feed's first rows, newest
// first.
func feedOf(epochs []client.EpochSummary, txs []client.TransactionItem, slashes []client.Slash) []feedItem {
	var out []feedItem
	for i := range slashes {
		out = append(out, feedItem{TimeMs: slashes[i].TimeMs, Height: slashes[i].Height, Slash: &slashes[i]})
	}
	for i, t := range txs {
		out = append(out, feedItem{TimeMs: deref(t.TimeMs), Height: deref(t.Height), Tx: &txs[i]})
	}
	for i, e := range epochs {
		if e.Epoch > 0 {
			out = append(out, feedItem{TimeMs: e.TimeMs, Height: e.FirstHeight, Epoch: &epochs[i]})
		}
	}
	slices.SortStableFunc(out, func(a, b feedItem) int { return cmp.Compare(b.Height, a.Height) })
	return out[:min(len(out), feedRows)]
}
