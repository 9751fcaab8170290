package machine_test

import (
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// kept is an item of five chunks, its deletion token, and its receipt.
type kept struct {
	content []byte
	token   [32]byte
	receipt statement.Statement
	promise statement.Receipt
}

// keep makes an item and node's receipt for it; n tells items apart.
func (w *world) keep(node string, n byte, until chain.Time) kept {
	k := kept{content: make([]byte, 5*statement.ChunkSize), token: [32]byte{n, 1}}
	for i := range k.content {
		k.content[i] = n + byte(i/statement.ChunkSize)
	}
	k.promise = statement.Receipt{Chunks: rootOf(statement.AnswerOf(k.content, 0), 0), Class: 5, Until: until, Deleter: statement.DeleterOf(k.token)}
	k.receipt = statement.Sign(w.domain(), nodeKey(node), statement.LabelReceipt, 0, k.promise.Encode())
	return k
}

func (w *world) challenge(who string, k kept, deposit chain.Amount, after int) []byte {
	return w.sign(who, slashing.ChallengeType.Unsigned(slashing.OpenChallenge{Head: w.headOf(who, after), Receipt: k.receipt.Encode(), Deposit: deposit}))
}

func (w *world) challengeOf(k kept) slashing.Challenge {
	c, _ := w.m.Slashing().Challenge(slashing.ChallengeID(w.g.Hash(), k.receipt))
	return c
}

// answer is node's for the challenge of k as it stands; chunk is added to the one
// that was drawn.
func (w *world) answer(node string, k kept, chunk uint8) []byte {
	c := w.challengeOf(k)
	a := statement.AnswerOf(k.content, (c.Chunk+chunk)%5)
	a.Challenge, a.Height = c.ID, c.Height
	return publish(statement.Sign(w.domain(), nodeKey(node), statement.LabelAnswer, 0, a.Encode()))
}

func (w *world) deleted(node string, k kept, token [32]byte) []byte {
	c := w.challengeOf(k)
	a := statement.Answer{Challenge: c.ID, Height: c.Height, Token: &token}
	return publish(statement.Sign(w.domain(), nodeKey(node), statement.LabelAnswer, 0, a.Encode()))
}

// lost is the proof that the message was lost, with the header of the head.
func (w *world) lost(k kept) (slashing.Proof, error) {
	id := slashing.ChallengeID(w.g.Hash(), k.receipt)
	return slashing.AssembleLost(w.headers[w.m.Head().Height], w.m.Prove(light.PartOffences, slashing.ChallengeKey(id)))
}

// until seals the first block of each epoch before t, and one at t: an honest
// ledger skips none.
func (w *world) until(t chain.Time, txs ...[]byte) machine.Output {
	w.t.Helper()
	for e := w.m.Head().DirEpoch + 1; w.at(e) < t; e++ {
		w.ok(w.at(e))
	}
	return w.ok(t, txs...)
}

func refuses(t *testing.T, out machine.Output, codes ...string) {
	t.Helper()
	for i, want := range codes {
		if got := out.Results[i].Code; got != want {
			t.Errorf("transaction %d: %q, want %q", i, got, want)
		}
	}
}

const deposit = 10_000 // ten times the least fee of a dev network

func TestAnswered(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.serve("a", "n", "m")
	window := chain.Time(w.g.Params.ChallengeWindow)
	k, gone := w.keep("n", 1, w.at(3)), w.keep("n", 2, w.at(3))
	had := w.m.Account(address("a")).Balance
	w.ok(w.at(1)+1, w.challenge("b", k, deposit, 0), w.challenge("b", gone, 3*deposit, 1))
	if s := w.m.Supply(); s.Held != 4*deposit {
		t.Fatalf("%+v", s)
	}
	refuses(t, w.block(w.at(1)+2, w.answer("n", k, 0), w.challenge("a", k, deposit, 0)), "not_drawn", "already_challenged")
	w.ok(w.at(2) + 7)
	c := w.challengeOf(k)
	if c.Drawn != 2 || c.Due != w.at(2)+7+window || c.Chunk > 4 {
		t.Fatalf("%+v", c)
	}
	refuses(t, w.block(w.at(2)+8, w.answer("n", k, 1), w.answer("m", k, 0), w.deleted("n", k, gone.token)), "wrong_answer", "no_such_challenge", "wrong_answer")
	// An answer in the block that would let it lapse still counts.
	w.until(c.Due, w.answer("n", k, 0), w.deleted("n", gone, gone.token))
	if got := w.m.Account(address("a")).Balance; got != had+4*deposit || w.m.Supply().Held != 0 || w.m.Slashing().ChallengeCount() != 0 {
		t.Fatalf("the operator has %s, had %s", got, had)
	}
	if _, err := w.lost(k); err == nil {
		t.Fatal("a message that was shown is proven lost")
	}
	reload(w, t.Fatalf)
}

func TestAnsweredAgain(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.serve("a", "n")
	k := w.keep("n", 1, w.at(5))
	w.ok(w.at(1)+1, w.challenge("b", k, deposit, 0))
	w.ok(w.at(2))
	first := w.answer("n", k, 0)
	w.ok(w.at(2)+1, first)
	w.ok(w.at(2)+2, w.challenge("b", k, deposit, 0))
	w.ok(w.at(3))
	refuses(t, w.block(w.at(3)+1, first), "no_such_challenge") // another height
	w.ok(w.at(3)+2, w.answer("n", k, 0))
}

func TestLost(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	w.serve("a", "n", "m")
	k := w.keep("n", 1, w.at(30))
	w.ok(w.at(1)+1, w.challenge("b", k, deposit, 0))
	had := w.m.Account(address("b")).Balance
	w.ok(w.at(2))
	due := w.challengeOf(k).Due
	w.until(due - 1)
	if p, err := w.lost(k); code(err) != "not_lapsed" {
		t.Fatalf("%v, %v", p, err)
	}
	out := w.ok(due)
	c := w.challengeOf(k)
	if c.Lapsed == nil || c.Lapsed.Height != out.Header.Height || w.m.Account(address("b")).Balance != had+deposit {
		t.Fatalf("%+v", c)
	}
	if bond, _ := w.m.Staking().Bond(nodeID("n")); bond.HoldUntil != c.Lapsed.Until {
		t.Fatalf("held until %d", bond.HoldUntil)
	}
	p, err := w.lost(k)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, w.block(due+1, w.answer("n", k, 0), w.challenge("c", k, deposit, 0)), "no_such_challenge", "already_challenged")
	w.ok(due+2, w.submitProof("c", p.Encode(), 0))
	r, _ := w.m.Slashing().Record(p.ID())
	if r.ID != c.ID || r.Basis != slashing.BasisUnanswered || r.Total != 20*tun || r.Operator != address("a") || r.Reward != 10*tun {
		t.Fatalf("%+v", r)
	}
	if n, _ := w.m.Registry().Node(nodeID("n")); n.State != registry.Active {
		t.Fatalf("the node is %s", n.State)
	}
	refuses(t, w.block(due+3, w.submitProof("b", p.Encode(), 0)), "already_punished")
	w.until(c.Lapsed.Until)
	if w.m.Slashing().ChallengeCount() != 1 {
		t.Fatal("its row went before its time")
	}
	w.ok(c.Lapsed.Until + 1)
	if w.m.Slashing().ChallengeCount() != 0 {
		t.Fatal("its row stays for ever")
	}
	reload(w, t.Fatalf)
}

