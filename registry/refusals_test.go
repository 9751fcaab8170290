package registry_test

import (
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/registry"
	"tunic/staking"
)

func TestRegisterRefusals(t *testing.T) {
	r, other := newRelay(1), newRelay(2)
	type row struct {
		name, code string
		given      func(*testing.T, *bench)
		change     func(*registry.Register)
	}
	for _, row := range []row{
		{"identity of small order", registry.CodeBadKey, nil, func(x *registry.Register) { x.Node = chain.NodeID{0: 1} }},
		{"VRF key not canonical", registry.CodeBadKey, nil, func(x *registry.Register) {
			for i := range x.VRFKey {
				x.VRFKey[i] = 0xff
			}
		}},
		{"one key for both", registry.CodeBadKey, nil, func(x *registry.Register) { x.VRFKey = x.Node }},
		{"registered before", registry.CodeAlreadyRegistered, func(t *testing.T, b *bench) { must(t, b.register(r, 300)) }, nil},
		{"tombstoned", registry.CodeTombstoned, func(t *testing.T, b *bench) {
			must(t, b.register(r, 300))
			b.Tombstone(r.id(), "double-descriptor", chain.Hash{1}, b.ctx)
		}, nil},
		{"short signature", registry.CodeBadSignature, nil, func(x *registry.Register) { x.NodeSignature = x.NodeSignature[:63] }},
		{"no VRF proof", registry.CodeBadVRF, nil, func(x *registry.Register) { x.VRFProof = nil }},
		{"signature for another operator", registry.CodeBadSignature, nil, func(x *registry.Register) {
			b := newBench(t)
			sig := statement.Domain{Genesis: b.hash}.SignRaw(r.key, statement.LabelRegistration, statement.RegistrationBody(operator(7), r.vrf.Public()))
			x.NodeSignature = sig[:]
		}},
		{"signature on another network", registry.CodeBadSignature, nil, func(x *registry.Register) {
			sig := statement.Domain{Genesis: chain.Hash{9}}.SignRaw(r.key, statement.LabelRegistration, statement.RegistrationBody(operator(1), r.vrf.Public()))
			x.NodeSignature = sig[:]
		}},
		{"VRF proof for another operator", registry.CodeBadVRF, nil, func(x *registry.Register) {
			p := r.vrf.Prove(beacon.RegistrationAlpha(newBench(t).hash, operator(7)))
			x.VRFProof = p[:]
		}},
		{"VRF proof by another key", registry.CodeBadVRF, nil, func(x *registry.Register) {
			p := other.vrf.Prove(beacon.RegistrationAlpha(newBench(t).hash, operator(1)))
			x.VRFProof = p[:]
		}},
		{"fee over all", staking.CodeFeeTooHigh, nil, func(x *registry.Register) { x.FeeBps = 10_001 }},
		{"too little", staking.CodeOperatorTooSmall, nil, func(x *registry.Register) { x.Amount = 249 }},
		{"too much", staking.CodeOverstake, nil, func(x *registry.Register) { x.Amount = 1001 }},
		{"no money", staking.CodeInsufficientBalance, func(t *testing.T, b *bench) { b.acc[operator(1)] = 299 }, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			if row.given != nil {
				row.given(t, b)
			}
			tx := r.registration(b, 300)
			if row.change != nil {
				row.change(&tx)
			}
			b.refused(t, row.code, func() error { return b.Register(operator(1), tx, b.ctx, b) })
		})
	}
}

