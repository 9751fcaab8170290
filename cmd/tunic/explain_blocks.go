package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/api/client"
	"tunic/chain"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry"
	"tunic/registry/directory"
)

const (
	maxRecount  = 20_000   // blocks that are fetched to recount one epoch
	maxBlock    = 16 << 20 // bytes of one block
	maxPatience = 30       // seconds that one block is waited for, where the ledger limits the rate
)

// walk gives count the blocks from the one before child down to from. Each is
// held against the hash that its child names, its seal, and its transactions'
// root.
func (x *explainer) walk(ctx context.Context, child chain.Header, from chain.Height, count interface{ Block(chain.Block) }) (int, error) {
	all := int(min(child.Height-min(from, child.Height), maxRecount+1))
	if all > maxRecount {
		return 0, fail(exitFailed, "too_many_blocks", "too long to recount", "over %d blocks; `tunic db verify` replays a whole ledger", maxRecount)
	}
	for n := range all {
		if x.progress != nil && n%50 == 0 {
			fmt.Fprintf(x.progress, "\rblock %d of %d \x1b[K", n, all)
		}
		b, err := x.patient(ctx, child.Height-1)
		if err == nil && b.Header.Hash() != child.Parent {
			err = fail(exitFalse, "not_verified", "does not verify", "block %d is not the parent of block %d", child.Height-1, child.Height)
		}
		if err == nil {
			if !b.Header.Committed { // which its child's hash says as well
				err = x.light.CheckHeader(b.SealedHeader)
			}
			if err == nil {
				err = light.CheckTxs(b)
			}
			err = verified(err)
		}
		if err != nil {
			return 0, err
		}
		count.Block(b)
		child = b.Header
	}
	if x.progress != nil {
		fmt.Fprint(x.progress, "\r\x1b[K")
	}
	return all, nil
}

// patient asks for a block again where the ledger says that this is too fast.
func (x *explainer) patient(ctx context.Context, h chain.Height) (chain.Block, error) {
	for try := 0; ; try++ {
		b, err := x.block(ctx, h)
		if p := (*problem)(nil); !errors.As(err, &p) || p.Code != "rate_limited" || try == maxPatience {
			return b, err
		}
		select {
		case <-ctx.Done():
			return b, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// listOf is the list that h commits to; nil where the ledger keeps it no more.
func (x *explainer) listOf(ctx context.Context, h chain.Header) (*directory.List, error) {
	if h.DirCount == 0 {
		return directory.NewList(h.DirEpoch, nil)
	}
	b, err := x.fetch(ctx, fmt.Sprintf("/v1/directory?epoch=%d", h.DirEpoch), maxDirectory)
	if p := (*problem)(nil); errors.As(err, &p) && p.Exit == exitFailed {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(b)
	r.Bytes(maxHeader) // a later header of the same epoch
	body := r.Fixed(r.Len())
	if r.Err() != nil {
		return nil, answer(0, nil, r.Err())
	}
	l, err := directory.Decode(body)
	if err == nil {
		err = l.Check(h)
	}
	return l, verified(err)
}

// standings is how nodes stood before the block at end. Who was listed in was
// and is active now was never out of it; of all others the history says.
func (x *explainer) standings(ctx context.Context, heard []chain.NodeID, was *directory.List, end chain.Height) (map[chain.NodeID]registry.Standing, error) {
	out := map[chain.NodeID]registry.Standing{}
	if len(heard) == 0 {
		return out, nil
	}
	nodes, err := x.nodes(ctx, client.ListNodesParams{})
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		id, err := chain.ParseNodeID(n.Node)
		if err != nil {
			return nil, answer(0, nil, err)
		}
		if _, ok := slices.BinarySearchFunc(heard, id, func(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) }); !ok {
			continue
		}
		s := registry.Standing{State: registry.Active, Registered: chain.Height(n.RegisteredHeight)}
		if hex.DecodedLen(len(n.VrfKey)) != len(s.VRF) {
			return nil, answer(0, nil, fmt.Errorf("VRF key of node %s", id.Short()))
		}
		if _, err := hex.Decode(s.VRF[:], []byte(n.VrfKey)); err != nil {
			return nil, answer(0, nil, err)
		}
		listed := false
		if was != nil {
			var e directory.Entry
			if e, listed = was.Find(id); listed {
				s.VRF = e.VRF
			}
		}
		if !listed || n.State != client.Active {
			d, err := x.node(ctx, n.Node, nil)
			if err != nil {
				return nil, err
			}
			s.State = stateAt(d.History, end)
		}
		out[id] = s
	}
	return out, nil
}

// stateAt is the state that a history gives before the block at height.
func stateAt(history []client.NodeEvent, height chain.Height) (s registry.State) {
	for _, e := range history {
		if e.Height < int64(height) {
			s = registry.State(slices.Index(nodeStates, e.To) + 1) // nodeStates has them in order
		}
	}
	return s
}