// The penalty goes by size: a receipt for two of five chunks costs two fifths.
func TestLostBySize(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.serve("a", "n")
	for class, want := range map[uint8]chain.Amount{2: 8 * tun, 5: 20 * tun, 125: 20 * tun} {
		k := w.keep("n", class, w.at(100))
		k.promise.Class = class
		k.receipt = statement.Sign(w.domain(), nodeKey("n"), statement.LabelReceipt, 0, k.promise.Encode())
		w.ok(w.m.Head().Time+1, w.challenge("b", k, deposit, 0))
		w.ok(w.at(w.m.Head().DirEpoch + 1))
		w.until(w.challengeOf(k).Due)
		p, err := w.lost(k)
		if err != nil {
			t.Fatal(err)
		}
		before := w.m.Staking().StakeAt(nodeID("n"), w.challengeOf(k).Lapsed.Epoch)
		w.ok(w.m.Head().Time, w.submitProof("b", p.Encode(), 0))
		if r, _ := w.m.Slashing().Record(p.ID()); r.Total != want.MulDiv(uint64(before), uint64(2000*tun)) {
			t.Errorf("class %d: %s of %s", class, r.Total, before)
		}
	}
}

func TestChallengeRefusals(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	w.serve("a", "n", "m")
	now := w.at(1) + 1
	k := w.keep("n", 1, w.at(3))
	with := func(change func(*kept)) kept {
		x := k
		change(&x)
		return x
	}
	signed := func(node string, l statement.Label, seq statement.Sequence, d statement.Domain, change func(*statement.Receipt)) kept {
		x := k
		change(&x.promise)
		x.receipt = statement.Sign(d, nodeKey(node), l, seq, x.promise.Encode())
		return x
	}
	same := func(*statement.Receipt) {}
	fork := w.domain()
	fork.Fork = 1
	for _, c := range []struct {
		name, code string
		k          kept
		deposit    chain.Amount
	}{
		{"a heartbeat", "malformed_receipt", signed("n", statement.LabelHeartbeat, 0, w.domain(), same), deposit},
		{"a sequence", "malformed_receipt", signed("n", statement.LabelReceipt, 1, w.domain(), same), deposit},
		{"no chunks", "malformed_receipt", signed("n", statement.LabelReceipt, 0, w.domain(), func(x *statement.Receipt) { x.Class = 0 }), deposit},
		{"another fork", "wrong_fork", signed("n", statement.LabelReceipt, 0, fork, same), deposit},
		{"a stranger", "unknown_node", signed("stranger", statement.LabelReceipt, 0, w.domain(), same), deposit},
		{"over", "promise_over", signed("n", statement.LabelReceipt, 0, w.domain(), func(x *statement.Receipt) { x.Until = now - 1 }), deposit},
		{"a small deposit", "deposit_too_low", k, deposit - 1},
		{"another key", "bad_signature", with(func(x *kept) { x.receipt.Sig[0] ^= 1 }), deposit},
		{"more than there is", "insufficient_funds", k, 20_000 * tun},
	} {
		refuses(t, w.block(now, w.challenge("b", c.k, c.deposit, 0)), c.code)
		if w.m.Slashing().ChallengeCount() != 0 {
			t.Fatalf("%s is open", c.name)
		}
	}
	var txs [][]byte
	for i := range slashing.MaxOpen {
		txs = append(txs, w.challenge("b", w.keep("n", byte(10+i), now), deposit, i))
	}
	w.ok(now, txs...)
	refuses(t, w.block(now, w.challenge("b", k, deposit, 0), w.challenge("b", w.keep("m", 1, now), deposit, 0)), "too_many_challenges", "")
}

