package light_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

func key(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)) }

func nodeOf(k ed25519.PrivateKey) chain.NodeID { return chain.NodeID(k.Public().(ed25519.PublicKey)) }

var sealer = key(1)

func network(nonce byte) genesis.Network {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		panic(err)
	}
	return genesis.Genesis{Core: genesis.Core{
		ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockReal, Engine: genesis.EngineSealer, Nonce: chain.Hash{nonce},
		Time: 1_735_689_600_000, Sealers: []chain.NodeID{nodeOf(sealer)}, Params: p,
	}}.Network()
}

func verifier(t testing.TB, n genesis.Network) *light.Verifier {
	t.Helper()
	v, err := light.New(n)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// history makes headers 1 to n, one a second, linked, of one fork.
func history(net genesis.Network, n int, with func(*chain.Header)) []chain.SealedHeader {
	var all []chain.SealedHeader
	parent := net.Genesis
	for i := range n {
		at := net.Time + chain.Time(i+1)*1000
		h := chain.Header{Genesis: net.Genesis, Height: chain.Height(i + 1), Time: at, Parent: parent,
			DirEpoch: net.EpochAt(at), Directory: directory0.Root(), Proposer: nodeOf(sealer)}
		if with != nil {
			with(&h)
		}
		parent = h.Hash()
		all = append(all, light.Seal(sealer, h))
	}
	return all
}

var directory0, _ = directory.NewList(0, nil)

// reseal changes a header and seals it by k.
func reseal(k ed25519.PrivateKey, s chain.SealedHeader, with func(*chain.Header)) chain.SealedHeader {
	h := s.Header
	with(&h)
	return light.Seal(k, h)
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		with func(*genesis.Network)
		want error
	}{
		"changed parameter": {func(n *genesis.Network) { n.Params.MinFee++ }, genesis.ErrGenesis},
		"changed sealer":    {func(n *genesis.Network) { n.Sealers = []chain.NodeID{{1}} }, genesis.ErrGenesis},
		"changed root":      {func(n *genesis.Network) { n.Allocations[0] ^= 1 }, genesis.ErrGenesis},
		"contradiction":     {func(n *genesis.Network) { n.Sealers = nil; n.Genesis = n.HashWith(n.Allocations) }, genesis.ErrGenesis},
		"a validator without key": {func(n *genesis.Network) {
			n.Engine, n.Dev = genesis.EngineComet, false
			n.Sealers = []chain.NodeID{{1}} // no point of the curve: nobody has its key
			n.Operators = make([]chain.Address, 1)
			n.Genesis = n.HashWith(n.Allocations)
		}, genesis.ErrGenesis},
	} {
		n := network(1)
		c.with(&n)
		if _, err := light.New(n); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every lie about a header has its own answer.
func TestHeaderLies(t *testing.T) {
	net := network(1)
	good := history(net, 30, nil)[29]
	for name, c := range map[string]struct {
		s    chain.SealedHeader
		want error
	}{
		"good":                  {good, nil},
		"wrong genesis":         {history(network(2), 30, nil)[29], light.ErrNetwork},
		"foreign sealer":        {reseal(key(9), good, func(h *chain.Header) { h.Proposer = nodeOf(key(9)) }), light.ErrSealer},
		"foreign key":           {reseal(key(9), good, func(*chain.Header) {}), light.ErrSeal},
		"other fork's seal":     {chain.SealedHeader{Header: reseal(sealer, good, func(h *chain.Header) { h.Fork = 1 }).Header, Seal: good.Seal}, light.ErrSeal},
		"height zero":           {reseal(sealer, good, func(h *chain.Header) { h.Height = 0 }), light.ErrHeader},
		"before genesis":        {reseal(sealer, good, func(h *chain.Header) { h.Time, h.DirEpoch = net.Time-1, 0 }), light.ErrHeader},
		"list of another epoch": {reseal(sealer, good, func(h *chain.Header) { h.DirEpoch++ }), light.ErrHeader},
	} {
		v := verifier(t, net)
		if err := v.CheckHeader(c.s); !errors.Is(err, c.want) {
			t.Errorf("check %s: %v, want %v", name, err, c.want)
		}
		if err := v.Accept(c.s, good.Header.Time, true); !errors.Is(err, c.want) {
			t.Errorf("accept %s: %v, want %v", name, err, c.want)
		}
		if _, ok := v.Newest(); ok != (c.want == nil) {
			t.Errorf("%s: kept %v", name, ok)
		}
	}
}

// Each flipped bit of a sealed header is refused.
func TestEveryHeaderBit(t *testing.T) {
	net := network(1)
	v := verifier(t, net)
	good := history(net, 30, func(h *chain.Header) { h.Removals = []chain.NodeID{{1}} })[29].Encode()
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 1 << (i % 8)
		s, err := chain.DecodeSealedHeader(bad)
		if err == nil {
			err = v.CheckHeader(s)
		}
		if err == nil {
			t.Fatalf("byte %d", i)
		}
	}
}

func TestAccept(t *testing.T) {
	net := network(1)
	all := history(net, 60, nil) // epochs of ten blocks
	at := func(height int) chain.SealedHeader { return all[height-1] }
	long := chain.Time(1) << 50
	for name, c := range map[string]struct {
		have []int // heights accepted before
		s    chain.SealedHeader
		now  chain.Time
		real bool
		want error
	}{
		"first":                    {nil, at(60), long, true, nil},
		"next":                     {[]int{59}, at(60), long, true, nil},
		"gap":                      {[]int{5}, at(60), long, true, nil},
		"again":                    {[]int{60}, at(60), long, true, nil},
		"history":                  {[]int{59}, at(35), long, true, nil},
		"two epochs old":           {[]int{59}, at(30), long, true, nil},
		"three epochs old":         {[]int{59}, at(29), long, true, light.ErrOld},
		"ahead by 60 s":            {nil, at(60), at(60).Header.Time - 60_000, true, nil},
		"ahead by more":            {nil, at(60), at(60).Header.Time - 60_001, true, light.ErrFuture},
		"ahead, no clock":          {nil, at(60), 0, false, nil},
		"other parent":             {[]int{59}, reseal(sealer, at(60), func(h *chain.Header) { h.Parent[0] ^= 1 }), long, true, light.ErrOrder},
		"not the parent":           {[]int{60}, reseal(sealer, at(59), func(h *chain.Header) { h.State[0] ^= 1 }), long, true, light.ErrOrder},
		"time back":                {[]int{58}, reseal(sealer, at(60), func(h *chain.Header) { h.Time -= 10_000; h.DirEpoch-- }), long, true, light.ErrOrder},
		"history, time on":         {[]int{50}, reseal(sealer, at(48), func(h *chain.Header) { h.Time += 10_000; h.DirEpoch++ }), long, true, light.ErrOrder},
		"two heads":                {[]int{60}, reseal(sealer, at(60), func(h *chain.Header) { h.State[0] ^= 1 }), long, true, light.ErrTwoHeads},
		"two heads, history":       {[]int{40, 60}, reseal(sealer, at(40), func(h *chain.Header) { h.State[0] ^= 1 }), long, true, light.ErrTwoHeads},
		"later fork":               {[]int{60}, reseal(sealer, at(50), func(h *chain.Header) { h.Fork = 1 }), long, true, nil},
		"later fork, other parent": {[]int{49, 60}, reseal(sealer, at(50), func(h *chain.Header) { h.Fork, h.Parent = 1, chain.Hash{} }), long, true, light.ErrOrder},
	} {
		v := verifier(t, net)
		for _, h := range c.have {
			if err := v.Accept(at(h), long, true); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := v.Newest()
		err := v.Accept(c.s, c.now, c.real)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if after, _ := v.Newest(); err != nil && after.Header.Hash() != before.Header.Hash() {
			t.Errorf("%s: refused and kept", name)
		}
	}
}

// After a revert the abandoned fork's headers are refused, and lower heights
// of the new one accepted.
func TestFork(t *testing.T) {
	net := network(1)
	old := history(net, 30, nil)
	v := verifier(t, net)
	for _, s := range old {
		if err := v.Accept(s, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	h := reseal(sealer, old[14], func(h *chain.Header) { h.Fork = 1 })
	if err := v.Accept(h, 0, false); err != nil {
		t.Fatal(err)
	}
	if newest, _ := v.Newest(); newest.Header.Height != 15 || newest.Header.Fork != 1 {
		t.Errorf("newest is %d of fork %d", newest.Header.Height, newest.Header.Fork)
	}
	if err := v.Accept(old[29], 0, false); !errors.Is(err, light.ErrFork) {
		t.Errorf("abandoned fork: %v", err)
	}
}

// Two heads are kept as evidence, and nothing is accepted after them.
func TestTwoHeadsHalts(t *testing.T) {
	net := network(1)
	all := history(net, 3, nil)
	other := reseal(sealer, all[1], func(h *chain.Header) { h.TxRoot[0] ^= 1 })
	v := verifier(t, net)
	for _, s := range all[:2] {
		if err := v.Accept(s, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	err := v.Accept(other, 0, false)
	var two *light.TwoHeads
	if !errors.As(err, &two) || two.First.Header.Hash() != all[1].Header.Hash() || two.Second.Header.Hash() != other.Header.Hash() {
		t.Fatalf("%v", err)
	}
	if v.Conflict() == nil || light.VerifySeal(two.First) != nil || light.VerifySeal(two.Second) != nil {
		t.Error("the evidence does not verify")
	}
	if err := v.Accept(all[2], 0, false); !errors.Is(err, light.ErrTwoHeads) {
		t.Errorf("goes on: %v", err)
	}
	if err := v.Header(all[0]); !errors.Is(err, light.ErrTwoHeads) {
		t.Errorf("lists and rows are still verified: %v", err)
	}
	if err := v.CheckHeader(all[0]); err != nil {
		t.Errorf("no evidence is verified any more: %v", err)
	}
}

func TestCheckpoint(t *testing.T) {
	net := network(1)
	all := history(net, 30, nil)
	net.Checkpoint = &genesis.Checkpoint{Height: 20, Hash: all[19].Header.Hash()}
	v := verifier(t, net)
	if err := v.Accept(all[10], 0, false); !errors.Is(err, light.ErrOld) {
		t.Errorf("below the checkpoint: %v", err)
	}
	if err := v.Accept(reseal(sealer, all[19], func(h *chain.Header) { h.State[0] ^= 1 }), 0, false); !errors.Is(err, light.ErrCheckpoint) {
		t.Errorf("another header at the checkpoint: %v", err)
	}
	if err := v.Accept(all[19], 0, false); err != nil {
		t.Error(err)
	}
	if err := v.CheckHeader(all[10]); err != nil {
		t.Errorf("evidence below the checkpoint: %v", err)
	}
}

// The verifier remembers a bounded number of headers and goes on.
func TestMemoryIsBounded(t *testing.T) {
	net := network(1)
	v := verifier(t, net)
	for _, s := range history(net, 600, nil) {
		if err := v.Accept(s, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	if n := light.Kept(v); n != 256 {
		t.Errorf("keeps %d", n)
	}
}

func TestFreshness(t *testing.T) {
	net := network(1)
	s := history(net, 15, nil)[14] // epoch 1
	v := verifier(t, net)
	if got := v.Freshness(s.Header.Time); got != light.Expired {
		t.Errorf("without a header: %s", got)
	}
	if err := v.Accept(s, 0, false); err != nil {
		t.Fatal(err)
	}
	for now, want := range map[chain.Time]light.Freshness{
		0: light.Fresh, s.Header.Time: light.Fresh, net.EpochStart(4) - 1: light.Fresh, net.EpochStart(4): light.Stalled,
		s.Header.Time + chain.Time(light.MaxStall): light.Stalled, s.Header.Time + chain.Time(light.MaxStall) + 1: light.Expired,
	} {
		if got := v.Freshness(now); got != want {
			t.Errorf("at %d: %s, want %s", now, got, want)
		}
	}
}

func FuzzAccept(f *testing.F) {
	net := network(1)
	all := history(net, 12, nil)
	for _, s := range all[8:] {
		f.Add(s.Encode(), uint64(s.Header.Time), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, now uint64, realClock bool) {
		s, err := chain.DecodeSealedHeader(b)
		if err != nil {
			return
		}
		v := verifier(t, net)
		if err := v.Accept(all[9], 0, false); err != nil {
			t.Fatal(err)
		}
		if v.Accept(s, chain.Time(now), realClock) == nil && !slices.ContainsFunc(all, func(g chain.SealedHeader) bool { return g.Header.Hash() == s.Header.Hash() }) {
			t.Fatal("a forged header is accepted")
		}
		v.Freshness(chain.Time(now))
	})
}
