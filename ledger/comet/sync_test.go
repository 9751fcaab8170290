package comet_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/ledger"
	"tunic/ledger/comet"
	"tunic/ledger/machine"
)

// certificates asks running ledgers, one after the other.
func certificates(of ...*validator) func(context.Context, chain.Height) (cometbft.Certificate, error) {
	return func(_ context.Context, h chain.Height) (c cometbft.Certificate, err error) {
		for _, v := range of {
			if c, err = v.Certificate(h); err == nil {
				return c, nil
			}
		}
		return c, err
	}
}

// forger is the application of a validator that sends other pieces than it should,
// or snapshots of its own making.
type forger struct {
	abci.Application
	whole atomic.Bool // consistent in itself, and of no ledger
	sent  atomic.Int64
}

// forge changes the last bit of a file of one piece.
func forge(chunk []byte) []byte {
	out := bytes.Clone(chunk)
	out[len(out)-40] ^= 1
	return out
}

func (f *forger) ListSnapshots(ctx context.Context, r *abci.RequestListSnapshots) (*abci.ResponseListSnapshots, error) {
	out, err := f.Application.ListSnapshots(ctx, r)
	if err != nil || !f.whole.Load() {
		return out, err
	}
	for _, s := range out.Snapshots {
		x, err := ledger.DecodeStateFile(s.Metadata)
		if err != nil {
			return nil, err
		}
		c, err := f.Application.LoadSnapshotChunk(ctx, &abci.RequestLoadSnapshotChunk{Height: s.Height, Format: s.Format})
		if err != nil {
			return nil, err
		}
		x.Chunks[0] = chain.SHA256(forge(c.Chunk))
		hash := x.Hash()
		s.Hash, s.Metadata = hash[:], x.Encode()
	}
	return out, nil
}

func (f *forger) LoadSnapshotChunk(ctx context.Context, r *abci.RequestLoadSnapshotChunk) (*abci.ResponseLoadSnapshotChunk, error) {
	out, err := f.Application.LoadSnapshotChunk(ctx, r)
	if err == nil && len(out.Chunk) > 0 {
		out.Chunk = forge(out.Chunk)
		f.sent.Add(1)
	}
	return out, err
}

// TestSync: a validator without anything begins from a snapshot of its peers,
// though some send forged ones; it votes, goes on after a restart, and says what it
// has not.
func TestSync(t *testing.T) {
	g, keys := network(t, 4, "a")
	var all []*validator
	var peers []string
	forgers := []*forger{{}, {}} // the same forgery comes from more than the truth
	for _, f := range forgers {
		f.whole.Store(true)
	}
	snapshots := func(c *comet.Config) { c.SnapshotEvery, c.SnapshotKeep = 6, 3 }
	for i, k := range keys[:3] {
		v := start(t, t.TempDir(), g, k, peers, snapshots, func(c *comet.Config) {
			if i > 0 {
				f := forgers[i-1]
				c.Through(func(a abci.Application) abci.Application { f.Application = a; return f })
			}
		})
		all, peers = append(all, v), append(peers, v.node.Address())
	}
	for n := range uint64(40) {
		if _, err := all[n%3].Submit(t.Context(), transfer(t, all[0].Ledger, "a", "b", n)); err != nil {
			t.Fatal(err)
		}
	}
	all[0].await(t, 20)
	dir := t.TempDir()
	begin := func(c *comet.Config) {
		c.Sync = &comet.Sync{Certificate: certificates(all...), Discover: 5 * time.Second}
	}
	late := start(t, dir, g, keys[3], peers, snapshots, begin)
	late.await(t, 21)
	if n := forgers[0].sent.Load() + forgers[1].sent.Load(); n == 0 {
		t.Error("nobody asked for the forged snapshot")
	}
	first := late.First()
	if first < 7 {
		t.Fatalf("its first block is %d", first)
	}
	if _, err := late.Block(first - 1); !errors.Is(err, ledger.ErrPruned) {
		t.Fatalf("block %d: %v", first-1, err)
	}
	to := late.Head().Header.Height + 3
	late.await(t, to)
	all[0].await(t, to)
	for h := first; h <= to; h++ {
		a, err1 := late.Header(h)
		b, err2 := all[0].Header(h)
		if err1 != nil || err2 != nil || a.Header.Hash() != b.Header.Hash() {
			t.Fatalf("height %d: %v, %v", h, err1, err2)
		}
	}
	// It votes.
	for signed := false; !signed; {
		to++
		all[0].await(t, to)
		c, err := all[0].Certificate(to)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range c.Commit.Signatures {
			signed = signed || s.Flag == cometbft.FlagCommit && s.Validator == cometbft.AddressOf(chain.NodeID(keys[3][32:]))
		}
		if to > 400 {
			t.Fatal("it does not vote")
		}
	}
	late.stop(t)
	late = start(t, dir, g, keys[3], peers, snapshots, begin)
	late.await(t, to+3)
	late.View(func(m *machine.Machine) {
		if n := m.Account(address("a")).Nonce; n != 40 {
			t.Errorf("nonce %d", n)
		}
		if err := m.Check(); err != nil {
			t.Error(err)
		}
	})
	late.stop(t)
	// Pieces are forged one by one, and whoever begins has no vote.
	for _, f := range forgers {
		f.whole.Store(false)
		f.sent.Store(0)
	}
	other := start(t, t.TempDir(), g, nil, peers, begin)
	other.await(t, to+3)
	if other.First() < 7 {
		t.Errorf("its first block is %d", other.First())
	}
	other.stop(t)
	if _, err := ledger.Verify(t.Context(), filepath.Join(dir, "ledger")); err != nil {
		t.Error(err)
	}
	for _, v := range all {
		v.stop(t)
	}
	t.Logf("began at %d; forged pieces sent: %d and %d", first, forgers[0].sent.Load(), forgers[1].sent.Load())
}
