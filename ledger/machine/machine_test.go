package machine_test

import (
	"errors"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/staking"
)

func TestSchemasCoverAllKinds(t *testing.T) {
	all := machine.Schemas()
	for i, k := range []chain.Kind{chain.KindTransfer, chain.KindRegister, chain.KindContribute, chain.KindRequestUnlock, chain.KindWithdraw, chain.KindSubmitProof,
		chain.KindChangeParams, chain.KindChallenge, chain.KindCommitDisclosure, chain.KindValidate, chain.KindResign} {
		if i >= len(all) || all[i].Kind != k {
			t.Fatalf("schema %d is not of kind %d", i, k)
		}
	}
	if _, ok := machine.SchemaOf(chain.KindPublish); ok || len(all) != 11 {
		t.Fatal("a publish has no account signature")
	}
}

func TestLifeOfANode(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	half := w.g.Params.StakingRequirement / 2
	w.ok(w.at(0), w.register("n", "a", half, 0))
	seq := w.next("n", 1)
	w.ok(w.at(0)+1000, w.contribute("n", "b", half, 0), publish(w.descriptor("n", seq, 0)), publish(w.heartbeat("n", seq)))

	out := w.ok(w.at(1))
	if out.List == nil || out.Header.DirCount != 1 || out.Header.DirEpoch != 1 {
		t.Fatalf("header %+v", out.Header)
	}
	if want := beacon.Next(beacon.Zero(w.g.Hash()), nil); out.Header.Beacon != want {
		t.Fatal("epoch 1's beacon has no VRF input")
	}
	if len(out.Events) != 1 || out.Events[0].To != registry.Active {
		t.Fatalf("events %+v", out.Events)
	}
	first := out.Header
	out = w.ok(w.at(1)+1000, publish(w.heartbeat("n", w.next("n", 1))), w.transfer("a", "c", 5*tun, 0))
	if out.Header.Beacon != first.Beacon || out.Header.Directory != first.Directory || out.List != nil {
		t.Fatal("beacon or list changed within an epoch")
	}
	if w.m.Staking().Outstanding() == 0 {
		t.Fatal("no reward")
	}
	w.ok(w.at(1)+2000, w.withdraw("n", "b", 0), w.unlock("n", "b", 0+1))
	if n, _ := w.m.Registry().Node(nodeID("n")); n.State != registry.Unlocking {
		t.Fatalf("state %s", n.State)
	}
	if out := w.ok(w.at(2)); out.Header.DirCount != 0 {
		t.Fatal("an unlocking node is listed")
	}
	if out := w.block(w.at(2)+10, w.withdraw("n", "a", 0), w.withdraw("n", "b", 0)); out.Results[1].Code != staking.CodeNothingDue {
		t.Fatalf("withdrew before the delay: %+v", out.Results)
	}
	w.ok(w.at(2)+chain.Time(w.g.Params.UnlockDelay), w.withdraw("n", "a", 0), w.withdraw("n", "b", 0))
	if s := w.m.Supply(); s.Bonded != 0 {
		t.Fatalf("supply %+v", s)
	}
}

func TestProofsPunish(t *testing.T) {
	for _, byNode := range []bool{false, true} {
		w := newWorld(t, "a", "b", "c")
		w.serve("a", "n", "m")
		p := w.equivocation("n")
		var tx []byte
		reporter := "c"
		if byNode {
			reporter = "a"
			tx = publish(statement.Sign(w.domain(), nodeKey("m"), statement.LabelProof, w.next("m", 1), p.Encode()))
		} else {
			tx = w.submitProof("c", p.Encode(), 0)
		}
		before := w.m.Account(address(reporter)).Balance
		out := w.ok(w.at(1)+1, tx)
		if len(out.Header.Removals) != 1 || out.Header.Removals[0] != nodeID("n") {
			t.Fatalf("removals %v", out.Header.Removals)
		}
		rec, ok := w.m.Slashing().Record(p.ID())
		loss := w.g.Params.SlashDoubleDescriptor.Of(w.g.Params.StakingRequirement)
		if !ok || rec.Total != loss || rec.Reporter != address(reporter) || rec.Reward != loss/2 {
			t.Fatalf("record %+v", rec)
		}
		gain := w.m.Account(address(reporter)).Balance - before
		if want := loss / 2; gain != want && gain != want-w.g.Params.MinFee {
			t.Fatalf("the reporter got %s, want %s", gain, want)
		}
		if b, _ := w.m.Staking().Bond(nodeID("n")); b.LockedUntil == 0 || b.Active {
			t.Fatalf("bond %+v", b)
		}
		if out := w.block(w.at(1)+2, w.submitProof("b", p.Encode(), 0)); out.Results[0].Code != "already_punished" {
			t.Fatalf("twice: %+v", out.Results)
		}
		if out := w.ok(w.at(2)); len(out.Header.Removals) != 0 || out.Header.DirCount != 1 {
			t.Fatalf("next epoch %+v", out.Header)
		}
	}
}

