package machine_test

import (
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// worldOf is newWorld with changed parameters.
func worldOf(t testing.TB, change func(*genesis.Params), names ...string) *world {
	t.Helper()
	w := newWorld(t, names...)
	change(&w.g.Params)
	m, err := machine.New(w.g, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.m = m
	return w
}

// doubleVote is a proof that node signed two votes on subject.
func (w *world) doubleVote(node, subject string) slashing.Proof {
	w.t.Helper()
	e := w.m.Head().DirEpoch
	vote := func(score chain.Permille) []byte {
		return statement.Sign(w.domain(), nodeKey(node), statement.LabelVote, statement.NewSequence(e, 0),
			statement.Vote{Subject: nodeID(subject), Epoch: e, Score: score}.Encode()).Encode()
	}
	p, err := slashing.Assemble(slashing.DoubleVote, vote(1), vote(2), w.headers[w.m.Head().Height], w.m.List())
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// Who votes twice loses stake and stays; what it has left does not get away before
// the window is over, and is settled in the first block from then on.
func TestDoubleVote(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	w.serve("a", "n", "m")
	now := w.at(1) + 1
	p := w.doubleVote("n", "m")
	w.ok(now, w.submitProof("b", p.Encode(), 0))
	r, _ := w.m.Slashing().Record(p.ID())
	window := chain.Time(w.g.Params.CorrelationWindow)
	if n, _ := w.m.Registry().Node(nodeID("n")); n.State != registry.Active || r.Total != 40*tun || r.Reward != 20*tun || r.Correlation.Due != now+window {
		t.Fatalf("%s, %+v", n.State, r)
	}
	if r.Correlation.Bonded != 4000*tun {
		t.Errorf("bonded %s", r.Correlation.Bonded)
	}
	w.ok(now+1, w.unlock("n", "a", 0))
	bond, _ := w.m.Staking().Bond(nodeID("n"))
	if bond.HoldUntil != r.Correlation.Due {
		t.Errorf("held until %d, due %d", bond.HoldUntil, r.Correlation.Due)
	}
	w.ok(r.Correlation.Due - 1)
	if r, _ = w.m.Slashing().Record(p.ID()); r.Correlation.Settled != nil {
		t.Fatal("settled before its time")
	}
	burned, supply := w.m.Supply().Burned, w.m.Supply()
	out := w.ok(r.Correlation.Due)
	r, _ = w.m.Slashing().Record(p.ID())
	x := r.Correlation.Settled
	// 3 * 40 / 4,000 of 1,960.
	if x == nil || x.Total != chain.Amount(1960*tun).MulDiv(120, 4000) || x.At != out.Header.Height || x.Stake != 1960*tun || x.Burned != x.Total ||
		w.m.Supply().Burned != burned+x.Total || w.m.Supply().Total != supply.Total {
		t.Fatalf("%+v", x)
	}
	w.ok(r.Correlation.Due)
	if again, _ := w.m.Slashing().Record(p.ID()); again.Correlation.Settled.At != x.At {
		t.Error("settled twice")
	}
	reload(w, t.Fatalf)
}

// Stake that matures before the window is over stays until it is.
func TestHeldUntilSettled(t *testing.T) {
	w := worldOf(t, func(p *genesis.Params) {
		p.EvidenceAge, p.CorrelationWindow = genesis.Minute, 8*genesis.Minute // the unlock takes 10
	}, "a", "b")
	w.serve("a", "n", "m")
	w.ok(w.at(1)+1, w.unlock("n", "a", 0))
	bond, _ := w.m.Staking().Bond(nodeID("n"))
	// Punished within a minute: before the unlock is over, and within nothing else.
	p := w.doubleVote("n", "m")
	now := w.at(2) + chain.Time(w.g.Params.EvidenceAge)
	w.ok(now, w.submitProof("b", p.Encode(), 0))
	if due := now + chain.Time(w.g.Params.CorrelationWindow); due >= bond.UnlockAt {
		t.Fatalf("due at %d, unlocked at %d: genesis promises otherwise", due, bond.UnlockAt)
	}
	// A node that was never fully staked unlocks at once, and is held.
	w.ok(now+1, w.register("short", "b", 500*tun, 0))
	w.m.Staking().Hold(nodeID("short"), now+10_000)
	w.ok(now+2, w.unlock("short", "b", 0))
	if out := w.block(now+3, w.withdraw("short", "b", 0)); out.Results[0].Code != "nothing_due" {
		t.Errorf("held stake: %q", out.Results[0].Code)
	}
	w.ok(now+10_000, w.withdraw("short", "b", 0))
}

// A heartbeat with a version that is not allowed costs stake and the place in the
// lists to come, once for each change.
func TestUnauthorisedSoftware(t *testing.T) {
	w := worldOf(t, func(p *genesis.Params) { p.Versions, p.VersionGrace = []string{"tunic/1"}, 10*genesis.Second }, "a", "b")
	w.serve("a", "n", "m")
	proof := func(node, version string, e chain.Epoch) slashing.Proof {
		head := w.headers[w.m.Head().Height]
		h := statement.Sign(w.domain(), nodeKey(node), statement.LabelHeartbeat, w.next(node, e), statement.Heartbeat{Version: version}.Encode())
		p, err := slashing.AssembleSoftware(h.Encode(), head, w.m.List(), slashing.InForce{Header: head, Proof: w.m.Prove(light.PartParams, []byte{1, 1})})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := proof("n", "old", 1)
	w.ok(w.at(1)+1, w.submitProof("b", p.Encode(), 0))
	n, _ := w.m.Registry().Node(nodeID("n"))
	r, _ := w.m.Slashing().Record(p.ID())
	if n.State != registry.Decommissioned || r.Total != 10*tun || r.Basis != slashing.BasisSelfDeclared || r.Correlation.Due != 0 {
		t.Fatalf("%s, %+v", n.State, r)
	}
	again := proof("n", "older", 1)
	if out := w.block(w.at(1)+2, w.submitProof("b", again.Encode(), 0)); out.Results[0].Code != "already_punished" {
		t.Errorf("a second heartbeat: %q", out.Results[0].Code)
	}
	// Elsewhere it only costs stake.
	w.ok(w.at(1)+3, w.unlock("m", "a", 0))
	w.ok(w.at(1)+4, w.submitProof("b", proof("m", "old", 1).Encode(), 0))
	if n, _ := w.m.Registry().Node(nodeID("m")); n.State != registry.Unlocking || w.m.Staking().Total(nodeID("m")) != 1990*tun {
		t.Errorf("%s with %s", n.State, w.m.Staking().Total(nodeID("m")))
	}
	reload(w, t.Fatalf)
}

// A verdict that the ledger counted is recorded with its votes and takes nothing;
// the proof of it is no transaction.
func TestVerdictIsRecorded(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	w := newWorld(t, names...)
	var txs [][]byte
	for _, n := range names {
		seq := w.next(n, 1)
		txs = append(txs, w.register(n, n, w.g.Params.StakingRequirement, 0), publish(w.descriptor(n, seq, 0)), publish(w.heartbeat(n, seq)))
	}
	w.ok(w.at(0)+100, txs...)
	w.ok(w.at(1))
	v := slashing.QuorumVerdict{Node: nodeID("a"), Operator: address("a"), Epoch: 1,
		Judged: slashing.Judged{All: statement.ReasonAbsent, Any: statement.ReasonAbsent | statement.ReasonLoss, Score: 12}}
	for i, voter := range names[1:] {
		v.Votes = append(v.Votes, statement.Sign(w.domain(), nodeKey(voter), statement.LabelVote, statement.NewSequence(1, 0), statement.Vote{
			Subject: v.Node, Epoch: 1, Reasons: statement.ReasonAbsent | statement.Reasons(i%2)*statement.ReasonLoss, Score: 12}.Encode()).Encode())
	}
	slices.SortFunc(v.Votes, func(a, b []byte) int {
		x, _ := statement.Decode(a)
		y, _ := statement.Decode(b)
		return slices.Compare(x.Node[:], y.Node[:])
	})
	head, list := w.headers[w.m.Head().Height], w.m.List()
	p, err := slashing.AssembleVerdict(v.Node, v.Votes, head, list, slashing.InForce{Header: head, Proof: w.m.Prove(light.PartParams, []byte{1, 1})})
	if err != nil {
		t.Fatal(err)
	}
	if out := w.block(w.at(1)+1, w.submitProof("b", p.Encode(), 0)); out.Results[0].Code != "counted_on_chain" {
		t.Errorf("before: %q", out.Results[0].Code)
	}
	r := w.m.Judged(v)
	if twice := w.m.Judged(v); twice.At != r.At || len(w.m.Slashing().All()) != 1 {
		t.Error("recorded twice")
	}
	w.ok(w.at(2))
	if r.ID != p.ID() || r.Total != 0 || w.m.Staking().Total(v.Node) != w.g.Params.StakingRequirement {
		t.Errorf("%+v", r)
	}
	if out := w.block(w.at(2)+1, w.submitProof("b", p.Encode(), 0)); out.Results[0].Code != "already_punished" {
		t.Errorf("after: %q", out.Results[0].Code)
	}
	got, err := slashing.DecodeRecord(w.m.Prove(light.PartOffences, slashing.RecordKey(r.ID)).Row.Rows[0].Value)
	if err != nil || got.Judged == nil || got.Judged.Any != v.Any || len(got.Judged.Votes) != 4 {
		t.Errorf("%+v, %v", got, err)
	}
	v.Epoch = 2 // votes of another epoch than it says: Check sees it
	w.m.Judged(v)
	if err := w.m.Check(); err == nil {
		t.Error("a verdict without its votes passes")
	}
}
