package machine_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
	"tunic/staking"
)

const tun = chain.TUN

// world is a machine with the keys of all who act on it.
type world struct {
	t       testing.TB
	g       genesis.Genesis
	m       *machine.Machine
	sealer  ed25519.PrivateKey
	headers map[chain.Height]chain.SealedHeader
	seq     map[string]uint32
	rows    [machine.Parts][]table.Row // after the block with this hash
	after   chain.Hash
}

func seed(name string) [32]byte { return sha256.Sum256([]byte("test " + name)) }

// made keeps keys and what is derived from them: a test asks for the same few
// thousands of times.
var made sync.Map

func once[T any](what, name string, make func() T) T {
	k := what + " " + name
	v, ok := made.Load(k)
	if !ok {
		v, _ = made.LoadOrStore(k, make())
	}
	return v.(T)
}

func accountKey(name string) *ecdsa.PrivateKey {
	return once("account", name, func() *ecdsa.PrivateKey {
		s := seed("account " + name)
		k, err := crypto.ToECDSA(s[:])
		if err != nil {
			panic(err)
		}
		return k
	})
}

func address(name string) chain.Address {
	return once("address", name, func() chain.Address { return chain.Address(crypto.PubkeyToAddress(accountKey(name).PublicKey)) })
}

func nodeKey(name string) ed25519.PrivateKey {
	return once("node", name, func() ed25519.PrivateKey {
		s := seed("node " + name)
		return ed25519.NewKeyFromSeed(s[:])
	})
}

func nodeID(name string) chain.NodeID {
	return chain.NodeID(nodeKey(name).Public().(ed25519.PublicKey))
}

// testGenesis gives each name 10,000 TUN and the reward pool 1,000.
func testGenesis(t testing.TB, names ...string) genesis.Genesis {
	t.Helper()
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	g := genesis.Genesis{Core: genesis.Core{
		ChainID: 7, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger, Engine: genesis.EngineSealer,
		Time: 1_000_000, Sealers: []chain.NodeID{nodeID("sealer")}, RewardPool: 1000 * tun, Params: prm,
	}}
	for _, n := range names {
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: address(n), Balance: 10_000 * tun})
	}
	sortAllocations(g.Allocations)
	return g
}

func sortAllocations(a []genesis.Allocation) {
	for i := range a {
		for j := i; j > 0 && string(a[j].Address[:]) < string(a[j-1].Address[:]); j-- {
			a[j], a[j-1] = a[j-1], a[j]
		}
	}
}

func newWorld(t testing.TB, names ...string) *world {
	t.Helper()
	return begin(t, testGenesis(t, names...))
}

// newCouncil is a world in which k1, k2 and k3 are the council, two of three.
func newCouncil(t testing.TB, names ...string) *world {
	t.Helper()
	g := testGenesis(t, append(names, "k1", "k2", "k3")...)
	g.Council, g.CouncilMin = []chain.Address{address("k1"), address("k2"), address("k3")}, 2
	slices.SortFunc(g.Council, func(a, b chain.Address) int { return bytes.Compare(a[:], b[:]) })
	return begin(t, g)
}

