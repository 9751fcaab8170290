package registry_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/registry/directory"
	"tunic/staking"
)

// vectors are the root of the part nodes and of the list after each step of one
// scripted run. Written by: go test ./registry -run TestVectors -rewrite
type vectors struct {
	Command string       `json:"command"`
	Steps   []vectorStep `json:"steps"`
}

type vectorStep struct {
	Step   string     `json:"step"`
	Nodes  chain.Hash `json:"nodes"`
	Rows   int        `json:"rows"`
	List   chain.Hash `json:"list"`
	Listed int        `json:"listed"`
	Beacon chain.Hash `json:"beacon"` // closed at the end of the epoch before
}

func TestVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	b := newBench(t)
	got := vectors{Command: "go test ./registry -run TestVectors -rewrite"}
	var list *directory.List
	seed := beacon.Zero(b.hash)
	step := func(name string, errs ...error) {
		t.Helper()
		must(t, errs...)
		b.sound(t)
		b.commit()
		s := vectorStep{Step: name, Nodes: b.nodes.Root(), Rows: b.nodes.Count(), Beacon: seed}
		if list != nil {
			s.List, s.Listed = list.Root(), len(list.Entries)
		}
		got.Steps = append(got.Steps, s)
	}
	epoch := func(e chain.Epoch) {
		t.Helper()
		seed = beacon.Next(seed, b.Contributions(e-1))
		list = b.at(t, chain.Time(e)*10_000)
		step(fmt.Sprintf("epoch %d", e))
	}
	one, two, three := newRelay(1), newRelay(2), newRelay(3)
	step("empty")
	step("register", b.register(one, 1000), b.register(two, 1000), b.register(three, 400))
	for _, r := range []relay{one, two, three} {
		step("publish", b.publish(b.descriptor(r, 1, 0), b.heartbeat(r, 1, 0)))
	}
	epoch(1)
	step("contribute", b.stakes.Contribute(operator(4), staking.Contribute{Node: three.id(), Amount: 600}, 1, b.acc))
	epoch(2)
	b.Tombstone(two.id(), "double-descriptor", chain.Hash{1}, b.ctx)
	b.stakes.Lock(two.id(), b.ctx.Time+1000)
	step("tombstone")
	step("unlock", b.stakes.RequestUnlock(operator(4), staking.RequestUnlock{Node: three.id()}, b.ctx.Time), b.Unlocking(three.id(), b.ctx.Time+5000, b.ctx))
	step("heartbeat", b.publish(b.heartbeat(one, 3, 0)))
	epoch(3)

	testenv.Golden(t, file, got)
}

// BenchmarkBeginEpoch freezes a list of 2,000 nodes.
func BenchmarkBeginEpoch(b *testing.B) {
	s := newBench(b)
	s.core.Params.HeartbeatValid = 1 << 40
	s.core.Params.OnionKeyEpochs = 1 << 15
	for i := range 2000 {
		r := relay{0, ed25519.NewKeyFromSeed(fmt.Appendf(nil, "%032d", i)), beacon.NewKey([32]byte(fmt.Appendf(nil, "v%031d", i)))}
		s.acc[operator(0)] = 1000
		body := r.describe(1, 30_000).Encode()
		if err := errors.Join(s.register(r, 1000), s.publish(s.sign(r, statement.LabelDescriptor, statement.NewSequence(1, 0), body), s.heartbeat(r, 1, 0))); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		s.at(b, chain.Time(s.ctx.Epoch+1)*10_000)
		s.commit()
	}
}