func TestPublishRefusals(t *testing.T) {
	r, stranger := newRelay(1), newRelay(2)
	desc := func(e chain.Epoch, n uint32, change func(*statement.Descriptor)) func(*bench) statement.Statement {
		return func(b *bench) statement.Statement {
			d := r.describe(e, e+20)
			if change != nil {
				change(&d)
			}
			return b.sign(r, statement.LabelDescriptor, statement.NewSequence(e, n), d.Encode())
		}
	}
	beat := func(e chain.Epoch, n uint32, change func(*bench, *statement.Heartbeat)) func(*bench) statement.Statement {
		return func(b *bench) statement.Statement {
			h := statement.Heartbeat{Version: "v1", VRF: r.vrf.Prove(beacon.EpochAlpha(b.hash, e))}
			if change != nil {
				change(b, &h)
			}
			return b.sign(r, statement.LabelHeartbeat, statement.NewSequence(e, n), h.Encode())
		}
	}
	// Every row starts in epoch 5 with a descriptor 5/3 and a heartbeat 5/3
	// taken 2 s ago, the least time between two.
	type row struct {
		name, code string
		given      func(*testing.T, *bench)
		st         func(*bench) statement.Statement
	}
	state := func(f func(b *bench) error) func(*testing.T, *bench) {
		return func(t *testing.T, b *bench) { must(t, f(b)) }
	}
	early := func(t *testing.T, b *bench) { b.ctx.Time-- }
	for _, row := range []row{
		{"a receipt", registry.CodeUnsupported, nil, func(b *bench) statement.Statement {
			return b.sign(r, statement.LabelReceipt, statement.NewSequence(5, 4), nil)
		}},
		{"unknown node", registry.CodeUnknownNode, nil, func(b *bench) statement.Statement { return b.descriptor(stranger, 5, 4) }},
		{"tombstoned", registry.CodeTombstoned, func(t *testing.T, b *bench) { b.Tombstone(r.id(), "x", chain.Hash{}, b.ctx) }, beat(5, 4, nil)},
		{"unlocking", registry.CodeNotServing, state(func(b *bench) error { return b.Unlocking(r.id(), 1, b.ctx) }), beat(5, 4, nil)},
		{"deregistered", registry.CodeNotServing, func(t *testing.T, b *bench) {
			b.at(t, 60_000)
			must(t, b.Deregister(r.id(), "x", chain.Hash{}, b.ctx))
		}, beat(6, 4, nil)},
		{"malformed descriptor", registry.CodeMalformed, nil, func(b *bench) statement.Statement {
			return b.sign(r, statement.LabelDescriptor, statement.NewSequence(5, 4), []byte{1})
		}},
		{"malformed heartbeat", registry.CodeMalformed, nil, func(b *bench) statement.Statement {
			return b.sign(r, statement.LabelHeartbeat, statement.NewSequence(5, 4), nil)
		}},
		{"another fork", registry.CodeWrongFork, nil, func(b *bench) statement.Statement {
			return statement.Sign(statement.Domain{Genesis: b.hash, Fork: 1}, r.key, statement.LabelDescriptor, statement.NewSequence(5, 4), r.describe(5, 9).Encode())
		}},
		{"descriptor of the last epoch", registry.CodeWrongEpoch, nil, desc(4, 9, nil)},
		{"heartbeat of the epoch after next", registry.CodeWrongEpoch, nil, beat(7, 0, nil)},
		{"descriptor again", registry.CodeDuplicate, nil, desc(5, 3, nil)},
		{"heartbeat again", registry.CodeDuplicate, nil, beat(5, 3, nil)},
		{"another descriptor of the same number", registry.CodeStaleSequence, nil, desc(5, 3, func(d *statement.Descriptor) { d.Version = "v2" })},
		{"older descriptor", registry.CodeStaleSequence, nil, desc(5, 2, nil)},
		{"older heartbeat", registry.CodeStaleSequence, nil, beat(5, 2, nil)},
		{"descriptor too soon", registry.CodeTooSoon, early, desc(5, 4, nil)},
		{"heartbeat too soon", registry.CodeTooSoon, early, beat(5, 4, nil)},
		{"no key for its epoch", registry.CodeMissingKey, nil, desc(5, 4, func(d *statement.Descriptor) { d.Keys[0].First = 6 })},
		{"no key for the next epoch", registry.CodeMissingKey, nil, desc(5, 4, func(d *statement.Descriptor) { d.Keys[0].Last = 5 })},
		{"key that lives too long", registry.CodeKeyLifetime, nil, desc(5, 4, func(d *statement.Descriptor) { d.Keys[0].Last = 29 })},
		{"key of zeros", registry.CodeBadKey, nil, desc(5, 4, func(d *statement.Descriptor) { d.Keys[0].Key = [32]byte{} })},
		{"descriptor of another version", registry.CodeVersion, func(t *testing.T, b *bench) { b.core.Params.Versions = []string{"v0", "v2"} }, desc(5, 4, nil)},
		{"heartbeat from the future", registry.CodeFutureHeight, nil, beat(5, 4, func(b *bench, h *statement.Heartbeat) { h.Height = b.ctx.Height + 1 })},
		{"descriptor changed after signing", registry.CodeBadSignature, nil, func(b *bench) statement.Statement {
			st := desc(5, 4, nil)(b)
			st.Sequence++
			return st
		}},
		{"heartbeat signed on another network", registry.CodeBadSignature, nil, func(b *bench) statement.Statement {
			st := beat(5, 4, nil)(b)
			return statement.Sign(statement.Domain{}, r.key, st.Label, st.Sequence, st.Body)
		}},
		{"VRF proof of another epoch", registry.CodeBadVRF, nil, beat(5, 4, func(b *bench, h *statement.Heartbeat) { h.VRF = r.vrf.Prove(beacon.EpochAlpha(b.hash, 6)) })},
		{"VRF proof by another key", registry.CodeBadVRF, nil, beat(5, 4, func(b *bench, h *statement.Heartbeat) {
			h.VRF = stranger.vrf.Prove(beacon.EpochAlpha(b.hash, 5))
		})},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			must(t, b.register(r, 1000))
			b.at(t, 50_000)
			must(t, b.publish(desc(5, 3, nil)(b), beat(5, 3, nil)(b)))
			b.at(t, 52_000)
			if row.given != nil {
				row.given(t, b)
			}
			st := row.st(b)
			b.refused(t, row.code, func() error { return b.CheckPublish(st, b.ctx) })
			b.refused(t, row.code, func() error { return b.Publish(st, b.ctx) })
		})
	}
	// What the rows change is all that is wrong with them.
	b := newBench(t)
	must(t, b.register(r, 1000))
	b.at(t, 50_000)
	must(t, b.publish(desc(5, 3, nil)(b), beat(5, 3, nil)(b), desc(6, 0, nil)(b), beat(6, 0, nil)(b))) // a new epoch is never too soon
	b.at(t, 52_000)
	must(t, b.CheckPublish(desc(6, 4, nil)(b), b.ctx), b.publish(desc(6, 4, nil)(b), beat(6, 9, nil)(b)))
}

