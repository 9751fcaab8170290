package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/ledger/light"
	"tunic/registry"
	"tunic/registry/directory"
	"tunic/registry/explain"
)

// epochView is an epoch explained, as JSON.
type epochView struct {
	Epoch        chain.Epoch    `json:"epoch"`
	First        blockView      `json:"first"`
	Last         blockView      `json:"last"` // the head where the epoch still runs
	Running      bool           `json:"running"`
	Listed       uint32         `json:"listed"`
	Root         chain.Hash     `json:"root"`
	Removals     []chain.NodeID `json:"removals"`
	Beacon       chain.Hash     `json:"beacon"`
	Recomputed   chain.Hash     `json:"recomputed"`
	Equal        bool           `json:"equal"`
	Blocks       int            `json:"blocks"` // verified for it
	Before       *closedView    `json:"before,omitempty"`
	Contributed  []voiceView    `json:"contributed"`
	Silent       []chain.NodeID `json:"silent"` // listed before, and not among those who contributed
	NotCounted   []voiceView    `json:"not_counted"`
	Diff         *diffView      `json:"diff,omitempty"`
	Swarms       []swarmView    `json:"swarms,omitempty"`
	Dissolved    []string       `json:"dissolved,omitempty"`    // swarms of the epoch before
	SwarmsEqual  *bool          `json:"swarms_equal,omitempty"` // to those that follow from the beacon; nil where the ledger keeps too few lists to say
	Params       *uint32        `json:"params,omitempty"`       // number of the parameters that came into force in it, if they still are
	ListsMissing bool           `json:"lists_missing"`          // the ledger keeps them no more: neither silent nor diff
}

type blockView struct {
	Height chain.Height `json:"height"`
	Time   chain.Time   `json:"time_ms"`
	Hash   chain.Hash   `json:"hash"`
}

func blockViewOf(h chain.Header) blockView { return blockView{h.Height, h.Time, h.Hash()} }

func (b blockView) String() string { return fmt.Sprintf("%d, %s", b.Height, instant(int64(b.Time))) }

// closedView is the epoch whose heartbeats closed the beacon.
type closedView struct {
	Epoch  chain.Epoch `json:"epoch"`
	Beacon chain.Hash  `json:"beacon"`
	Listed uint32      `json:"listed"`
}

// swarmView is a swarm of a verified list.
type swarmView struct {
	ID      string         `json:"swarm"`
	Members []chain.NodeID `json:"members"`
	Share   chain.Permille `json:"share_permille"` // of all mailbox ids
	Made    bool           `json:"made"`           // in this epoch
}

type voiceView struct {
	Node       chain.NodeID `json:"node"`
	Heartbeats int          `json:"heartbeats"`
	First      chain.Height `json:"first_height"`
	Why        string       `json:"why,omitempty"`
}

func (a *app) explainEpoch() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "epoch EPOCH", Short: "Recompute an epoch's beacon and swarms, and say who could influence it", Args: cobra.ExactArgs(1),
		Long: "Fetch the blocks whose heartbeats closed an epoch's beacon, verify them, and compute the beacon anew;\n" +
			"place the nodes of its list into swarms anew. Exits with 0 where both are the ledger's, with 3 where not.",
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := strconv.ParseUint(args[0], 10, 44)
			if err != nil {
				return usage("%q is no epoch; epochs count from 0", args[0])
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			lv, err := light.New(r.net)
			if err != nil {
				return err
			}
			x := &explainer{remote: r, light: lv, headers: map[chain.Height]chain.Header{}}
			if terminal(a.Err) && !a.json() {
				x.progress = a.Err
			}
			v, err := x.epoch(cmd.Context(), chain.Epoch(e))
			if err != nil {
				return err
			}
			if err := a.show(v, func(w io.Writer) { v.print(a, w) }); err != nil || v.Equal && (v.SwarmsEqual == nil || *v.SwarmsEqual) {
				return err
			}
			if v.Equal {
				return fail(exitFalse, "swarms_differ", "nodes are not in the swarms that the beacon gives",
					"epoch %d; keep the lists, and ask whoever runs the ledger", e)
			}
			return fail(exitFalse, "beacon_differs", "the beacon is not the one that the blocks give",
				"epoch %d: recomputed %s; keep the headers, and ask whoever runs the ledger", e, v.Recomputed)
		},
	}
	networkFlag(c, &net)
	return c
}

// explainer recounts from a ledger's answers, none of which it trusts.
type explainer struct {
	*remote
	light    *light.Verifier
	headers  map[chain.Height]chain.Header
	head     chain.Header
	progress io.Writer // nil: none
}

// at is the verified header at a height.
func (x *explainer) at(ctx context.Context, h chain.Height) (chain.Header, error) {
	if got, ok := x.headers[h]; ok {
		return got, nil
	}
	s, err := x.header(ctx, strconv.FormatUint(uint64(h), 10))
	if err == nil && s.Header.Height != h {
		err = fail(exitFalse, "not_verified", "does not verify", "the header at height %d says height %d", h, s.Header.Height)
	}
	if err != nil {
		return chain.Header{}, err
	}
	x.headers[h] = s.Header
	return s.Header, nil
}

