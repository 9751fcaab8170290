package registry_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/internal/testenv"
	"tunic/registry"
	"tunic/registry/directory"
	"tunic/staking"
)

func listed(l *directory.List, r relay) bool { _, ok := l.Find(r.id()); return ok }

// What a node signs in epoch 0 for epoch 1 lists it in 1, with the keys of 1 and 2.
func TestFirstEpochs(t *testing.T) {
	b := newBench(t)
	r := newRelay(1)
	zero, err := b.BeginEpoch(0, genesisTime, 0, chain.Hash{}, b.stakes)
	if err != nil || len(zero.Entries) != 0 {
		t.Fatalf("%v, %v", zero, err)
	}
	must(t, b.register(r, 1000))
	d := r.describe(1, 1)
	d.Keys = append(d.Keys, statement.OnionKey{First: 2, Last: 9, Key: [32]byte{2}})
	d.Family = []chain.NodeID{newRelay(3).id()}
	must(t, b.publish(b.sign(r, statement.LabelDescriptor, statement.NewSequence(1, 0), d.Encode()), b.heartbeat(r, 1, 0)))
	n, _ := b.Node(r.id())
	if n.State != registry.Registered || n.Listed || n.Swarm != directory.NoSwarm {
		t.Fatalf("%+v", n)
	}
	l := b.at(t, 10_000)
	want := directory.Entry{Node: r.id(), VRF: r.vrf.Public(), Operator: operator(1), Endpoints: d.Endpoints, Family: d.Family,
		Swarm: 0, PreviousSwarm: directory.NoSwarm, Version: "v1", Stake: 1000,
		Onion: directory.Key{First: 1, Key: d.Keys[0].Key}, OnionNext: directory.Key{First: 2, Key: [32]byte{2}}, Performance: 1000}
	e, ok := l.Find(r.id())
	if !ok || !bytes.Equal(directory.AppendEntry(nil, e), directory.AppendEntry(nil, want)) {
		t.Fatalf("%+v\nwant %+v", e, want)
	}
	if b.stakes.Earning() != 1 {
		t.Fatal("listed and not earning")
	}
	l = b.at(t, 20_000) // sticky swarm; both epochs have the newer key
	if e, _ := l.Find(r.id()); e.Swarm != 0 || e.PreviousSwarm != 0 || e.Onion != e.OnionNext || e.Onion.First != 2 {
		t.Fatalf("%+v", e)
	}
}

func TestWhoIsListed(t *testing.T) {
	r := newRelay(1)
	type row struct {
		name   string
		given  func(t *testing.T, b *bench) // in epoch 0
		reason string                       // in epoch 1; empty: listed
	}
	for _, row := range []row{
		{"all there", func(t *testing.T, b *bench) { b.join(t, r) }, ""},
		{"not registered", func(t *testing.T, b *bench) {}, "the node is not registered"},
		{"not fully staked", func(t *testing.T, b *bench) {
			must(t, b.register(r, 999), b.publish(b.descriptor(r, 1, 0), b.heartbeat(r, 1, 0)))
		}, "the node is not fully staked"},
		{"no descriptor", func(t *testing.T, b *bench) { must(t, b.register(r, 1000), b.publish(b.heartbeat(r, 1, 0))) }, "no descriptor was published"},
		{"no heartbeat", func(t *testing.T, b *bench) { must(t, b.register(r, 1000), b.publish(b.descriptor(r, 1, 0))) }, "no heartbeat was published"},
		{"descriptor of this epoch will do", func(t *testing.T, b *bench) {
			must(t, b.register(r, 1000), b.publish(b.descriptor(r, 0, 0), b.heartbeat(r, 0, 0)))
		}, ""},
		{"no key for the epoch after", func(t *testing.T, b *bench) {
			d := r.describe(0, 1)
			must(t, b.register(r, 1000), b.publish(b.sign(r, statement.LabelDescriptor, 0, d.Encode()), b.heartbeat(r, 1, 0)))
		}, "the descriptor has no onion key for epoch 2"},
		{"unlocking", func(t *testing.T, b *bench) {
			b.join(t, r)
			must(t, b.stakes.RequestUnlock(operator(1), staking.RequestUnlock{Node: r.id()}, b.ctx.Time), b.Unlocking(r.id(), b.ctx.Time+100_000, b.ctx))
		}, "the node is unlocking"},
		{"tombstoned", func(t *testing.T, b *bench) { b.join(t, r); b.Tombstone(r.id(), "x", chain.Hash{}, b.ctx) }, "the node is tombstoned"},
		{"slashed below the requirement", func(t *testing.T, b *bench) {
			b.join(t, r)
			b.stakes.Slash(r.id(), 1, 0, nil, 0, b.acc)
		}, "the node is not fully staked"},
		{"version no longer allowed", func(t *testing.T, b *bench) { b.join(t, r); b.core.Params.Versions = []string{"v2"} }, "the software version is not allowed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			row.given(t, b)
			ok, reason := b.Eligible(r.id(), 1, genesisTime+10_000, b.stakes)
			if reason != row.reason || ok != (reason == "") {
				t.Fatalf("%v %q, want %q", ok, reason, row.reason)
			}
			l := b.at(t, 10_000)
			if listed(l, r) != ok || b.stakes.Earning() != uint64(len(l.Entries)) {
				t.Fatalf("listed %v", listed(l, r))
			}
		})
	}
}

