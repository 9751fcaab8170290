package registry_test

import (
	"crypto/ed25519"
	"errors"
	"maps"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/registry"
	"tunic/registry/directory"
	"tunic/staking"
)

const genesisTime chain.Time = 1_000_000

type accounts map[chain.Address]chain.Amount

func (a accounts) Balance(x chain.Address) chain.Amount   { return a[x] }
func (a accounts) Debit(x chain.Address, v chain.Amount)  { a[x] -= v }
func (a accounts) Credit(x chain.Address, v chain.Amount) { a[x] += v }

// bench is a registry over real stakes: dev profile (epochs of 10 s, heartbeat
// every 4 s, valid 25 s), requirement 1000 units.
type bench struct {
	*registry.Registry
	stakes                *staking.Staking
	acc                   accounts
	core                  genesis.Core
	hash                  chain.Hash
	nodes, bonded, params table.Part
	ctx                   registry.Context
	verdicts              []registry.Verdict // of the newest epoch's first block
}

// Open makes the bench a registry.Opener, as the ledger machine is.
func (b *bench) Open(node chain.NodeID, operator chain.Address, fee chain.BasisPoints, amount chain.Amount, epoch chain.Epoch) error {
	return b.stakes.Open(node, operator, fee, amount, epoch, b.acc)
}

func newBench(t interface{ Fatal(...any) }) *bench {
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	prm.StakingRequirement = 1000
	b := &bench{acc: accounts{}, hash: chain.SHA256([]byte("registry test")),
		core: genesis.Core{Time: genesisTime, Params: prm}, ctx: registry.Context{Height: 1, Time: genesisTime}}
	b.stakes = staking.New(&b.bonded, &b.params, &b.core.Params)
	b.Registry = registry.New(&b.nodes, &b.core, b.hash)
	for i := range byte(20) {
		b.acc[operator(i)] = 10_000
	}
	return b
}

// at moves the block's time to ms after genesis, one height on, and begins the
// epoch if it is a new one.
func (b *bench) at(t interface{ Fatal(...any) }, ms chain.Time) *directory.List {
	b.ctx.Time = genesisTime + ms
	b.ctx.Height++
	e := b.core.EpochAt(b.ctx.Time)
	if e == b.ctx.Epoch {
		return nil
	}
	b.ctx.Epoch, b.verdicts = e, nil
	b.Judge(b.ctx, func(v registry.Verdict) chain.Hash {
		if b.verdicts = append(b.verdicts, v); v.To == registry.Deregistered {
			b.stakes.Lock(v.Subject, b.ctx.Time+1000)
		}
		return chain.SHA256(v.Subject[:])
	})
	seed := chain.SHA256([]byte{byte(e)})
	l, err := b.BeginEpoch(e, b.ctx.Time, b.ctx.Height, seed, b.stakes)
	if err != nil {
		t.Fatal(err)
	}
	b.ctx.List, b.ctx.Beacon = l, seed
	b.sound(t)
	return l
}

func (b *bench) sound(t interface{ Fatal(...any) }) {
	if err := b.Check(b.ctx.Epoch, func(id chain.NodeID) bool { _, ok := b.stakes.Bond(id); return ok }); err != nil {
		t.Fatal(err)
	}
	if err := b.stakes.Check(); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) commit() int {
	return len(b.nodes.Commit()) + len(b.bonded.Commit()) + len(b.params.Commit())
}

// refused checks that op is refused with code and changes nothing.
func (b *bench) refused(t *testing.T, code string, op func() error) {
	t.Helper()
	b.commit()
	root, stakes, acc := b.nodes.Root(), b.bonded.Root(), maps.Clone(b.acc)
	err := op()
	if !errors.Is(err, &chain.Refusal{Code: code}) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if n := b.commit(); n != 0 || b.nodes.Root() != root || b.bonded.Root() != stakes || !maps.Equal(acc, b.acc) {
		t.Fatalf("a refusal changed %d rows or balances", n)
	}
}

func operator(i byte) chain.Address { return chain.Address{0: 0xcc, 19: i} }

// relay holds the keys of one node.
type relay struct {
	i   byte
	key ed25519.PrivateKey
	vrf beacon.Key
}

func newRelay(i byte) relay {
	return relay{i, ed25519.NewKeyFromSeed(seed(1, i)), beacon.NewKey([32]byte(seed(2, i)))}
}

func seed(kind, i byte) []byte {
	h := chain.SHA256([]byte{kind, i})
	return h[:]
}

func (r relay) id() chain.NodeID { return chain.NodeID(r.key.Public().(ed25519.PublicKey)) }

// registration is r's, by its own operator, with stake of amount.
func (r relay) registration(b *bench, amount chain.Amount) registry.Register {
	sig := statement.Domain{Genesis: b.hash}.SignRaw(r.key, statement.LabelRegistration, statement.RegistrationBody(operator(r.i), r.vrf.Public()))
	proof := r.vrf.Prove(beacon.RegistrationAlpha(b.hash, operator(r.i)))
	return registry.Register{Node: r.id(), VRFKey: r.vrf.Public(), FeeBps: 500, Amount: amount, NodeSignature: sig[:], VRFProof: proof[:]}
}

func (b *bench) register(r relay, amount chain.Amount) error {
	return b.Register(operator(r.i), r.registration(b, amount), b.ctx, b)
}

// describe is a descriptor of r with keys for the epochs first to last.
func (r relay) describe(first, last chain.Epoch) statement.Descriptor {
	return statement.Descriptor{Version: "v1", Endpoints: []string{"127.1.0.1:7000"},
		Keys: []statement.OnionKey{{First: first, Last: last, Key: [32]byte(seed(3, r.i))}}}
}

func (b *bench) sign(r relay, l statement.Label, seq statement.Sequence, body []byte) statement.Statement {
	return statement.Sign(statement.Domain{Genesis: b.hash, Fork: b.ctx.Fork}, r.key, l, seq, body)
}

// descriptor is for epoch e with counter n, keys for 20 epochs.
func (b *bench) descriptor(r relay, e chain.Epoch, n uint32) statement.Statement {
	return b.sign(r, statement.LabelDescriptor, statement.NewSequence(e, n), r.describe(e, e+20).Encode())
}

func (b *bench) heartbeat(r relay, e chain.Epoch, n uint32) statement.Statement {
	h := statement.Heartbeat{Version: "v1", Height: b.ctx.Height, VRF: r.vrf.Prove(beacon.EpochAlpha(b.hash, e))}
	return b.sign(r, statement.LabelHeartbeat, statement.NewSequence(e, n), h.Encode())
}

func (b *bench) publish(sts ...statement.Statement) error {
	for _, st := range sts {
		if err := b.Publish(st, b.ctx); err != nil {
			return err
		}
	}
	return nil
}

// join registers r fully staked and publishes for the next epoch.
func (b *bench) join(t testing.TB, relays ...relay) {
	t.Helper()
	for _, r := range relays {
		must(t, b.register(r, 1000), b.publish(b.descriptor(r, b.ctx.Epoch+1, 0), b.heartbeat(r, b.ctx.Epoch+1, 0)))
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
