package machine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

func fee(x chain.Amount) func(*genesis.Params) { return func(p *genesis.Params) { p.MinFee = x } }

// Each refusal of a ChangeParams, from the same state: k1 has approved number 1
// for epoch 5, delay is two epochs. The state stays as it was.
func TestChangeRefusals(t *testing.T) {
	build := func(t *testing.T) *world {
		w := newCouncil(t, "a")
		w.ok(w.at(1), w.change("k1", 1, 5, 0, fee(1001)))
		return w
	}
	raw := func(w *world, params []byte) []byte {
		return w.sign("k2", machine.ChangeParamsType.Unsigned(machine.ChangeParams{Head: w.headOf("k2", 0), Number: 1, Epoch: 5, Params: params}))
	}
	for _, c := range []struct {
		name, code string
		tx         func(w *world) []byte
	}{
		{"a stranger", machine.CodeNotCouncil, func(w *world) []byte { return w.change("a", 1, 5, 0, fee(1001)) }},
		{"no parameters", machine.CodeMalformedParams, func(w *world) []byte { return raw(w, nil) }},
		{"a byte behind", machine.CodeMalformedParams, func(w *world) []byte { return raw(w, append(w.g.Params.Encode(), 0)) }},
		{"a byte too few", machine.CodeMalformedParams, func(w *world) []byte { b := w.g.Params.Encode(); return raw(w, b[:len(b)-1]) }},
		{"above the bound", machine.CodeMalformed, func(w *world) []byte { return raw(w, make([]byte, genesis.MaxParams+1)) }},
		{"number in force", machine.CodeWrongNumber, func(w *world) []byte { return w.change("k2", 0, 5, 0, fee(1001)) }},
		{"number ahead", machine.CodeWrongNumber, func(w *world) []byte { return w.change("k2", 2, 5, 0, fee(1001)) }},
		{"within the delay", machine.CodeTooEarly, func(w *world) []byte { return w.change("k2", 1, 2, 0, fee(1001)) }},
		{"far ahead", machine.CodeTooLate, func(w *world) []byte { return w.change("k2", 1, 1+machine.MaxParamsAhead+1, 0, fee(1001)) }},
		{"the epoch length", machine.CodeImmutable, func(w *world) []byte {
			return w.change("k2", 1, 5, 0, func(p *genesis.Params) { p.MinFee++; p.EpochLength++; p.Geometry = 2 })
		}},
		{"a contradiction", machine.CodeParamsRejected, func(w *world) []byte {
			return w.change("k2", 1, 5, 0, func(p *genesis.Params) { p.QuorumVotes = 1 })
		}},
		{"nothing new", machine.CodeNoChange, func(w *world) []byte { return w.change("k2", 1, 5, 0, func(*genesis.Params) {}) }},
		{"the same again", machine.CodeAlreadyApproved, func(w *world) []byte { return w.change("k1", 1, 5, 0, fee(1001)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, twin := build(t), build(t)
			tx := c.tx(w)
			if p := w.m.Prepare(tx); w.m.CheckTx(&p, w.at(1)+5) == nil {
				t.Error("CheckTx takes it")
			}
			out := w.block(w.at(1)+5, tx)
			if out.Results[0].Code != c.code {
				t.Fatalf("refused with %q, want %q", out.Results[0].Code, c.code)
			}
			if out.Header.State != twin.block(twin.at(1)+5).Header.State {
				t.Fatal("the refusal changed the state")
			}
		})
	}
	t.Run("while one is scheduled", func(t *testing.T) {
		w := build(t)
		w.ok(w.at(1)+1, w.change("k3", 1, 5, 0, fee(1001)))
		root := w.m.Head().State
		if out := w.block(w.at(1)+2, w.change("k2", 1, 6, 0, fee(1002)), w.change("k2", 2, 6, 0, fee(1002))); out.Results[0].Code != machine.CodeChangePending ||
			out.Results[1].Code != machine.CodeChangePending || out.Header.State != root {
			t.Fatalf("%+v", out.Results)
		}
	})
	t.Run("without a council", func(t *testing.T) {
		w := newWorld(t, "a")
		if out := w.block(w.at(1), w.change("a", 1, 5, 0, fee(1001))); out.Results[0].Code != machine.CodeNotCouncil {
			t.Fatalf("%+v", out.Results)
		}
	})
}

// A change from the first approval to its epoch: who reads parameters goes by
// the new ones from the first transaction of that epoch's first block on.
func TestChangeComesIntoForce(t *testing.T) {
	w := newCouncil(t, "a", "b")
	w.serve("a", "n")
	w.ok(w.at(1)+1, w.change("k1", 1, 4, 0, fee(5000)))
	a := w.m.Approvals()
	if len(a) != 1 || len(a[0].Members) != 1 || a[0].Members[0] != address("k1") || a[0].Epoch != 4 {
		t.Fatalf("approvals %+v", a)
	}
	if _, ok := w.m.Scheduled(); ok {
		t.Fatal("one of two is not enough")
	}
	w.ok(w.at(1)+2, w.change("k2", 1, 4, 0, fee(5000)))
	s, ok := w.m.Scheduled()
	if !ok || s.Number != 1 || s.Epoch != 4 || s.Params.MinFee != 5000 || w.m.Approvals() != nil {
		t.Fatalf("scheduled %+v, approvals %+v", s, w.m.Approvals())
	}
	old := w.headOf("a", 0)
	w.ok(w.at(4)-1, w.transfer("a", "b", 1, 0))
	if w.m.InForce().Number != 0 {
		t.Fatal("in force before its epoch")
	}
	rows, head, list := rowsOf(w.m), w.m.Head(), w.m.List()
	cheap := w.sign("a", machine.TransferType.Unsigned(machine.Transfer{Head: chain.Head{Nonce: old.Nonce + 1, Fee: old.Fee, ValidUntil: 1000}, To: address("b"), Amount: 1}))
	out := w.block(w.at(4), cheap)
	if out.Results[0].Code != machine.CodeFeeTooLow {
		t.Fatalf("the old fee in the first block: %+v", out.Results)
	}
	f := w.m.InForce()
	if f.Number != 1 || f.Since != 4 || f.VersionsSince != 0 || f.Params.MinFee != 5000 || w.m.Core().Params.MinFee != 5000 {
		t.Fatalf("in force %+v", f)
	}
	if _, ok := w.m.Scheduled(); ok {
		t.Fatal("still scheduled")
	}
	w.ok(w.at(4)+1, w.transfer("a", "b", 1, 0))

	// Light verification of what is in force, and nothing else.
	h := w.m.Head()
	p := w.m.Prove(machine.PartParams, light.InForceKey())
	if got, err := p.InForce(h.State); err != nil || !cmp.Equal(got, f) {
		t.Fatalf("proof: %+v, %v", got, err)
	}
	if _, err := p.InForce(head.State); err == nil {
		t.Fatal("proven against an older header")
	}
	if _, err := w.m.Prove(machine.PartParams, []byte{1, 2}).InForce(h.State); err == nil {
		t.Fatal("proven by another row")
	}

	// A machine loaded from before the change makes the same of it.
	twin, err := machine.Load(w.g.Core, w.g.Hash(), head, rows, list, indexOf(w.headers))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := twin.Replay(out.Header, twin.PrepareAll([][]byte{cheap})); err != nil {
		t.Fatal(err)
	}
	// And one loaded after it goes by what is in force, though genesis says otherwise.
	twin, err = machine.Load(w.g.Core, w.g.Hash(), h, rowsOf(w.m), w.m.List(), indexOf(w.headers))
	if err != nil || !cmp.Equal(twin.InForce(), f) || twin.Core().Params.MinFee != 5000 {
		t.Fatalf("loaded: %+v, %v", twin.InForce(), err)
	}
}

// The reward of the block in which a change comes into force is the new one.
func TestRewardChanges(t *testing.T) {
	w := newCouncil(t, "a")
	w.serve("a", "n")
	change := func(p *genesis.Params) { p.BlockReward = 7 }
	w.ok(w.at(1)+1, w.change("k1", 1, 3, 0, change), w.change("k2", 1, 3, 0, change), publish(w.heartbeat("n", w.next("n", 2))))
	before := w.m.Staking().Pool()
	w.ok(w.at(2))
	if got := before - w.m.Staking().Pool(); got != w.g.Params.BlockReward {
		t.Fatalf("rewarded %d before the change", got)
	}
	before = w.m.Staking().Pool()
	w.ok(w.at(3))
	if got := before - w.m.Staking().Pool(); got != 7 {
		t.Fatalf("rewarded %d after the change", got)
	}
}

func TestVersionsSince(t *testing.T) {
	w := newCouncil(t)
	with := func(v ...string) func(*genesis.Params) { return func(p *genesis.Params) { p.Versions = v } }
	for i, c := range []struct {
		epoch, since chain.Epoch
		change       func(*genesis.Params)
	}{{3, 3, with("tunic/1")}, {6, 3, fee(2000)}, {9, 9, with("tunic/1", "tunic/2")}, {12, 12, with()}} {
		n := uint32(i + 1)
		w.ok(w.at(c.epoch-2), w.change("k1", n, c.epoch, 0, c.change), w.change("k3", n, c.epoch, 0, c.change))
		w.ok(w.at(c.epoch))
		if f := w.m.InForce(); f.Number != n || f.Since != c.epoch || f.VersionsSince != c.since {
			t.Errorf("change %d: %+v", n, f)
		}
	}
}

// Skipped epochs: a change comes into force in the first one that has a block.
func TestChangeInASkippedEpoch(t *testing.T) {
	w := newCouncil(t)
	w.ok(w.at(1), w.change("k1", 1, 3, 0, fee(2000)), w.change("k2", 1, 3, 0, fee(2000)))
	w.ok(w.at(5))
	if f := w.m.InForce(); f.Number != 1 || f.Since != 5 {
		t.Fatalf("%+v", f)
	}
}

// A member's later approval takes the place of its former one, and one whose
// epoch can no longer be kept lapses.
func TestApprovals(t *testing.T) {
	w := newCouncil(t)
	open := func() string {
		var s []string
		for _, a := range w.m.Approvals() {
			s = append(s, fmt.Sprintf("%d for %d by %d", uint64(a.Params.MinFee), a.Epoch, len(a.Members)))
		}
		slices.Sort(s)
		return fmt.Sprint(s)
	}
	w.ok(w.at(1), w.change("k1", 1, 4, 0, fee(2000)), w.change("k2", 1, 5, 0, fee(3000)))
	if got := open(); got != "[2000 for 4 by 1 3000 for 5 by 1]" {
		t.Fatal(got)
	}
	w.ok(w.at(1)+1, w.change("k1", 1, 4, 0, fee(2500)))
	if got := open(); got != "[2500 for 4 by 1 3000 for 5 by 1]" {
		t.Fatal(got)
	}
	w.ok(w.at(2))
	if got := open(); got != "[2500 for 4 by 1 3000 for 5 by 1]" {
		t.Fatal(got)
	}
	w.ok(w.at(3)) // 3 + 2 > 4
	if got := open(); got != "[3000 for 5 by 1]" {
		t.Fatal(got)
	}
	w.ok(w.at(3)+1, w.change("k3", 1, 5, 0, fee(3000)))
	if s, ok := w.m.Scheduled(); !ok || s.Params.MinFee != 3000 || open() != "[]" {
		t.Fatalf("%+v, %s", s, open())
	}
	// A council that needs three of three keeps two on one content.
	g := w.g
	g.CouncilMin = 3
	w = begin(t, g)
	w.ok(w.at(1), w.change("k1", 1, 9, 0, fee(2000)), w.change("k2", 1, 9, 0, fee(2000)))
	if got := open(); got != "[2000 for 9 by 2]" {
		t.Fatal(got)
	}
	w.ok(w.at(1)+1, w.change("k1", 1, 9, 0, fee(3000)))
	if got := open(); got != "[2000 for 9 by 1 3000 for 9 by 1]" {
		t.Fatal(got)
	}
}

// A longer delay that comes into force makes approvals lapse that it rules out.
func TestDelayChanges(t *testing.T) {
	w := newCouncil(t)
	slow := func(p *genesis.Params) { p.ParamsDelay = 10 }
	w.ok(w.at(1), w.change("k1", 1, 3, 0, slow), w.change("k2", 1, 3, 0, slow))
	w.ok(w.at(3), w.change("k1", 2, 13, 0, fee(2000)))
	if out := w.block(w.at(3)+1, w.change("k2", 2, 12, 0, fee(2000))); out.Results[0].Code != machine.CodeTooEarly {
		t.Fatalf("%+v", out.Results)
	}
	w.ok(w.at(4))
	if len(w.m.Approvals()) != 0 {
		t.Fatal("4 + 10 > 13")
	}
}