// A node that unlocks, is decommissioned or deregistered stays responsible, and
// can answer.
func TestResponsibleToTheEnd(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.serve("a", "n", "m")
	k, l := w.keep("n", 1, w.at(20)), w.keep("m", 1, w.at(20))
	w.ok(w.at(1)+1, w.unlock("n", "a", 0))
	w.ok(w.at(1)+2, w.challenge("b", k, deposit, 0), w.challenge("b", l, deposit, 1))
	w.ok(w.at(2))
	w.ok(w.at(2)+1, w.answer("n", k, 0))
	w.ok(w.at(2)+2, w.challenge("b", k, deposit, 0))
	w.ok(w.at(3))
	due := w.challengeOf(k).Due
	w.until(due)
	if n, _ := w.m.Registry().Node(nodeID("n")); n.State != registry.Unlocking {
		t.Fatal(n.State)
	}
	for _, k := range []kept{k, l} {
		p, err := w.lost(k)
		if err != nil {
			t.Fatal(err)
		}
		w.ok(due, w.submitProof("b", p.Encode(), 0))
	}
}

// While nothing is sealed nobody can answer: what is due moves by as much.
func TestStallMovesWhatIsDue(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.serve("a", "n")
	k := w.keep("n", 1, w.at(20))
	w.ok(w.at(1)+1, w.challenge("b", k, deposit, 0))
	w.ok(w.at(2))
	due := w.challengeOf(k).Due
	w.ok(w.at(40))
	c := w.challengeOf(k)
	if c.Lapsed != nil || c.Due != due+w.at(40)-w.at(2) {
		t.Fatalf("%+v", c)
	}
	w.ok(c.Due-1, w.answer("n", k, 0))
}

// A receipt of a fork that was given up binds nobody.
func TestForkEndsChallenges(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.serve("a", "n")
	k := w.keep("n", 1, w.at(20))
	had := w.m.Account(address("b")).Balance
	w.ok(w.at(1)+1, w.challenge("b", k, deposit, 0))
	raise := machine.Dev{Op: machine.DevRevert, Height: w.m.Head().Height + 1, Fork: 1}
	out, err := w.m.Apply(machine.Input{Height: w.m.Head().Height + 1, Time: w.at(1) + 2, Proposer: nodeID("sealer"), Fork: 1,
		Txs: w.m.PrepareAll([][]byte{raise.Tx().Encode()})})
	if err != nil {
		t.Fatal(err)
	}
	w.remember(out.Header)
	if err := w.m.Check(); err != nil {
		t.Fatal(err)
	}
	if w.m.Slashing().ChallengeCount() != 0 || w.m.Account(address("b")).Balance != had-w.g.Params.MinFee {
		t.Fatal("the challenge lives on")
	}
	refuses(t, w.block(w.at(1)+3, w.challenge("b", k, deposit, 0)), "wrong_fork")
}

// rootOf is the root that an answer's path leads to.
func rootOf(a statement.Answer, index uint8) chain.Hash {
	path := make([]merkle.Hash, len(a.Path))
	for i := range a.Path {
		path[i] = merkle.Hash(a.Path[i])
	}
	root, err := merkle.RootFromPath(merkle.Leaf(a.Chunk[:]), uint64(index), 5, path)
	if err != nil {
		panic(err)
	}
	return chain.Hash(root)
}