func TestSkippedEpochs(t *testing.T) {
	w := newWorld(t, "a")
	w.serve("a", "n")
	beacon1, given := w.m.Head().Beacon, w.m.Registry().Contributions(1)
	if len(given) != 1 {
		t.Fatalf("contributions %v", given)
	}
	out := w.ok(w.at(7) + 3)
	if out.Header.DirEpoch != 7 || out.List.Epoch != 7 || out.Header.DirCount != 0 {
		t.Fatalf("header %+v", out.Header)
	}
	if out.Header.Beacon != beacon.Next(beacon1, given) {
		t.Fatal("the beacon of the last epoch entered follows that of the last before")
	}
}

func TestProposeReplayAndLoad(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	w.serve("a", "n")
	rows := rowsOf(w.m)
	index := indexOf(w.headers)
	twin, err := machine.Load(w.g.Core, w.g.Hash(), w.m.Head(), rows, w.m.List(), index)
	if err != nil {
		t.Fatal(err)
	}
	txs := w.m.PrepareAll([][]byte{
		w.transfer("a", "b", 3, 0), w.transfer("b", "c", 1<<62, 0), w.transfer("c", "a", 4, 1),
		w.transfer("a", "b", 3, 1), publish(w.heartbeat("n", w.next("n", 1))),
	})
	out, err := w.m.Propose(machine.Input{Height: w.m.Head().Height + 1, Time: w.at(1) + 5000, Proposer: nodeID("sealer"), Txs: txs})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Included) != 3 || len(out.Refused) != 2 || out.Refused[0].Why.Code != machine.CodeInsufficientFunds || out.Refused[1].Why.Code != machine.CodeNonceGap {
		t.Fatalf("included %v, refused %+v", out.Included, out.Refused)
	}
	var in []machine.Prepared
	for _, i := range out.Included {
		in = append(in, txs[i])
	}
	got, err := twin.Replay(out.Header, in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Changes {
		if len(got.Changes[i]) != len(out.Changes[i]) {
			t.Fatalf("part %s: %d rows changed, %d in the replay", machine.Part(i), len(out.Changes[i]), len(got.Changes[i]))
		}
	}
	bad := out.Header
	bad.Height, bad.Parent, bad.Time = bad.Height+1, out.Header.Hash(), bad.Time+1
	bad.State[0] ^= 1
	if _, err := twin.Replay(bad, nil); !errors.Is(err, machine.ErrMismatch) {
		t.Fatalf("a wrong state root: %v", err)
	}
	rows[0][0].Value[0] ^= 1
	if _, err := machine.Load(w.g.Core, w.g.Hash(), w.m.Head(), rows, w.m.List(), index); !errors.Is(err, machine.ErrState) {
		t.Fatalf("a changed row: %v", err)
	}
}

func rowsOf(m *machine.Machine) (rows [machine.Parts][]table.Row) {
	for i := range rows {
		rows[i] = m.Rows(machine.Part(i))
	}
	return rows
}

type indexOf map[chain.Height]chain.SealedHeader

func (x indexOf) HeaderHash(h chain.Height) (chain.Hash, bool) {
	s, ok := x[h]
	return s.Header.Hash(), ok
}

func (x indexOf) ValidatorsAfter(h chain.Height) ([]chain.NodeID, bool) { return nil, false }

func TestInputMustFollow(t *testing.T) {
	w := newWorld(t, "a")
	w.ok(w.at(0) + 50)
	root := w.m.Head()
	for name, in := range map[string]machine.Input{
		"height again": {Height: 1, Time: w.at(0) + 60},
		"height gap":   {Height: 3, Time: w.at(0) + 60},
		"time back":    {Height: 2, Time: w.at(0) + 49},
		"too many":     {Height: 2, Time: w.at(0) + 60, Txs: make([]machine.Prepared, chain.MaxBlockTxs+1)},
		"too large":    {Height: 2, Time: w.at(0) + 60, Txs: []machine.Prepared{{Bytes: make([]byte, machine.MaxBlockBytes+1)}}},
	} {
		if _, err := w.m.Apply(in); !errors.Is(err, machine.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.m.Head().Hash() != root.Hash() {
		t.Fatal("a refused input changed the machine")
	}
	raise := machine.Dev{Op: machine.DevRevert, Height: 2, Fork: 3}
	out, err := w.m.Apply(machine.Input{Height: 2, Time: w.at(0) + 60, Fork: 3, Txs: w.m.PrepareAll([][]byte{raise.Tx().Encode()})})
	if err != nil || out.Header.Fork != 3 || w.m.Fork() != 3 {
		t.Fatalf("fork raised: %+v, %v", out.Header, err)
	}
	if _, err := w.m.Apply(machine.Input{Height: 3, Time: w.at(0) + 60, Fork: 2}); !errors.Is(err, machine.ErrInput) {
		t.Fatalf("fork lowered: %v", err)
	}
}

func TestStateProof(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.ok(w.at(0), w.transfer("a", "b", 7*tun, 0))
	for _, c := range []struct {
		who  string
		have bool
	}{{"a", true}, {"b", true}, {"stranger", false}} {
		k := w.m.AccountKey(address(c.who))
		p := w.m.Prove(machine.PartAccounts, k)
		v, ok, err := p.Verify(w.m.Head().State, k)
		if err != nil || ok != c.have || (ok && len(v) != 16) {
			t.Errorf("%s: %v %v", c.who, ok, err)
		}
		p.Roots[machine.PartStakes].Count++
		if _, _, err := p.Verify(w.m.Head().State, k); err == nil {
			t.Errorf("%s: verifies with another count", c.who)
		}
	}
}
