package path_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/path"
)

const day = chain.Time(genesis.Day)

func TestStrikes(t *testing.T) {
	var s path.Strikes
	const minute = chain.Time(genesis.Minute)
	now := chain.Time(1000)
	for round, want := range []chain.Time{10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440} {
		for i := range path.StrikesOut {
			if s.Avoided(id(1), now) {
				t.Fatalf("round %d: avoided after %d strikes", round, i)
			}
			s.Add(id(1), now)
		}
		if !s.Avoided(id(1), now+want*minute-1) || s.Avoided(id(1), now+want*minute) {
			t.Fatalf("round %d: until %d, want %d minutes", round, s[id(1)].Until, want)
		}
		now += want * minute
	}
	s.Clear(id(1))
	s.Add(id(1), now)
	s.Add(id(1), now)
	if s.Avoided(id(1), now) || s[id(1)].Count != 2 {
		t.Error("a success forgets nothing")
	}
	s.Add(id(50), now)
	s.Prune(list(relays(3)), now)
	if len(s) != 1 {
		t.Errorf("kept %v", s)
	}
	s.Prune(list(relays(3)), now+3*day)
	if len(s) != 0 {
		t.Errorf("kept %v after three days", s)
	}
}

// A client goes through one guard for weeks; the second serves while the first
// does not, and both come back from disk.
func TestGuardsStick(t *testing.T) {
	k := picker(relays(20))
	var g path.Guards
	var s path.Strikes
	now := day
	use := func() chain.NodeID {
		t.Helper()
		p, err := g.Choose(k, s, path.Options{}, now, seed(int(now%1000)))
		if err != nil {
			t.Fatal(err)
		}
		return k.List().Entries[p[0]].Node
	}
	first := use()
	for range 50 {
		now += 10 * chain.Time(genesis.Minute)
		if use() != first {
			t.Fatal("the guard changed")
		}
	}
	if len(g.Sample) != path.GuardSample || k.Conflict(index(k, g.Sample[0].Node), index(k, g.Sample[1].Node)) != path.Free {
		t.Fatalf("sample %+v", g.Sample)
	}
	for range path.StrikesOut {
		s.Add(first, now)
	}
	if got := use(); got != g.Sample[1].Node {
		t.Errorf("with strikes against the first, %s is used", got.Short())
	}
	if got, ok := g.Current(k, s, now); !ok || got != g.Sample[1].Node {
		t.Error("current")
	}
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var back path.Guards
	if err := json.Unmarshal(b, &back); err != nil || !cmp.Equal(g, back) {
		t.Errorf("%v %s", err, cmp.Diff(g, back))
	}
	now += chain.Time(path.AvoidFirst)
	if use() != first {
		t.Error("the first guard does not come back")
	}
	now += 2 * chain.Time(path.GuardLife)
	use()
	for _, x := range g.Sample {
		if x.Since != now {
			t.Error("a guard outlives its time")
		}
	}
}

func index(k *path.Picker, id chain.NodeID) int { i, _ := k.List().Index(id); return i }

// A guard that leaves the list is kept for a week.
func TestGuardMissing(t *testing.T) {
	all := relays(12)
	k := picker(all)
	var g path.Guards
	now := day
	if _, err := g.Choose(k, nil, path.Options{}, now, seed(1)); err != nil {
		t.Fatal(err)
	}
	first := g.Sample[0].Node
	without := slices.Delete(slices.Clone(k.List().Entries), index(k, first), index(k, first)+1)
	for _, c := range []struct {
		after chain.Time
		kept  bool
	}{{1, true}, {8 * day, false}} {
		h := path.Guards{Sample: slices.Clone(g.Sample)}
		if _, err := h.Choose(picker(without), nil, path.Options{}, now+1, seed(2)); err != nil {
			t.Fatal(err)
		}
		p, err := h.Choose(picker(without), nil, path.Options{}, now+c.after, seed(2))
		if err != nil || without[p[0]].Node == first {
			t.Fatalf("%v %v", p, err)
		}
		if kept := slices.ContainsFunc(h.Sample, func(x path.Guard) bool { return x.Node == first }); kept != c.kept {
			t.Errorf("after %d: kept %v", c.after, kept)
		}
		if p, err := h.Choose(k, nil, path.Options{}, now+c.after, seed(3)); err != nil || (k.List().Entries[p[0]].Node == first) != c.kept {
			t.Errorf("after %d: back in the list: %v %v", c.after, p, err)
		}
	}
}

// In the smallest network every target is reached, also one that is a guard.
func TestGuardsInTheSmallestNetwork(t *testing.T) {
	k := picker(relays(4))
	for s := range 20 {
		var g path.Guards
		for target := range 4 {
			p, err := g.Choose(k, nil, path.Options{Target: id(target)}, day, seed(s))
			if err != nil || p[3] != target || p[0] == target {
				t.Fatalf("target %d: %v %v", target, p, err)
			}
		}
		if len(g.Sample) != path.GuardSample {
			t.Fatalf("%d guards", len(g.Sample))
		}
	}
	var g path.Guards
	if _, err := g.Choose(picker(relays(2)), nil, path.Options{}, day, seed(1)); !errors.Is(err, path.ErrTooFew) {
		t.Error(err)
	}
}

// Whoever makes every guard fail does not lead the client through the whole
// network: six guards are seen, then the same again.
func TestGuardsAllAvoided(t *testing.T) {
	k := picker(relays(30))
	var g path.Guards
	s := path.Strikes{}
	now := day
	used := map[int]bool{}
	for n := range 200 {
		p, err := g.Choose(k, s, path.Options{Target: id(n % 30)}, now, seed(n))
		if err != nil {
			t.Fatal(err)
		}
		for range path.StrikesOut {
			s.Add(k.List().Entries[p[0]].Node, now)
		}
		used[p[0]] = true
	}
	if len(g.Sample) != path.GuardMost || len(used) != path.GuardMost {
		t.Errorf("%d guards kept, %d used", len(g.Sample), len(used))
	}
}

// All are avoided after an outage, and one of them is dead: it fails on, is avoided
// for longer each time, and the others serve before their time is over.
func TestDeadGuardAmongAvoidedOnes(t *testing.T) {
	k := picker(relays(30))
	var g path.Guards
	s := path.Strikes{}
	now := day
	use := func(n int) chain.NodeID {
		t.Helper()
		p, err := g.Choose(k, s, path.Options{}, now, seed(n))
		if err != nil {
			t.Fatal(err)
		}
		return k.List().Entries[p[0]].Node
	}
	fail := func(x chain.NodeID) {
		for range path.StrikesOut {
			s.Add(x, now)
		}
	}
	for n := range path.GuardMost { // the first fails first
		now++
		fail(use(n))
	}
	dead := g.Sample[0].Node
	for n := range 3 * path.GuardMost {
		now++
		if x := use(n); x == dead {
			fail(x)
		} else if s.Clear(x); use(n) != x {
			t.Fatal("one that works is not used on")
		} else {
			return
		}
	}
	t.Error("the dead one is used on and on")
}
