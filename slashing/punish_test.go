package slashing_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/table"
	"tunic/slashing"
)

func newReducer(core *genesis.Core) (*table.Part, *slashing.Slashing) {
	part := new(table.Part)
	return part, slashing.New(part, core, genesis.Genesis{Core: *core}.Hash())
}

// An offence costs its share of the stake in its epoch, tombstones, and is
// punished once, by whatever pair it is shown.
func TestPunish(t *testing.T) {
	w := newWorld()
	id := nodeOf(key(1))
	part, s := newReducer(&w.core)
	b := &bonds{stake: map[chain.NodeID]map[chain.Epoch]chain.Amount{id: {epoch: 2000 * chain.TUN}}}
	n := &nodes{known: []chain.NodeID{id}}
	ctx := slashing.Context{Height: 130, Time: w.core.EpochStart(epoch + 1)}
	p := w.proof(1)

	if err := s.Check(p, ctx, w.ledger(), b, n); err != nil {
		t.Fatal(err)
	}
	r, err := s.Punish(p, chain.Address{0xaa}, ctx, w.ledger(), b, n)
	if err != nil {
		t.Fatal(err)
	}
	if r.Total != 100*chain.TUN || r.Stake != 2000*chain.TUN || r.Reward != 50*chain.TUN || r.Burned != 50*chain.TUN ||
		r.ID != p.ID() || r.Node != id || r.Operator != (chain.Address{1}) || r.Epoch != epoch || r.Basis != slashing.BasisSignature {
		t.Errorf("record %+v", r)
	}
	if !slices.Equal(n.dead, []chain.NodeID{id}) {
		t.Errorf("tombstoned %v", n.dead)
	}

	again := p
	pair(&again, descriptor(w.domain(), 1, "1.0", epoch), descriptor(w.domain(), 1, "2.0", epoch))
	for _, p := range []slashing.Proof{p, again} {
		if _, err := s.Punish(p, chain.Address{}, ctx, w.ledger(), b, n); !is(err, slashing.ErrAlreadyPunished) {
			t.Errorf("again: %v", err)
		}
	}
	if len(b.slash) != 1 || len(s.All()) != 1 {
		t.Errorf("slashed %v", b.slash)
	}

	// What is stored is what was recorded, and its invariant holds.
	part.Commit()
	loaded, s2 := newReducer(&w.core)
	if err := loaded.Load(slices.Collect(part.Rows())); err != nil {
		t.Fatal(err)
	}
	got, ok := s2.Record(r.ID)
	if !ok || !cmp.Equal(got, r) || loaded.Root() != part.Root() {
		t.Errorf("loaded: %s", cmp.Diff(r, got))
	}
	if err := s2.CheckAll(); err != nil {
		t.Error(err)
	}
}

// The refusals that only a ledger knows.
func TestPunishRefuses(t *testing.T) {
	w := newWorld()
	id := nodeOf(key(1))
	p := w.proof(1)
	o, err := slashing.Verify(p, w.anchor)
	if err != nil {
		t.Fatal(err)
	}
	until := slashing.PunishableUntil(o, w.core)
	if want := w.core.EpochStart(epoch+1) + chain.Time(w.core.Params.EvidenceAge); until != want {
		t.Fatalf("punishable until %d, want %d", until, want)
	}
	for name, c := range map[string]struct {
		ctx  slashing.Context
		node chain.NodeID
		want *chain.Refusal
	}{
		"in time":      {slashing.Context{Time: until}, id, nil},
		"too late":     {slashing.Context{Time: until + 1}, id, slashing.ErrExpired},
		"unknown node": {slashing.Context{Time: until}, chain.NodeID{1}, slashing.ErrUnknownNode},
		"later fork":   {slashing.Context{Time: until, Fork: 1}, id, slashing.ErrWrongFork},
		"bond gone":    {slashing.Context{Time: until}, id, slashing.ErrUnknownNode},
	} {
		part, s := newReducer(&w.core)
		b, n := &bonds{gone: name == "bond gone"}, &nodes{known: []chain.NodeID{c.node}}
		_, err := s.Punish(p, chain.Address{}, c.ctx, w.ledger(), b, n)
		if !is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != nil && (len(part.Commit()) > 0 || len(b.slash) > 0 || len(n.dead) > 0) {
			t.Errorf("%s: something changed", name)
		}
	}
}

// Where nothing was bonded in the epoch of the offence, the stake is that of
// the epoch of the list.
func TestStakeOfTheList(t *testing.T) {
	w := newWorld()
	id := nodeOf(key(1))
	p := w.proof(1)
	pair(&p, descriptor(w.domain(), 1, "1.0", epoch-1), descriptor(w.domain(), 1, "1.1", epoch-1))
	_, s := newReducer(&w.core)
	b := &bonds{stake: map[chain.NodeID]map[chain.Epoch]chain.Amount{id: {epoch: 1000 * chain.TUN}}}
	r, err := s.Punish(p, chain.Address{}, slashing.Context{Time: w.core.EpochStart(epoch)}, w.ledger(), b, &nodes{known: []chain.NodeID{id}})
	if err != nil || r.Total != 50*chain.TUN || r.Epoch != epoch-1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPunishableUntilSaturates(t *testing.T) {
	w := newWorld()
	w.core.Params.EpochLength = 1 << 50
	if got := slashing.PunishableUntil(slashing.Offence{Epoch: 1 << 43}, w.core); got != ^chain.Time(0) {
		t.Errorf("%d", got)
	}
}

// The transaction carries a proof of the largest size and not more.
func TestSubmitProof(t *testing.T) {
	for size, ok := range map[int]bool{slashing.MaxProof: true, slashing.MaxProof + 1: false} {
		b := slashing.SubmitProofType.Encode(slashing.SubmitProof{Proof: make([]byte, size)})
		if _, err := slashing.SubmitProofType.Decode(b); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if got := slashing.SubmitProofType.Schema().TypeString(); got != "SubmitProof(uint64 nonce,uint64 fee,uint64 validUntil,bytes proof)" {
		t.Error(got)
	}
}