// A heartbeat that is 25 s old at the first block of an epoch is too old; a new
// one lists the node again. Its state stays active throughout.
func TestHeartbeatRunsOut(t *testing.T) {
	b := newBench(t)
	r, q := newRelay(1), newRelay(2)
	b.join(t, r)
	b.at(t, 5_000)
	must(t, b.register(q, 1000), b.publish(b.descriptor(q, 1, 0), b.heartbeat(q, 1, 0)))
	if l := b.at(t, 10_000); !listed(l, r) || !listed(l, q) {
		t.Fatal("fresh and not listed")
	}
	if l := b.at(t, 20_000); !listed(l, r) || !listed(l, q) {
		t.Fatal("valid for 25 s")
	}
	if l := b.at(t, 30_000); listed(l, r) || listed(l, q) { // 30 s and 25 s old
		t.Fatal("too old and listed")
	}
	n, _ := b.Node(r.id())
	if n.State != registry.Active || n.Listed || n.Swarm != directory.NoSwarm || n.PreviousSwarm != 0 || b.stakes.Earning() != 0 {
		t.Fatalf("%+v", n)
	}
	must(t, b.publish(b.heartbeat(r, 4, 0)))
	if l := b.at(t, 40_000); !listed(l, r) || len(l.Entries) != 1 {
		t.Fatal("not back")
	}
	if h := b.History(r.id()); len(h) != 2 {
		t.Fatalf("%v", h)
	}
}

// An epoch that a stall skipped has no list; the next one is frozen from state.
func TestSkippedEpochs(t *testing.T) {
	b := newBench(t)
	r := newRelay(1)
	b.join(t, r)
	b.at(t, 24_999)
	if n, _ := b.Node(r.id()); b.ctx.Epoch != 2 || !n.Listed {
		t.Fatal("epoch 2 lists by the descriptor for 1")
	}
}

func TestRemovalsLastAnEpoch(t *testing.T) {
	b := newBench(t)
	relays := []relay{newRelay(1), newRelay(2), newRelay(3), newRelay(4)}
	b.join(t, relays[:3]...)
	b.at(t, 10_000)
	must(t, b.register(relays[3], 1000))
	for _, i := range []int{2, 0, 3} { // 3 is not in the list
		b.Tombstone(relays[i].id(), "double-descriptor", chain.Hash{byte(i)}, b.ctx)
		b.stakes.Lock(relays[i].id(), b.ctx.Time+1000)
	}
	want := []chain.NodeID{relays[0].id(), relays[2].id()}
	slices.SortFunc(want, func(x, y chain.NodeID) int { return bytes.Compare(x[:], y[:]) })
	if !slices.Equal(b.Removals(), want) || b.stakes.Earning() != 1 {
		t.Fatalf("%v", b.Removals())
	}
	b.at(t, 15_000)
	b.sound(t)
	if len(b.Removals()) != 2 {
		t.Fatal("removals are cumulative within the epoch")
	}
	l := b.at(t, 20_000)
	if len(b.Removals()) != 0 || len(l.Entries) != 1 || !listed(l, relays[1]) {
		t.Fatalf("%v", l.Entries)
	}
}

func TestUnlockingLeaves(t *testing.T) {
	b := newBench(t)
	r := newRelay(1)
	b.join(t, r)
	b.at(t, 10_000)
	must(t, b.stakes.RequestUnlock(operator(1), staking.RequestUnlock{Node: r.id()}, b.ctx.Time))
	bond, _ := b.stakes.Bond(r.id())
	must(t, b.Unlocking(r.id(), bond.UnlockAt, b.ctx))
	if n, _ := b.Node(r.id()); !n.Listed || b.stakes.Earning() != 0 {
		t.Fatal("the list is frozen, the rewards end")
	}
	for _, x := range []struct {
		ms    chain.Time
		state registry.State
	}{{20_000, registry.Unlocking}, {609_999, registry.Unlocking}, {610_000, registry.Left}, {620_000, registry.Left}} {
		b.at(t, x.ms)
		if n, _ := b.Node(r.id()); n.State != x.state || n.Listed {
			t.Fatalf("at %d: %s", x.ms, n.State)
		}
	}
}