// firstOf is the lowest height whose header's epoch is e or later; one above the
// head where there is none.
func (x *explainer) firstOf(ctx context.Context, e chain.Epoch) (chain.Height, error) {
	lo, hi := chain.Height(1), x.head.Height+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		h, err := x.at(ctx, mid)
		if err != nil {
			return 0, err
		}
		if h.DirEpoch >= e {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo, nil
}

func (x *explainer) epoch(ctx context.Context, e chain.Epoch) (*epochView, error) {
	head, err := x.header(ctx, "latest")
	if err != nil {
		return nil, err
	}
	x.head = head.Header
	if e > x.head.DirEpoch {
		return nil, fail(exitFailed, "epoch_unknown", "no such epoch yet", "the newest is %d", x.head.DirEpoch)
	}
	at, err := x.firstOf(ctx, e)
	if err != nil {
		return nil, err
	}
	first, err := x.at(ctx, at)
	if err != nil {
		return nil, err
	}
	if first.DirEpoch != e {
		return nil, fail(exitFailed, "epoch_unknown", "no block of this epoch", "block %d begins epoch %d, and the one before it is of an earlier epoch", at, first.DirEpoch)
	}
	after, err := x.firstOf(ctx, e+1)
	if err != nil {
		return nil, err
	}
	last, err := x.at(ctx, after-1)
	if err != nil {
		return nil, err
	}
	v := &epochView{Epoch: e, First: blockViewOf(first), Last: blockViewOf(last), Running: e == x.head.DirEpoch, Listed: first.DirCount, Root: first.Directory,
		Removals: append([]chain.NodeID{}, last.Removals...), Beacon: first.Beacon, Contributed: []voiceView{}, Silent: []chain.NodeID{}, NotCounted: []voiceView{}}
	in, _, err := x.inForce(ctx)
	if err != nil {
		return nil, err
	}
	if in.Number > 0 && in.Since == e {
		v.Params = &in.Number
	}
	if err := x.recount(ctx, v, first); err != nil {
		return nil, err
	}
	v.Equal = v.Recomputed == v.Beacon
	return v, nil
}

// recount computes the beacon of first, an epoch's first header, from the blocks
// before it.
func (x *explainer) recount(ctx context.Context, v *epochView, first chain.Header) error {
	zero := beacon.Zero(x.net.Genesis)
	if first.DirEpoch == 0 {
		v.Recomputed = zero
		return nil
	}
	before := chain.Header{Beacon: zero} // genesis
	if first.Height > 1 {
		var err error
		if before, err = x.at(ctx, first.Height-1); err != nil {
			return err
		}
	}
	v.Before = &closedView{before.DirEpoch, before.Beacon, before.DirCount}
	count := registry.NewRecount(x.net.Genesis, before.DirEpoch)
	if before.DirEpoch > 0 { // nobody was registered before epoch 0
		from, err := x.firstOf(ctx, before.DirEpoch-1)
		if err != nil {
			return err
		}
		if v.Blocks, err = x.walk(ctx, first, from, count); err != nil {
			return err
		}
	}
	now, err := x.listOf(ctx, first)
	if err != nil {
		return err
	}
	was, err := x.listOf(ctx, before)
	if err != nil {
		return err
	}
	v.ListsMissing = was == nil || now == nil
	if now != nil {
		v.swarms(now)
		if v.SwarmsEqual, err = x.placed(ctx, now, was, before, first); err != nil {
			return err
		}
	}
	if !v.ListsMissing {
		d := diffOf(was, now, directory.Diff(was, now))
		v.Diff = &d
	}
	standing, err := x.standings(ctx, count.Heard(), was, first.Height)
	if err != nil {
		return err
	}
	voices := count.Voices(func(id chain.NodeID) (registry.Standing, bool) { s, ok := standing[id]; return s, ok })
	v.Recomputed = registry.Close(before.Beacon, voices)
	v.sort(voices, was)
	return nil
}

// swarms are those of the epoch's list.
func (v *epochView) swarms(l *directory.List) {
	all, gone := explain.Swarms(l)
	for _, s := range all {
		v.Swarms = append(v.Swarms, swarmView{swarmName(s.ID), s.Members, s.Share, s.Made})
	}
	for _, id := range gone {
		v.Dissolved = append(v.Dissolved, swarmName(id))
	}
}

// sort says who contributed, who did not, and whose heartbeats do not count.
func (v *epochView) sort(voices []registry.Voice, was *directory.List) {
	spoke := map[chain.NodeID]bool{}
	for _, s := range voices {
		view := voiceView{s.Node, s.Heartbeats, s.First, s.Why}
		if spoke[s.Node] = s.Why == ""; spoke[s.Node] {
			v.Contributed = append(v.Contributed, view)
		} else {
			v.NotCounted = append(v.NotCounted, view)
		}
	}
	if was != nil {
		for _, e := range was.Entries {
			if !spoke[e.Node] {
				v.Silent = append(v.Silent, e.Node)
			}
		}
	}
}
