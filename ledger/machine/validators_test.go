package machine_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// newComet is a world on CometBFT, whose validators v1 to vn are of operators of
// the same names; all of names have 10,000 TUN.
func newComet(t testing.TB, validators []string, names ...string) *world {
	t.Helper()
	g := testGenesis(t, append(slices.Clone(validators), names...)...)
	g.Engine, g.Dev, g.Clock = genesis.EngineComet, false, genesis.ClockReal
	slices.SortFunc(validators, func(a, b string) int { x, y := nodeID(a), nodeID(b); return bytes.Compare(x[:], y[:]) })
	g.Sealers = nil
	for _, v := range validators {
		g.Sealers, g.Operators = append(g.Sealers, nodeID(v)), append(g.Operators, address(v))
	}
	return begin(t, g)
}

func (w *world) validate(node, who string, after int) []byte {
	return w.sign(who, registry.ValidateType.Unsigned(registry.Validate{Head: w.headOf(who, after), Node: nodeID(node)}))
}

func (w *world) resignation(node, who string, after int) []byte {
	return w.sign(who, registry.ResignType.Unsigned(registry.Resign{Head: w.headOf(who, after), Node: nodeID(node)}))
}

// misbehaviour is what an engine says of a validator after a block at the head.
func (w *world) misbehaviour(node string, f slashing.Fault, at chain.Height) []byte {
	h := w.headers[at].Header
	return machine.MisbehaviourTx(slashing.Conclusion{Fault: f, Node: nodeID(node), Height: at, Time: h.Time, Power: 1, Total: 4}).Encode()
}

func TestValidatorsOfGenesis(t *testing.T) {
	w := newComet(t, []string{"v1", "v2"}, "a")
	if v := w.m.Registry().Validators(); len(v) != 2 || v[0] != w.g.Sealers[0] || v[1] != w.g.Sealers[1] {
		t.Fatalf("validators %v", v)
	}
	if s := w.m.Supply(); s.Bonded != 2*w.g.Params.StakingRequirement {
		t.Fatalf("bonded %s", s.Bonded)
	}
	if b := w.m.Account(address("v1")).Balance; b != 10_000*tun-w.g.Params.StakingRequirement {
		t.Fatalf("balance %s", b)
	}
	out := w.ok(w.at(0) + 1)
	if len(out.Validators) != 0 || len(out.Events) != 0 {
		t.Fatalf("a block that changes nothing: %+v, %+v", out.Validators, out.Events)
	}
	// No relay comes of it: there is no VRF key.
	if out := w.block(w.at(0)+2, publish(w.descriptor("v1", w.next("v1", 1), 0)), publish(w.heartbeat("v1", w.next("v1", 1)))); out.Results[1].Code != registry.CodeBadVRF {
		t.Fatalf("results %+v", out.Results)
	}
	if out := w.ok(w.at(1)); out.Header.DirCount != 0 {
		t.Fatal("a validator is listed")
	}
}

func TestValidatorsChange(t *testing.T) {
	w := newComet(t, []string{"v1"}, "a", "b")
	whole := w.g.Params.StakingRequirement
	begun := func(nodes ...string) (out []registry.ValidatorChange) {
		for _, n := range nodes {
			out = append(out, registry.ValidatorChange{Node: nodeID(n), Seals: true})
		}
		slices.SortFunc(out, func(a, b registry.ValidatorChange) int { return bytes.Compare(a.Node[:], b.Node[:]) })
		return out
	}
	one := func(n string, seals bool) []registry.ValidatorChange {
		return []registry.ValidatorChange{{Node: nodeID(n), Seals: seals}}
	}
	refused := func(code string, tx []byte) {
		t.Helper()
		p := w.m.Prepare(tx)
		if out := w.block(w.m.Head().Time+1, tx); out.Results[0].Code != code || len(out.Validators) != 0 {
			t.Fatalf("%+v, want %s", out.Results, code)
		}
		// What asks no stake is found before a block.
		if err := w.m.CheckTx(&p, w.m.Head().Time); code != registry.CodeNotFullyStaked && !errors.Is(err, &chain.Refusal{Code: code}) {
			t.Fatalf("checked: %v, want %s", err, code)
		}
	}
	refused(registry.CodeLastValidator, w.resignation("v1", "v1", 0))
	refused(registry.CodeLastValidator, w.unlock("v1", "v1", 0))
	refused(registry.CodeUnknownNode, w.validate("n", "a", 0))
	w.ok(w.at(0)+100, w.register("n", "a", whole/2, 0), w.register("m", "b", whole, 0))
	refused(registry.CodeNotOperator, w.validate("n", "b", 0))
	refused(registry.CodeNotFullyStaked, w.validate("n", "a", 0))
	refused(registry.CodeNotValidator, w.resignation("n", "a", 0))
	w.ok(w.at(0)+200, w.contribute("n", "b", whole/2, 0))
	if out := w.ok(w.at(0)+201, w.validate("n", "a", 0), w.validate("m", "b", 0)); !slices.Equal(out.Validators, begun("n", "m")) {
		t.Fatalf("changes %+v", out.Validators)
	}
	refused(registry.CodeAlreadyValidator, w.validate("n", "a", 0))
	// Both in one block: nothing has changed.
	if out := w.ok(w.at(0)+300, w.resignation("n", "a", 0), w.validate("n", "a", 1)); len(out.Validators) != 0 {
		t.Fatalf("changes %+v", out.Validators)
	}
	if v, _ := w.m.Registry().Validator(nodeID("n")); v.Since != w.m.Head().Height {
		t.Fatalf("since %d", v.Since)
	}
	if out := w.ok(w.at(0)+400, w.resignation("v1", "v1", 0)); !slices.Equal(out.Validators, one("v1", false)) {
		t.Fatalf("changes %+v", out.Validators)
	}
	// Whoever unlocks seals no more; a contributor may ask.
	if out := w.ok(w.at(0)+500, w.unlock("n", "b", 0)); !slices.Equal(out.Validators, one("n", false)) {
		t.Fatalf("changes %+v", out.Validators)
	}
	refused(registry.CodeWrongState, w.validate("n", "a", 0))
	refused(registry.CodeLastValidator, w.unlock("m", "b", 0))
	if v := w.m.Registry().Validators(); len(v) != 1 || v[0] != nodeID("m") {
		t.Fatalf("validators %v", v)
	}
}