// The beacon takes the heartbeats of the epoch just ended, of active nodes that
// were registered before it began.
func TestContributions(t *testing.T) {
	b := newBench(t)
	one, two, late, short := newRelay(1), newRelay(2), newRelay(3), newRelay(4)
	b.join(t, one, two)
	must(t, b.register(short, 999), b.publish(b.heartbeat(short, 1, 0)))
	if c := b.Contributions(0); len(c) != 0 {
		t.Fatal("nobody contributes in epoch 0")
	}
	b.at(t, 10_000)
	must(t, b.register(late, 1000), b.publish(b.heartbeat(late, 1, 0)))
	must(t, b.publish(b.heartbeat(one, 2, 0))) // the next epoch's output is kept apart
	got := b.Contributions(1)
	if len(got) != 2 || bytes.Compare(got[0].Node[:], got[1].Node[:]) >= 0 {
		t.Fatalf("%d contributions", len(got))
	}
	for _, c := range got {
		r := one
		if c.Node == two.id() {
			r = two
		}
		want, err := beacon.Verify(r.vrf.Public(), beacon.EpochAlpha(b.hash, 1), r.vrf.Prove(beacon.EpochAlpha(b.hash, 1)))
		if err != nil || want != c.Output {
			t.Fatal("not the output of epoch 1")
		}
	}
	b.at(t, 20_000)
	must(t, b.publish(b.heartbeat(two, 3, 0)))
	if c := b.Contributions(2); len(c) != 1 || c[0].Node != one.id() {
		t.Fatalf("%d contributions", len(c))
	}
	if n, _ := b.Node(two.id()); len(n.Outputs) != 1 || n.Outputs[0].Epoch != 3 {
		t.Fatal("old outputs are dropped")
	}
}

// Any series of steps keeps what must hold, and loads back to the same roots.
func TestRandomLives(t *testing.T) {
	relays := []relay{newRelay(1), newRelay(2), newRelay(3)}
	testenv.Check(t, func(t *rapid.T) {
		b := newBench(t)
		gone := map[chain.NodeID]bool{}
		var now chain.Time
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			r := relays[rapid.IntRange(0, 2).Draw(t, "relay")]
			e := b.ctx.Epoch + chain.Epoch(rapid.IntRange(0, 1).Draw(t, "next"))
			switch rapid.IntRange(0, 10).Draw(t, "op") {
			case 0, 1:
				_ = b.register(r, rapid.SampledFrom([]chain.Amount{100, 500, 1000, 1000}).Draw(t, "stake"))
			case 2, 3:
				_ = b.Publish(b.descriptor(r, e, uint32(b.ctx.Height)), b.ctx)
			case 4:
				_ = b.Publish(b.heartbeat(r, e, uint32(b.ctx.Height)), b.ctx)
			case 5:
				if b.stakes.RequestUnlock(operator(r.i), staking.RequestUnlock{Node: r.id()}, b.ctx.Time) == nil {
					bond, _ := b.stakes.Bond(r.id())
					if err := b.Unlocking(r.id(), bond.UnlockAt, b.ctx); err != nil {
						t.Fatal("the stake unlocks and the node does not", err)
					}
				}
			case 6:
				if rapid.Bool().Draw(t, "tombstone") {
					gone[r.id()] = b.Known(r.id())
					b.Tombstone(r.id(), "x", chain.Hash{}, b.ctx)
					b.stakes.Lock(r.id(), b.ctx.Time+1)
				}
			case 8:
				_ = b.Decommission(r.id(), "x", chain.Hash{}, b.ctx)
			case 7:
				b.stakes.Slash(r.id(), 10, b.ctx.Epoch, nil, 0, b.acc)
			default:
				now += chain.Time(rapid.IntRange(1, 15_000).Draw(t, "ms"))
				l := b.at(t, now)
				for id := range gone {
					if n, ok := b.Node(id); ok && gone[id] && n.State != registry.Tombstoned {
						t.Fatal("back from the dead")
					}
					if l != nil && gone[id] {
						if _, ok := l.Find(id); ok {
							t.Fatal("tombstoned and listed")
						}
					}
				}
				if l != nil && uint64(len(l.Entries)) != b.stakes.Earning() {
					t.Fatal("who earns is not who is listed")
				}
			}
			b.sound(t)
		}
		b.commit()
		var p table.Part
		r := registry.New(&p, &b.core, b.hash)
		if err := p.Load(slices.Collect(b.nodes.Rows())); err != nil {
			t.Fatal(err)
		}
		if p.Root() != b.nodes.Root() || !slices.Equal(slices.Collect(r.Events()), slices.Collect(b.Events())) {
			t.Fatal("loaded state differs")
		}
	})
}

func TestMessageTable(t *testing.T) {
	b := newBench(t)
	tx := newRelay(1).registration(b, 300)
	got, err := registry.RegisterType.Decode(registry.RegisterType.Encode(tx))
	if err != nil || got.Node != tx.Node || !bytes.Equal(got.VRFProof, tx.VRFProof) || got.FeeBps != tx.FeeBps {
		t.Fatalf("%+v, %v", got, err)
	}
	tx.NodeSignature = make([]byte, 65)
	if _, err := registry.RegisterType.Decode(registry.RegisterType.Encode(tx)); err == nil {
		t.Fatal("a signature of 65 bytes decodes")
	}
	const want = "Register(uint64 nonce,uint64 fee,uint64 validUntil,bytes32 node,bytes32 vrfKey,uint16 feeBps,uint64 amount,bytes nodeSignature,bytes vrfProof)"
	if s := registry.RegisterType.Schema().TypeString(); s != want {
		t.Fatal(s)
	}
	if registry.Unlocking.String() != "unlocking" || registry.State(9).String() != "state 9" {
		t.Fatal("words")
	}
}
