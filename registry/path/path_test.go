package path_test

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/registry/directory"
	"tunic/registry/path"
)

func TestWeight(t *testing.T) {
	p := params()
	for _, c := range []struct {
		stake chain.Amount
		perf  chain.Permille
		want  uint64
	}{
		{2000 * chain.TUN, 1000, 1_000_000}, {1900 * chain.TUN, 1000, 950_000}, {10_000 * chain.TUN, 1000, 5_000_000},
		{10_001 * chain.TUN, 1000, 5_000_000}, {^chain.Amount(0), 1000, 5_000_000}, {4000 * chain.TUN, 500, 1_000_000},
		{2000 * chain.TUN, 0, 0}, {0, 1000, 0},
	} {
		if got := path.Weight(directory.Entry{Stake: c.stake, Performance: c.perf}, p); got != c.want {
			t.Errorf("stake %s, performance %d: %d, want %d", c.stake, c.perf, got, c.want)
		}
	}
	if path.Weight(relay(1), genesis.Params{}) != 0 {
		t.Error("weight without a requirement")
	}
	p.StakingRequirement = 1
	if got := path.Weight(directory.Entry{Stake: ^chain.Amount(0), Performance: 1000}, p); got != 5_000_000 {
		t.Errorf("the least requirement: %d", got)
	}
}

func TestConflict(t *testing.T) {
	with := func(change func(a, b *directory.Entry)) [2]directory.Entry {
		a, b := relay(1), relay(2)
		change(&a, &b)
		return [2]directory.Entry{a, b}
	}
	ends := func(a, b string) [2]directory.Entry {
		return with(func(x, y *directory.Entry) { x.Endpoints, y.Endpoints = strings.Fields(a), strings.Fields(b) })
	}
	for name, c := range map[string]struct {
		e           [2]directory.Entry
		want, plain path.Reason // with and without the subnet rule
	}{
		"apart":            {with(func(a, b *directory.Entry) {}), path.Free, path.Free},
		"one operator":     {with(func(a, b *directory.Entry) { b.Operator = a.Operator }), path.ReasonOperator, path.ReasonOperator},
		"mutual family":    {with(func(a, b *directory.Entry) { a.Family, b.Family = []chain.NodeID{b.Node}, []chain.NodeID{a.Node} }), path.ReasonFamily, path.ReasonFamily},
		"one-sided family": {with(func(a, b *directory.Entry) { a.Family = []chain.NodeID{b.Node} }), path.Free, path.Free},
		"one /16":          {ends("192.0.2.1:1", "192.0.99.7:2"), path.ReasonSubnet, path.Free},
		"next /16":         {ends("192.0.2.1:1", "192.1.2.1:1"), path.Free, path.Free},
		"second endpoint":  {ends("192.0.2.1:1 198.51.0.1:1", "198.51.9.9:1"), path.ReasonSubnet, path.Free},
		"one IPv6 /32":     {ends("[2001:db8:1::1]:1", "[2001:db8:2::1]:1"), path.ReasonSubnet, path.Free},
		"next IPv6 /32":    {ends("[2001:db8::1]:1", "[2001:db9::1]:1"), path.Free, path.Free},
		"mapped IPv4":      {ends("[::ffff:192.0.2.1]:1", "192.0.99.7:2"), path.ReasonSubnet, path.Free},
		"no address":       {ends("x", "x"), path.Free, path.Free},
	} {
		for _, subnets := range []bool{true, false} {
			p, want := params(), c.plain
			if p.Subnets = subnets; subnets {
				want = c.want
			}
			k := path.New(list(c.e[:]), nil, p)
			if got := k.Conflict(0, 1); got != want || k.Conflict(1, 0) != want {
				t.Errorf("%s, subnets %v: %s, want %s", name, subnets, got, want)
			}
		}
	}
	if picker(relays(2)).Conflict(1, 1) != path.ReasonSame {
		t.Error("a node twice")
	}
}