func begin(t testing.TB, g genesis.Genesis) *world {
	t.Helper()
	w := &world{t: t, g: g, sealer: nodeKey("sealer"),
		headers: map[chain.Height]chain.SealedHeader{}, seq: map[string]uint32{}}
	m, err := machine.New(w.g, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.m = m
	return w
}

// sign fills in the account's signature.
func (w *world) sign(name string, tx chain.Tx) []byte {
	s, ok := machine.SchemaOf(tx.Kind)
	if !ok {
		w.t.Fatalf("no schema of kind %d", tx.Kind)
	}
	d, err := chain.NewDomain(w.g.ChainID, w.g.Hash()).Digest(s, tx.Payload)
	if err != nil {
		w.t.Fatal(err)
	}
	sig, err := crypto.Sign(d[:], accountKey(name))
	if err != nil {
		w.t.Fatal(err)
	}
	tx.Sig = [65]byte(sig)
	return tx.Encode()
}

// headOf is a head that applies next; after counts the sender's earlier
// transactions of the same block.
func (w *world) headOf(name string, after int) chain.Head {
	return chain.Head{Nonce: w.m.Account(address(name)).Nonce + uint64(after), Fee: w.m.InForce().Params.MinFee, ValidUntil: w.m.Head().Height + 100}
}

func (w *world) transfer(from, to string, x chain.Amount, after int) []byte {
	return w.sign(from, machine.TransferType.Unsigned(machine.Transfer{Head: w.headOf(from, after), To: address(to), Amount: x}))
}

func (w *world) registration(node, operator string, fee chain.BasisPoints, x chain.Amount, after int) registry.Register {
	vrf := beacon.NewKey(seed("vrf " + node))
	sig := statement.Domain{Genesis: w.g.Hash()}.SignRaw(nodeKey(node), statement.LabelRegistration,
		statement.RegistrationBody(address(operator), vrf.Public()))
	proof := vrf.Prove(beacon.RegistrationAlpha(w.g.Hash(), address(operator)))
	return registry.Register{Head: w.headOf(operator, after), Node: nodeID(node), VRFKey: vrf.Public(), FeeBps: fee, Amount: x,
		NodeSignature: sig[:], VRFProof: proof[:]}
}

func (w *world) register(node, operator string, x chain.Amount, after int) []byte {
	return w.sign(operator, registry.RegisterType.Unsigned(w.registration(node, operator, 1000, x, after)))
}

func (w *world) contribute(node, who string, x chain.Amount, after int) []byte {
	return w.sign(who, staking.ContributeType.Unsigned(staking.Contribute{Head: w.headOf(who, after), Node: nodeID(node), Amount: x}))
}

func (w *world) unlock(node, who string, after int) []byte {
	return w.sign(who, staking.RequestUnlockType.Unsigned(staking.RequestUnlock{Head: w.headOf(who, after), Node: nodeID(node)}))
}

func (w *world) withdraw(node, who string, after int) []byte {
	return w.sign(who, staking.WithdrawType.Unsigned(staking.Withdraw{Head: w.headOf(who, after), Node: nodeID(node)}))
}

func (w *world) submitProof(who string, proof []byte, after int) []byte {
	return w.sign(who, slashing.SubmitProofType.Unsigned(slashing.SubmitProof{Head: w.headOf(who, after), Proof: proof}))
}

// change makes who approve a change number n for epoch e.
func (w *world) change(who string, n uint32, e chain.Epoch, after int, change func(*genesis.Params)) []byte {
	p := w.m.InForce().Params
	change(&p)
	return w.sign(who, machine.ChangeParamsType.Unsigned(machine.ChangeParams{Head: w.headOf(who, after), Number: n, Epoch: e, Params: p.Encode()}))
}

func publish(st statement.Statement) []byte {
	return chain.Tx{Kind: chain.KindPublish, Payload: st.Encode()}.Encode()
}

func (w *world) domain() statement.Domain {
	return statement.Domain{Genesis: w.g.Hash(), Fork: w.m.Fork()}
}

func (w *world) next(node string, e chain.Epoch) statement.Sequence {
	w.seq[node]++
	return statement.NewSequence(e, w.seq[node])
}

// descriptor is node's for epoch e; variant changes its content. That of variant
// realKey names a key whose private half is known, from onionKey.
func (w *world) descriptor(node string, seq statement.Sequence, variant byte) statement.Statement {
	e := seq.Epoch()
	d := statement.Descriptor{Version: "tunic/1", Endpoints: []string{"127.0.0.1:4000"},
		Keys: []statement.OnionKey{{First: e, Last: e + 20, Key: [32]byte{1, variant}}}}
	if variant == realKey {
		_, d.Keys[0].Key = onionKey(node)
	}
	return statement.Sign(w.domain(), nodeKey(node), statement.LabelDescriptor, seq, d.Encode())
}

func (w *world) heartbeat(node string, seq statement.Sequence) statement.Statement {
	h := statement.Heartbeat{Version: "tunic/1", Height: w.m.Head().Height,
		VRF: beacon.NewKey(seed("vrf " + node)).Prove(beacon.EpochAlpha(w.g.Hash(), seq.Epoch()))}
	return statement.Sign(w.domain(), nodeKey(node), statement.LabelHeartbeat, seq, h.Encode())
}

// vote is of voter on subject in the head's epoch.
func (w *world) vote(voter, subject string, why statement.Reasons, score chain.Permille) statement.Statement {
	v := statement.Vote{Subject: nodeID(subject), Epoch: w.m.Head().DirEpoch, Reasons: why, Score: score}
	return statement.Sign(w.domain(), nodeKey(voter), statement.LabelVote, statement.NewSequence(v.Epoch, 0), v.Encode())
}

// voters are those of nodes that have a vote on subject in the head's epoch, in
// the order of the draw.
func (w *world) voters(subject string, nodes ...string) (out []string) {
	for _, seat := range w.m.List().Quorum(w.m.Head().Beacon, nodeID(subject), int(w.g.Params.QuorumSize)) {
		for _, n := range nodes {
			if nodeID(n) == seat && n != subject {
				out = append(out, n)
			}
		}
	}
	return out
}

func (w *world) commitment(node string, e chain.Epoch) statement.Statement {
	c := statement.Commitment{Epoch: e, Depth: 6, Root: chain.Hash{byte(e), 1}}
	return statement.Sign(w.domain(), nodeKey(node), statement.LabelCommitment, w.next(node, e), c.Encode())
}

// block applies txs at t and checks every invariant.
func (w *world) block(t chain.Time, txs ...[]byte) machine.Output {
	w.t.Helper()
	before, head := rowsOf(w.m), w.m.HeadHash()
	if w.after == head {
		before = w.rows // a test may have written since
	}
	out, err := w.m.Apply(machine.Input{Height: w.m.Head().Height + 1, Time: t, Proposer: nodeID("sealer"), Fork: w.m.Fork(), Txs: w.m.PrepareAll(txs)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.undone(before, &out)
	w.rows, w.after = rowsOf(w.m), w.m.HeadHash()
	if err := w.m.Check(); err != nil {
		w.t.Fatal(err)
	}
	w.remember(out.Header)
	return out
}

// undone takes the changes of a block back: what comes out is the rows before it.
func (w *world) undone(before [machine.Parts][]table.Row, out *machine.Output) {
	w.t.Helper()
	for i, now := range rowsOf(w.m) {
		rows := map[string][]byte{}
		for _, r := range now {
			rows[string(r.Key)] = r.Value
		}
		for _, c := range out.Changes[i] {
			if !bytes.Equal(rows[string(c.Key)], c.Value) || (c.Value == nil) == (c.Former == nil) && bytes.Equal(c.Value, c.Former) {
				w.t.Fatalf("part %s, row %x: change to %x from %x", machine.Part(i), c.Key, c.Value, c.Former)
			}
			if rows[string(c.Key)] = c.Former; c.Former == nil {
				delete(rows, string(c.Key))
			}
		}
		for _, r := range before[i] {
			if v, ok := rows[string(r.Key)]; !ok || !bytes.Equal(v, r.Value) {
				w.t.Fatalf("part %s, row %x: undone it is %x, was %x", machine.Part(i), r.Key, v, r.Value)
			}
		}
		if len(rows) != len(before[i]) {
			w.t.Fatalf("part %s: %d rows undone, were %d", machine.Part(i), len(rows), len(before[i]))
		}
	}
}

// remember keeps the sealed header of the last block.
func (w *world) remember(h chain.Header) { w.headers[h.Height] = light.Seal(w.sealer, h) }

// ok is block, all of whose transactions must apply.
func (w *world) ok(t chain.Time, txs ...[]byte) machine.Output {
	w.t.Helper()
	out := w.block(t, txs...)
	for i, r := range out.Results {
		if r.Code != "" {
			w.t.Fatalf("transaction %d: %s", i, r.Code)
		}
	}
	return out
}

func (w *world) at(e chain.Epoch) chain.Time { return w.g.EpochStart(e) }

// serve brings node into the list of epoch 1 and ends in its first block.
func (w *world) serve(operator string, nodes ...string) {
	w.t.Helper()
	var txs [][]byte
	for i, n := range nodes {
		txs = append(txs, w.register(n, operator, w.g.Params.StakingRequirement, i))
	}
	for _, n := range nodes {
		seq := w.next(n, 1)
		txs = append(txs, publish(w.descriptor(n, seq, 0)), publish(w.heartbeat(n, seq)))
	}
	w.ok(w.at(0)+100, txs...)
	out := w.ok(w.at(1))
	if out.List == nil || len(out.List.Entries) != len(nodes) {
		w.t.Fatalf("list of epoch 1: %+v", out.List)
	}
}

// equivocation is a proof that node signed two descriptors for one sequence.
func (w *world) equivocation(node string) slashing.Proof {
	w.t.Helper()
	seq := w.next(node, w.m.Head().DirEpoch)
	p, err := slashing.Assemble(slashing.DoubleDescriptor, w.descriptor(node, seq, 1).Encode(), w.descriptor(node, seq, 2).Encode(),
		w.headers[w.m.Head().Height], w.m.List())
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}