func TestSteps(t *testing.T) {
	b := newBench(t)
	r, q := newRelay(1), newRelay(2)
	b.join(t, r)
	id := r.id()
	b.refused(t, registry.CodeUnknownNode, func() error { return b.Unlocking(q.id(), 1, b.ctx) })
	b.refused(t, registry.CodeWrongState, func() error { return b.Decommission(id, "x", chain.Hash{}, b.ctx) })
	b.refused(t, registry.CodeWrongState, func() error { return b.Leave(id, b.ctx) })
	b.at(t, 10_000)
	must(t, b.Decommission(id, "failed tests", chain.Hash{}, b.ctx))
	b.refused(t, registry.CodeWrongState, func() error { return b.Leave(id, b.ctx) })
	must(t, b.Recommission(id, "passed tests", b.ctx), b.Unlocking(id, b.ctx.Time+5, b.ctx), b.Leave(id, b.ctx))
	b.refused(t, registry.CodeWrongState, func() error { return b.Unlocking(id, 1, b.ctx) })
	b.Tombstone(id, "key-disclosure", chain.Hash{7}, b.ctx) // reaches also who has left
	b.Tombstone(id, "key-disclosure", chain.Hash{8}, b.ctx) // once
	b.Tombstone(q.id(), "x", chain.Hash{}, b.ctx)
	b.refused(t, registry.CodeWrongState, func() error { return b.Recommission(id, "x", b.ctx) })

	want := []registry.Event{
		{To: registry.Registered, Reason: "registered", Height: 1, Time: genesisTime},
		{From: registry.Registered, To: registry.Active, Reason: "listed"},
		{From: registry.Active, To: registry.Decommissioned, Reason: "failed tests"},
		{From: registry.Decommissioned, To: registry.Active, Reason: "passed tests"},
		{From: registry.Active, To: registry.Unlocking, Reason: "unlock requested"},
		{From: registry.Unlocking, To: registry.Left, Reason: "unlocked"},
		{From: registry.Left, To: registry.Tombstoned, Reason: "key-disclosure", Proof: chain.Hash{7}},
	}
	got := b.History(id)
	taken := b.TakeEvents()
	if len(got) != len(want) || len(taken) != len(want) || b.TakeEvents() != nil {
		t.Fatalf("%d events, %d taken, want %d", len(got), len(taken), len(want))
	}
	for i, w := range want {
		w.Node = id
		if i > 0 {
			w.Height, w.Time = 2, genesisTime+10_000
		}
		if got[i] != w || taken[i] != w {
			t.Fatalf("event %d: %+v, want %+v", i, got[i], w)
		}
	}
}