// drawNetwork draws up to nine nodes of few operators, families and networks.
func drawNetwork(t *rapid.T) ([]directory.Entry, genesis.Params) {
	all := relays(rapid.IntRange(0, 9).Draw(t, "relays"))
	pick := func(n int, name string) int { return rapid.IntRange(0, n).Draw(t, name) }
	for i := range all {
		all[i].Operator = chain.Address{byte(pick(6, "operator"))}
		all[i].Endpoints = []string{"10.0.0.1:1", "10.1.0.1:1", "10.2.0.1:1", "10.3.0.1:1", "10.4.0.1:1", "10.5.0.1:1", "10.6.0.1:1"}[pick(6, "net"):][:1]
		for range pick(2, "family") {
			all[i].Family = append(all[i].Family, id(pick(8, "member")))
		}
		all[i].Stake = chain.Amount(pick(4, "stake")) * 4000 * chain.TUN
	}
	p := params()
	p.Subnets = rapid.Bool().Draw(t, "subnets")
	return all, p
}

// A path is found exactly where one exists, and keeps every rule.
func TestChooseAgainstTrying(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		all, p := drawNetwork(t)
		l := list(all)
		var removed []chain.NodeID
		if len(all) > 0 && rapid.Bool().Draw(t, "remove") {
			removed = append(removed, l.Entries[0].Node)
		}
		k := path.New(l, removed, p)
		o := path.Options{Hops: rapid.IntRange(1, 5).Draw(t, "hops")}
		need := o.Hops
		var fixed []int
		if len(all) > 1 && rapid.Bool().Draw(t, "targeted") {
			fixed = append(fixed, len(all)-1)
			o.Target = l.Entries[len(all)-1].Node
			need++
		}
		got, err := k.Choose(o, seed(rapid.IntRange(0, 999).Draw(t, "seed")))
		if possible := extend(k, fixed, need-len(fixed)); possible != (err == nil) {
			t.Fatalf("possible %v, %v", possible, err)
		}
		if err != nil {
			if !errors.Is(err, path.ErrTooFew) {
				t.Fatal(err)
			}
			return
		}
		if len(got) != need || len(fixed) > 0 && got[need-1] != fixed[0] {
			t.Fatalf("path %v", got)
		}
		for i, a := range got {
			if i < o.Hops && (k.Weight(a) == 0 || slices.Contains(removed, l.Entries[a].Node)) {
				t.Fatalf("hop %d is not usable", i)
			}
			for _, b := range got[:i] {
				if why := k.Conflict(a, b); why != path.Free {
					t.Fatalf("path %v: %s", got, why)
				}
			}
		}
	})
}

// extend tries whether n more nodes fit behind chosen.
func extend(k *path.Picker, chosen []int, n int) bool {
	if n == 0 {
		return true
	}
	for i := range k.List().Entries {
		if k.Weight(i) > 0 && !slices.ContainsFunc(chosen, func(j int) bool { return k.Conflict(i, j) != path.Free }) &&
			extend(k, append(slices.Clone(chosen), i), n-1) {
			return true
		}
	}
	return false
}