func TestNoValidatorsBesideSealers(t *testing.T) {
	w := newWorld(t, "a")
	w.ok(w.at(0)+1, w.register("n", "a", w.g.Params.StakingRequirement, 0))
	for _, tx := range [][]byte{w.validate("n", "a", 0), w.resignation("n", "a", 0)} {
		if out := w.block(w.m.Head().Time+1, tx); out.Results[0].Code != registry.CodeNoValidators {
			t.Fatalf("results %+v", out.Results)
		}
	}
	if out := w.block(w.m.Head().Time+1, w.misbehaviour("n", slashing.DuplicateVote, 1)); out.Results[0].Code != machine.CodeEngineOnly {
		t.Fatalf("results %+v", out.Results)
	}
}

func TestMisbehaviourIsSlashed(t *testing.T) {
	for _, fault := range []slashing.Fault{slashing.DuplicateVote, slashing.LightAttack} {
		w := newComet(t, []string{"v1", "v2"}, "a")
		w.ok(w.at(0) + 1)
		w.ok(w.at(1))
		tx := w.misbehaviour("v1", fault, 2)
		p := w.m.Prepare(tx)
		if err := w.m.CheckTx(&p, w.m.Head().Time); !errors.Is(err, &chain.Refusal{Code: machine.CodeEngineOnly}) {
			t.Fatalf("from outside: %v", err)
		}
		out := w.ok(w.at(1)+1, tx)
		if want := []registry.ValidatorChange{{Node: nodeID("v1")}}; !slices.Equal(out.Validators, want) {
			t.Fatalf("changes %+v", out.Validators)
		}
		recs := w.m.Slashing().All()
		loss := w.g.Params.SlashDoubleSeal.Of(w.g.Params.StakingRequirement)
		if len(recs) != 1 || recs[0].Kind != slashing.DoubleSeal || recs[0].Total != loss || recs[0].Burned != loss || recs[0].Height != 2 || recs[0].Epoch != 1 {
			t.Fatalf("records %+v", recs)
		}
		if n, _ := w.m.Registry().Node(nodeID("v1")); n.State != registry.Tombstoned {
			t.Fatalf("state %s", n.State)
		}
		if out := w.block(w.at(1)+2, tx); out.Results[0].Code != slashing.ErrAlreadyPunished.Code {
			t.Fatalf("twice: %+v", out.Results)
		}
		// What is loaded from rows is what is there.
		m, err := machine.Load(w.g.Core, w.g.Hash(), w.m.Head(), rowsOf(w.m), w.m.List(), indexOf(w.headers))
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := m.Slashing().Record(recs[0].ID); !ok || r.Concluded == nil || r.Concluded.Fault != fault || r.Concluded.Total != 4 {
			t.Fatalf("loaded %+v", r)
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		// The last one seals on: nobody else could say that it may not.
		w.ok(w.at(1)+3, w.misbehaviour("v2", fault, 3))
		if v := w.m.Registry().Validators(); len(v) != 1 || v[0] != nodeID("v2") {
			t.Fatalf("validators %v", v)
		}
	}
}

func TestMisbehaviourRefused(t *testing.T) {
	w := newComet(t, []string{"v1", "v2"}, "a")
	w.ok(w.at(0) + 1)
	bad := machine.MisbehaviourTx(slashing.Conclusion{Fault: 3, Node: nodeID("v1"), Height: 1})
	for _, c := range []struct {
		tx   []byte
		code string
	}{
		{bad.Encode(), machine.CodeMalformed},
		{chain.Tx{Kind: chain.KindMisbehaviour, Payload: append(bad.Payload, 0)}.Encode(), machine.CodeMalformed},
		{machine.MisbehaviourTx(slashing.Conclusion{Fault: 1, Node: nodeID("v1"), Height: 99, Time: 1}).Encode(), machine.CodeMalformed},
		{w.misbehaviour("nobody", slashing.DuplicateVote, 1), slashing.ErrUnknownNode.Code},
	} {
		if out := w.block(w.m.Head().Time, c.tx); out.Results[0].Code != c.code || len(w.m.Slashing().All()) != 0 {
			t.Errorf("%+v, want %s", out.Results, c.code)
		}
	}
	// Evidence ages.
	old := w.misbehaviour("v1", slashing.DuplicateVote, 1)
	late := w.m.Head().Time + 2*chain.Time(w.g.Params.EvidenceAge) + chain.Time(w.g.Params.EpochLength)
	if out := w.block(late, old); out.Results[0].Code != slashing.ErrExpired.Code {
		t.Errorf("late: %+v", out.Results)
	}
}
