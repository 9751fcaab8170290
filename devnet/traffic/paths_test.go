package traffic

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/registry/directory"
	"tunic/registry/path"
	"tunic/registry/probe"
)

// roads are what relays see of paths: at each the relay before and the one behind.
type roads map[string]int

// add takes a way between relays in: whoever stands between two of them sees both.
func (r roads) add(way []int) {
	for i := 1; i+1 < len(way); i++ {
		r[fmt.Sprint(way[i-1], way[i], way[i+1])]++
	}
}

// listOf is a list of n relays with the given stakes, in turn, and operators.
func listOf(t testing.TB, p *genesis.Params, n int, operators int, stakes ...chain.Amount) *directory.List {
	t.Helper()
	var entries []directory.Entry
	for i := range n {
		key := onion.LoadKey(chain.SHA256(fmt.Appendf(nil, "key %d", i)), 1)
		entries = append(entries, directory.Entry{Node: chain.NodeID{byte(i + 1)}, Operator: chain.Address{byte(i % operators)},
			Endpoints: []string{fmt.Sprintf("10.%d.0.1:1", i)}, Version: "1", Stake: stakes[i%len(stakes)] * p.StakingRequirement,
			Performance: 1000, Onion: directory.Key{First: 1, Key: key.Public()}, OnionNext: directory.Key{First: 1, Key: key.Public()}})
	}
	l, err := directory.NewList(5, entries)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestPaths draws many paths of probes, cover, and the users of a large network,
// by the code that draws them, and compares what relays see of them. Where stakes
// are equal there is no difference; where they are not, probes go as often to a
// relay with a little stake as to one with much, and users do not.
func TestPaths(t *testing.T) {
	p, err := genesis.For(genesis.Mainnet)
	if err != nil {
		t.Fatal(err)
	}
	core := genesis.Core{Params: p}
	const n, many = 10, 60_000
	random := path.FromReader(rand.NewChaCha8([32]byte{1}))
	draw := func(l *directory.List) (probes, cover, users roads) {
		probes, cover, users = roads{}, roads{}, roads{}
		k := path.New(l, nil, p)
		net := probe.NewNet(&core, &p, chain.Hash{1}, l, chain.Hash{2}, chain.Hash{3})
		for i := range many {
			prober := i % n
			for _, r := range net.Routes(chain.SHA256(fmt.Appendf(nil, "%d", i)), prober, 1) {
				probes.add([]int{prober, int(r[0]), int(r[1]), int(r[2]), int(r[3])})
			}
			way, err := k.Choose(path.Options{Target: l.Entries[prober].Node}, random)
			if err != nil {
				t.Fatal(err)
			}
			cover.add(append([]int{prober}, way...))
			target := l.Entries[random.N(n)].Node
			if way, err = k.Choose(path.Options{Target: target}, random); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				users.add(way) // the guard has it of a client
				continue
			}
			back, err := k.Reply(path.Options{Target: target, Guard: l.Entries[way[0]].Node}, random)
			if err != nil {
				t.Fatal(err)
			}
			users.add(back) // and gives it to one
		}
		return probes, cover, users
	}
	for _, c := range []struct {
		what      string
		operators int
		stakes    []chain.Amount
		equal     bool
	}{
		{"equal stakes", n, []chain.Amount{1}, true},
		{"one operator with two relays", n - 1, []chain.Amount{1}, true},
		{"stakes of one and two", n, []chain.Amount{1, 2}, false},
	} {
		probes, cover, users := draw(listOf(t, &p, n, c.operators, c.stakes...))
		pu, pc, cu := sameCounts(probes, users), sameCounts(probes, cover), sameCounts(cover, users)
		t.Logf("%s: probes and users %s, probes and cover %s, cover and users %s", c.what, said(pu), said(pc), said(cu))
		if (pu > alarm) != c.equal || (pc > alarm) != c.equal {
			t.Errorf("%s: probes and users %.2g by chance, probes and cover %.2g", c.what, pu, pc)
		}
		if cu < alarm {
			t.Errorf("%s: cover and users %.2g by chance", c.what, cu)
		}
	}
}