// Guards are drawn by weight, exits by weight among what is left: chi-square
// over 60,000 paths, rejected only below one in a million.
func TestDistribution(t *testing.T) {
	all := relays(12)
	for i := range all {
		all[i].Stake = chain.Amount(1000*(i+1)) * chain.TUN // the last three are saturated
		all[i].Performance = chain.Permille(1000 - 20*i)
	}
	all[3].Operator = all[4].Operator
	k := picker(all)
	const paths = 60_000
	rnd := seed(1)
	guards, exits := make([]int, len(all)), make([]int, len(all))
	for range paths {
		p, err := k.Choose(path.Options{}, rnd)
		if err != nil {
			t.Fatal(err)
		}
		guards[p[0]]++
		exits[p[2]]++
	}
	var total float64
	w := make([]float64, len(all))
	for i := range w {
		w[i] = float64(k.Weight(i))
		total += w[i]
	}
	wantGuard, wantExit := make([]float64, len(all)), make([]float64, len(all))
	for g := range w {
		wantGuard[g] = paths * w[g] / total
		var left float64
		for x := range w {
			if k.Conflict(g, x) == path.Free {
				left += w[x]
			}
		}
		for x := range w {
			if k.Conflict(g, x) == path.Free {
				wantExit[x] += paths * w[g] / total * w[x] / left
			}
		}
	}
	for name, c := range map[string]struct {
		got  []int
		want []float64
	}{"guards": {guards, wantGuard}, "exits": {exits, wantExit}} {
		var chi float64
		for i := range c.got {
			d := float64(c.got[i]) - c.want[i]
			chi += d * d / c.want[i]
		}
		// Wilson and Hilferty: the one-in-a-million point of chi-square.
		df, z := float64(len(c.got)-1), 4.7534
		if limit := df * math.Pow(1-2/(9*df)+z*math.Sqrt(2/(9*df)), 3); chi > limit {
			t.Errorf("%s: chi-square %.1f over %.1f: %v, want %.0f", name, chi, limit, c.got, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	all := relays(8)
	all[7].Performance = 0
	all[6].Operator = all[5].Operator
	k := path.New(list(all), []chain.NodeID{id(0)}, params())
	for name, c := range map[string]struct {
		o    path.Options
		want error
	}{
		"default":                  {path.Options{}, nil},
		"guard and target":         {path.Options{Guard: id(1), Target: id(2)}, nil},
		"target without weight":    {path.Options{Target: id(7)}, nil},
		"one hop":                  {path.Options{Hops: 1}, nil},
		"five hops":                {path.Options{Hops: 5}, nil},
		"six hops":                 {path.Options{Hops: 6}, path.ErrOptions},
		"less than none":           {path.Options{Hops: -1}, path.ErrOptions},
		"unlisted guard":           {path.Options{Guard: id(99)}, path.ErrOptions},
		"removed guard":            {path.Options{Guard: id(0)}, path.ErrOptions},
		"guard without weight":     {path.Options{Guard: id(7)}, path.ErrOptions},
		"unlisted target":          {path.Options{Target: id(99)}, path.ErrOptions},
		"removed target":           {path.Options{Target: id(0)}, path.ErrOptions},
		"guard is target":          {path.Options{Guard: id(1), Target: id(1)}, path.ErrOptions},
		"guard of target's owner":  {path.Options{Guard: id(5), Target: id(6)}, path.ErrOptions},
		"all excluded":             {path.Options{Exclude: func(chain.NodeID) bool { return true }}, path.ErrTooFew},
		"all avoided":              {path.Options{Avoid: func(chain.NodeID) bool { return true }}, nil},
		"too long for the network": {path.Options{Hops: 5, Target: id(1)}, path.ErrTooFew},
	} {
		for range 20 {
			p, err := k.Choose(c.o, seed(3))
			if !errors.Is(err, c.want) {
				t.Fatalf("%s: %v, want %v", name, err, c.want)
			}
			if err == nil && c.o.Guard != (chain.NodeID{}) && k.List().Entries[p[0]].Node != c.o.Guard {
				t.Fatalf("%s: guard not used", name)
			}
		}
	}
}

// Avoided nodes are left out while there is a path without them.
func TestAvoidGivesWay(t *testing.T) {
	k := picker(relays(5))
	for n := range 5 {
		avoid := func(x chain.NodeID) bool { return slices.Contains([]chain.NodeID{id(0), id(1), id(2)}[:min(n, 3)], x) }
		for s := range 50 {
			o := path.Options{Avoid: avoid}
			p, err := k.Choose(o, seed(s))
			if err != nil {
				t.Fatal(err)
			}
			used := slices.ContainsFunc(p, func(i int) bool { return avoid(k.List().Entries[i].Node) })
			if used != (n > 2) {
				t.Fatalf("%d avoided: used %v", n, used)
			}
			if x := k.Explain(p, o); x.StrikesIgnored != used {
				t.Fatalf("%d avoided: explained as %v", n, x.StrikesIgnored)
			}
		}
	}
}

func TestTooFewSaysWhatToDo(t *testing.T) {
	_, err := picker(relays(3)).Choose(path.Options{Target: id(1)}, seed(1))
	if err == nil || !strings.Contains(err.Error(), "fewer than four usable relays (3 of 3 listed)") {
		t.Error(err)
	}
	same := relays(9)
	for i := range same {
		same[i].Operator = chain.Address{1}
	}
	_, err = picker(same).Choose(path.Options{}, seed(1))
	if err == nil || !strings.Contains(err.Error(), "of distinct operators") {
		t.Error(err)
	}
	if _, err := picker(nil).Choose(path.Options{}, seed(1)); !errors.Is(err, path.ErrTooFew) {
		t.Error(err)
	}
}

// The way back begins at the target and ends at the guard.
func TestReply(t *testing.T) {
	k := picker(relays(9))
	for s := range 50 {
		p, err := k.Reply(path.Options{Guard: id(2), Target: id(5)}, seed(s))
		if err != nil || len(p) != 4 || p[0] != 5 || p[3] != 2 {
			t.Fatalf("%v, %v", p, err)
		}
	}
}

func TestFromReader(t *testing.T) {
	k := picker(relays(9))
	if _, err := k.Choose(path.Options{}, path.FromReader(strings.NewReader(strings.Repeat("random bytes", 40)))); err != nil {
		t.Error(err)
	}
	for _, r := range []io.Reader{strings.NewReader("short"), iotest.ErrReader(errors.New("broken"))} {
		if _, err := k.Choose(path.Options{}, path.FromReader(r)); !errors.Is(err, path.ErrRandom) {
			t.Errorf("%v", err)
		}
	}
	if got := path.FromReader(strings.NewReader("\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x07")).N(5); got > 4 {
		t.Errorf("drew %d below 5", got)
	}
}

// An explanation accounts for every listed node at every draw.
func TestExplain(t *testing.T) {
	all := relays(10)
	all[3].Performance = 0
	all[4].Operator = all[5].Operator
	all[6].Endpoints = all[7].Endpoints
	k := path.New(list(all), []chain.NodeID{id(0)}, params())
	o := path.Options{Guard: id(5), Target: id(7), Exclude: func(x chain.NodeID) bool { return x == id(9) }}
	p, err := k.Choose(o, seed(4))
	if err != nil {
		t.Fatal(err)
	}
	x := k.Explain(p, o)
	if len(x.Steps) != 4 || x.Listed != 10 || x.Usable != 8 {
		t.Fatalf("%+v", x)
	}
	for _, s := range x.Steps[2:] {
		if s.Candidates+len(s.Excluded) != 10 || s.Weight == 0 || s.Total < s.Weight {
			t.Errorf("%+v", s)
		}
	}
	want := map[chain.NodeID]path.Reason{id(0): path.ReasonRemoved, id(3): path.ReasonWeight, id(4): path.ReasonOperator,
		id(5): path.ReasonSame, id(6): path.ReasonSubnet, id(7): path.ReasonSame, id(9): path.ReasonExcluded}
	for _, e := range x.Steps[2].Excluded {
		if want[e.Node] != e.Reason {
			t.Errorf("%s: %s, want %s", e.Node.Short(), e.Reason, want[e.Node])
		}
	}
	if len(x.Steps[2].Excluded) != len(want) {
		t.Errorf("%d excluded", len(x.Steps[2].Excluded))
	}
	if s := x.String(); !strings.Contains(s, "exit") || !strings.Contains(s, "among 3 candidates") || !strings.Contains(s, "1 same network") {
		t.Error(s)
	}
	if _, x, err := path.Choose(k.List(), nil, params(), path.Options{}, seed(1)); err != nil || len(x.Steps) != 3 {
		t.Errorf("%v %+v", err, x)
	}
}

func BenchmarkChoose(b *testing.B) {
	all := relays(2000)
	k := picker(all)
	rnd := seed(1)
	for b.Loop() {
		if _, err := k.Choose(path.Options{Target: id(1)}, rnd); err != nil {
			b.Fatal(err)
		}
	}
}
