package machine_test

import (
	"slices"
	"testing"

	"github.com/cloudflare/circl/dh/x25519"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// realKey is the variant of a descriptor whose onion key has a private half.
const realKey = 9

func onionKey(node string) (private, public x25519.Key) {
	private = x25519.Key(seed("onion " + node))
	x25519.KeyGen(&public, &private)
	return private, public
}

// telling is a disclosure by who of a key of node, committed to in epoch.
type telling struct {
	who, node string
	key       statement.KeyKind
	first     chain.Epoch // of the onion key
	epoch     chain.Epoch
	salt      [32]byte
}

func (x telling) commitment(w *world) chain.Hash {
	return slashing.Commitment(w.g.Hash(), nodeID(x.node), x.key, x.first, address(x.who), x.salt)
}

func (x telling) commitKey(w *world) slashing.CommitKey {
	return slashing.CommitKey{Epoch: x.epoch, Account: address(x.who), Hash: x.commitment(w)}
}

func (w *world) commit(x telling, after int) []byte {
	return w.sign(x.who, slashing.CommitDisclosureType.Unsigned(slashing.CommitDisclosure{Head: w.headOf(x.who, after),
		Commitment: x.commitment(w), Deposit: slashing.LeastDeposit(&w.g.Params)}))
}

// disclose makes the proof of x under the head.
func (w *world) disclose(x telling) (slashing.Proof, error) {
	return discloseUnder(x, w.headers[w.m.Head().Height], w.m, w.domain())
}

func discloseUnder(x telling, head chain.SealedHeader, m *machine.Machine, d statement.Domain) (slashing.Proof, error) {
	w := &world{g: genesis.Genesis{}, m: m}
	key := slashing.CommitKey{Epoch: x.epoch, Account: address(x.who), Hash: slashing.Commitment(m.Genesis(), nodeID(x.node), x.key, x.first, address(x.who), x.salt)}
	o := slashing.Opening{Key: x.key, First: x.first, Reporter: address(x.who), Salt: x.salt, Committed: x.epoch, Commit: w.m.Prove(light.PartOffences, key.Key())}
	msg, err := slashing.Disclosing(head, m.List(), nodeID(x.node), o)
	if err != nil {
		return slashing.Proof{}, err
	}
	if x.key == statement.KeyIdentity {
		o.Sig = d.DiscloseIdentity(nodeKey(x.node), msg)
	} else {
		private, public := onionKey(x.node)
		if o.Sig, err = d.DiscloseOnion(private, public, msg, [64]byte{1}); err != nil {
			return slashing.Proof{}, err
		}
	}
	return slashing.AssembleDisclosure(head, m.List(), nodeID(x.node), o)
}

// onionWorld has two nodes of a's in the list of epoch 1, with onion keys of epoch
// 1 whose private halves are known; b and c are accounts.
func onionWorld(t testing.TB) *world {
	w := newWorld(t, "a", "b", "c")
	var txs [][]byte
	for i, n := range []string{"n", "m"} {
		seq := w.next(n, 1)
		txs = append(txs, w.register(n, "a", w.g.Params.StakingRequirement, i), publish(w.descriptor(n, seq, realKey)), publish(w.heartbeat(n, seq)))
	}
	w.ok(w.at(0)+100, txs...)
	w.ok(w.at(1))
	return w
}

// Whoever knows a node's key commits to it, signs over the next beacon, and takes
// all of the operator's stake from it; half of that is paid when the commit ends.
func TestKeyDisclosure(t *testing.T) {
	for _, key := range []statement.KeyKind{statement.KeyOnion, statement.KeyIdentity} {
		w := onionWorld(t)
		x := telling{who: "b", node: "n", key: key, epoch: 1, salt: [32]byte{5}}
		if key == statement.KeyOnion {
			x.first = 1
		}
		w.ok(w.at(1)+10, w.commit(x, 0))
		fee, deposit := w.g.Params.MinFee, slashing.LeastDeposit(&w.g.Params)
		if got := w.m.Account(address("b")).Balance; got != 10_000*tun-fee-deposit {
			t.Fatalf("%s: balance %s", key, got)
		}
		if _, err := w.disclose(x); code(err) != "early_beacon" {
			t.Fatalf("%s: before the next beacon: %v", key, err)
		}
		w.ok(w.at(2))
		p, err := w.disclose(x)
		if err != nil {
			t.Fatal(err)
		}
		head := w.m.Head()
		// Who copies it is refused, under its own name too.
		copied := p
		copied.Opening.Reporter = address("c")
		for want, tx := range map[string][]byte{"wrong_reporter": w.submitProof("c", p.Encode(), 0), "bad_state": w.submitProof("c", copied.Encode(), 0)} {
			if out := w.block(w.m.Head().Time+1, tx); out.Results[0].Code != want {
				t.Errorf("%s: copied: %q, want %s", key, out.Results[0].Code, want)
			}
		}
		out := w.ok(w.m.Head().Time+1, w.submitProof("b", p.Encode(), 0))
		r, ok := w.m.Slashing().Record(p.ID())
		n, _ := w.m.Registry().Node(nodeID("n"))
		if !ok || r.Total != 2000*tun || r.Stake != 2000*tun || r.Reward != 1000*tun || r.Reporter != address("b") || r.Basis != slashing.BasisSignature ||
			r.Epoch != 2 || r.Correlation.Due == 0 || n.State != registry.Tombstoned || !slices.Contains(out.Header.Removals, nodeID("n")) {
			t.Fatalf("%s: %+v, %s", key, r, n.State)
		}
		if w.m.Supply().Held != deposit+1000*tun {
			t.Errorf("%s: held %s", key, w.m.Supply().Held)
		}
		if out := w.block(w.m.Head().Time, w.submitProof("b", p.Encode(), 0)); out.Results[0].Code != "already_punished" {
			t.Errorf("%s: twice: %q", key, out.Results[0].Code)
		}
		ends := head.Height + slashing.CommitLife
		for w.m.Head().Height < ends-1 {
			w.ok(w.m.Head().Time + 1)
		}
		if got := w.m.Account(address("b")).Balance; got != 10_000*tun-2*fee-deposit {
			t.Errorf("%s: paid before its commit ended: %s", key, got)
		}
		w.ok(w.m.Head().Time + 1)
		if got := w.m.Account(address("b")).Balance; got != 11_000*tun-2*fee || w.m.Supply().Held != 0 {
			t.Errorf("%s: balance %s", key, got)
		}
		reload(w, t.Fatalf)
	}
}

// Two know the key: whose commit is older is paid, though the other reveals first,
// and both have their deposits back.
func TestOlderCommitIsPaid(t *testing.T) {
	w := onionWorld(t)
	older := telling{who: "b", node: "n", key: statement.KeyOnion, first: 1, epoch: 1, salt: [32]byte{1}}
	younger := older
	younger.who, younger.salt = "c", [32]byte{2}
	w.ok(w.at(1)+10, w.commit(older, 0), w.commit(younger, 0))
	w.ok(w.at(2))
	opened := w.m.Head().Height
	late, err := w.disclose(younger)
	if err != nil {
		t.Fatal(err)
	}
	w.ok(w.at(2)+1, w.submitProof("c", late.Encode(), 0))
	first, err := w.disclose(older)
	if err != nil {
		t.Fatal(err)
	}
	w.ok(w.at(2)+2, w.submitProof("b", first.Encode(), 0))
	if r, _ := w.m.Slashing().Record(late.ID()); r.Reporter != address("b") || string(r.Proof) != string(first.Encode()) || r.At != opened+1 {
		t.Errorf("%+v", r)
	}
	for w.m.Head().Height < opened+slashing.CommitLife {
		w.ok(w.m.Head().Time)
	}
	fee := w.g.Params.MinFee
	if b, c := w.m.Account(address("b")).Balance, w.m.Account(address("c")).Balance; b != 11_000*tun-2*fee || c != 10_000*tun-2*fee {
		t.Errorf("b has %s, c %s", b, c)
	}
}

// An operator that reports itself loses more than it gains, with a commit that it
// keeps as an insurance too.
func TestSelfDisclosure(t *testing.T) {
	w := onionWorld(t)
	x := telling{who: "a", node: "n", key: statement.KeyIdentity, epoch: 1}
	w.ok(w.at(1)+10, w.commit(x, 0))
	w.ok(w.at(2))
	owned := func() chain.Amount {
		b, _ := w.m.Staking().Bond(nodeID("n"))
		return w.m.Account(address("a")).Balance + b.Total() + slashing.LeastDeposit(&w.g.Params)
	}
	before, opened := owned(), w.m.Head().Height
	p, err := w.disclose(x)
	if err != nil {
		t.Fatal(err)
	}
	w.ok(w.at(2)+1, w.submitProof("a", p.Encode(), 0))
	for w.m.Head().Height < opened+slashing.CommitLife {
		w.ok(w.m.Head().Time)
	}
	if after := owned() - slashing.LeastDeposit(&w.g.Params); before-after < 1000*tun {
		t.Errorf("%s before, %s after", before, after)
	}
	// An insurance that is not needed costs its deposit each time.
	y := telling{who: "a", node: "m", key: statement.KeyIdentity, epoch: w.m.Head().DirEpoch}
	burned := w.m.Supply().Burned
	w.ok(w.m.Head().Time, w.commit(y, 0))
	w.ok(w.at(w.m.Head().DirEpoch + 1))
	for range slashing.CommitLife {
		w.ok(w.m.Head().Time)
	}
	if got := w.m.Supply().Burned - burned; got < slashing.LeastDeposit(&w.g.Params) || w.m.Supply().Held != 0 {
		t.Errorf("burned %s", got)
	}
}

// A relay's report serves its operator alone, and whoever has only a key that is
// not in force any more is refused.
func TestDisclosureRefused(t *testing.T) {
	w := onionWorld(t)
	x := telling{who: "a", node: "n", key: statement.KeyOnion, first: 1, epoch: 1}
	w.ok(w.at(1)+10, w.commit(x, 0))
	e := w.next("n", 2)
	w.ok(w.at(1)+5000, publish(w.descriptor("n", e, 3)), publish(w.heartbeat("n", e)), publish(w.heartbeat("m", w.next("m", 2))))
	w.ok(w.at(2)) // the key of epoch 1 is not named any more
	if _, err := w.disclose(x); code(err) != "key_not_in_force" {
		t.Errorf("a rotated key: %v", err)
	}
	// Under the header of the epoch in which it was, it is no proof of now.
	old := telling{who: "b", node: "m", key: statement.KeyOnion, first: 1, epoch: 2}
	w.ok(w.at(2)+10, w.commit(old, 0))
	w.ok(w.at(3))
	late, err := w.disclose(old)
	if err != nil {
		t.Fatal(err)
	}
	w.ok(w.at(3)+10, publish(w.heartbeat("m", w.next("m", 4))))
	w.ok(w.at(4))
	if out := w.block(w.at(4)+1, w.submitProof("b", late.Encode(), 0)); out.Results[0].Code != "proof_expired" {
		t.Errorf("in the epoch after: %q", out.Results[0].Code)
	}
	report := func(node string, p slashing.Proof) string {
		st := statement.Sign(w.domain(), nodeKey(node), statement.LabelProof, w.next(node, w.m.Head().DirEpoch), p.Encode())
		return w.block(w.m.Head().Time+1, publish(st)).Results[0].Code
	}
	now, err := w.disclose(old) // the commit lives, and the key is in force
	if err != nil {
		t.Fatal(err)
	}
	if got := report("n", now); got != "wrong_reporter" {
		t.Errorf("a relay of another operator: %q", got)
	}
	w.ok(w.m.Head().Time+1, w.submitProof("b", now.Encode(), 0))
}
