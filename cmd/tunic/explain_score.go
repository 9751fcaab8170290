package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/registry/directory"
	"tunic/registry/probe"
)

// errNoList means that a ledger keeps a list of the window no more.
var errNoList = errors.New("the ledger keeps a list of the window no more")

// scoreView is a node's score as the quorums of an epoch see it, recomputed
// from blocks. docs/spec/judgement.md, section Score.
type scoreView struct {
	probe.Score
	Epoch   chain.Epoch    `json:"voted_in"`
	First   chain.Epoch    `json:"window_first"`
	Last    chain.Epoch    `json:"window_last"`
	Least   chain.Permille `json:"least"`
	Since   chain.Epoch    `json:"counted_since"` // it was decommissioned then; 0: never
	Reasons []string       `json:"reasons"`       // for which the quorum finds it unfit
	Blocks  int            `json:"blocks"`        // verified for it
	Missing string         `json:"missing,omitempty"`
	params  *genesis.Params
}

// score recomputes the score that the quorums of epoch e go by.
func (r *remote) score(cmd *cobra.Command, id chain.NodeID, n *client.NodeDetail, progress io.Writer) (*scoreView, error) {
	lv, err := light.New(r.net)
	if err != nil {
		return nil, err
	}
	ctx := cmd.Context()
	x := &explainer{remote: r, light: lv, headers: map[chain.Height]chain.Header{}, progress: progress}
	head, err := x.header(ctx, "latest")
	if err != nil {
		return nil, err
	}
	x.head = head.Header
	p := &r.net.Params
	v := &scoreView{Epoch: x.head.DirEpoch, Least: p.ScoreLeast, Reasons: []string{}, params: p}
	v.Score.Score = 1000
	if v.Since, err = x.decommissioned(ctx, n); err != nil {
		return nil, err
	}
	count := probe.NewRecount(&r.net.Core, p, r.net.Genesis, v.Epoch)
	if v.First, v.Last = count.Window(); v.First > v.Last {
		return v, nil
	}
	from, err := x.firstOf(ctx, count.First())
	if err != nil {
		return nil, err
	}
	to, err := x.firstOf(ctx, v.Epoch)
	if err != nil {
		return nil, err
	}
	child, err := x.at(ctx, to)
	if err != nil {
		return nil, err
	}
	if v.Blocks, err = x.walk(ctx, child, from, count); err != nil {
		return nil, err
	}
	v.Score, err = count.Score(id, v.Since, func(e chain.Epoch) (*directory.List, error) { return x.listIn(ctx, e) })
	if errors.Is(err, errNoList) {
		v.Missing = err.Error()
		return v, nil
	}
	if err == nil {
		v.Reasons = append(v.Reasons, v.Score.Reasons(p).Names()...)
	}
	return v, err
}

// listIn is the list of an epoch, held against its first header.
func (x *explainer) listIn(ctx context.Context, e chain.Epoch) (*directory.List, error) {
	at, err := x.firstOf(ctx, e)
	if err != nil {
		return nil, err
	}
	h, err := x.at(ctx, at)
	if err != nil {
		return nil, err
	}
	l, err := x.listOf(ctx, h)
	if err == nil && l == nil {
		err = errNoList
	}
	return l, err
}

// decommissioned is the epoch in which the node was last decommissioned, by the
// ledger's word; 0 if never.
func (x *explainer) decommissioned(ctx context.Context, n *client.NodeDetail) (e chain.Epoch, err error) {
	var at chain.Height
	for _, ev := range n.History {
		if ev.To == client.Decommissioned {
			at = max(at, chain.Height(ev.Height))
		}
	}
	if at == 0 {
		return 0, nil
	}
	h, err := x.at(ctx, at)
	return h.DirEpoch, err
}

func (v *scoreView) print(w io.Writer) {
	p := v.params
	if v.First > v.Last {
		fmt.Fprintf(w, "\nscore: nothing is judged before epoch %d\n", probe.First+probe.Delay)
		return
	}
	fmt.Fprintf(w, "\nscore, recomputed from %s, as the quorums of epoch %d see it\n", count(v.Blocks, "verified block"), v.Epoch)
	if v.Missing != "" {
		fmt.Fprintf(w, "  unknown: %s\n", v.Missing)
		return
	}
	rows := [][]string{{"  probed in epochs", fmt.Sprintf("%d to %d; revealed its probes in %d of the %d in which it was listed", v.First, v.Last, v.Revealed, v.Listed)}}
	if v.Since > 0 {
		rows = append(rows, []string{"  counted since", fmt.Sprintf("epoch %d, in which it was decommissioned", v.Since)})
	}
	for _, e := range v.Epochs {
		note := ""
		if e.Forgiven {
			note = ", forgiven"
		}
		if !e.Revealed {
			note += ", no reveal"
		}
		rows = append(rows, []string{fmt.Sprintf("  epoch %d", e.Epoch), fmt.Sprintf("%d of %d trials of its links lost%s", e.Lost, e.Trials, note)})
	}
	for i, g := range v.Groups {
		note := ""
		if i == len(v.Groups)/2 {
			note = ", the median"
		}
		rows = append(rows, []string{fmt.Sprintf("  group %d", i+1), fmt.Sprintf("%d of %d lost%s", g.Lost, g.Trials, note)})
	}
	if v.Thin > 0 {
		rows = append(rows, []string{"  left out", fmt.Sprintf("%s with fewer than %d trials", count(v.Thin, "group"), probe.MinTrials)})
	}
	table(w, rows...)
	bits := v.Score.Reasons(p)
	switch {
	case !v.Known:
		fmt.Fprintf(w, "  too little to say: it takes %d epochs beside the %d forgiven, and %d groups; it passes\n", probe.MinEpochs, p.ScoreForgiven, probe.MinGroups)
	case bits&statement.ReasonLoss != 0:
		fmt.Fprintf(w, "  %d/1000, below the %d that are asked for: it loses packets. Look at its links and load: `tunic relay status` counts what it drops, and why\n", v.Score.Score, v.Least)
	default:
		fmt.Fprintf(w, "  %d/1000; %d are asked for\n", v.Score.Score, v.Least)
	}
	if bits&statement.ReasonUnrevealed != 0 {
		fmt.Fprintln(w, "  it revealed its probes in fewer than half of the epochs: it must run from the beginning of an epoch to the end of the second after it")
	}
}
