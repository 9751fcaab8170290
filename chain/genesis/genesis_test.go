package genesis_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
)

var profiles = []genesis.Profile{genesis.Mainnet, genesis.Private, genesis.Dev}

func params(t testing.TB, p genesis.Profile) genesis.Params {
	t.Helper()
	out, err := genesis.For(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sample(t testing.TB, p genesis.Profile) genesis.Genesis {
	t.Helper()
	g := genesis.Genesis{
		Core: genesis.Core{
			ChainID: 31337, Profile: p, Dev: p == genesis.Dev, Clock: genesis.ClockReal, Engine: genesis.EngineSealer,
			Time: 1735689600000, Nonce: chain.Hash{1, 31: 2}, Sealers: []chain.NodeID{{1}, {2}},
			Council: []chain.Address{{1}, {2}, {3}}, CouncilMin: 2, RewardPool: 1000 * chain.TUN, Params: params(t, p),
		},
		Allocations: []genesis.Allocation{{Address: chain.Address{1}, Balance: 5 * chain.TUN}, {Address: chain.Address{2}, Balance: 1}},
	}
	if g.Dev {
		g.Clock = genesis.ClockLedger
	}
	return g
}

func TestProfilesValidate(t *testing.T) {
	for _, p := range profiles {
		if err := sample(t, p).Validate(); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := genesis.For("test"); err == nil {
		t.Error("an unknown profile has parameters")
	}
}

func TestGenesisRules(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*genesis.Genesis)
		want   error
	}{
		{"no clock", func(g *genesis.Genesis) { g.Clock = "" }, genesis.ErrGenesis},
		{"unknown clock", func(g *genesis.Genesis) { g.Clock = "wall" }, genesis.ErrGenesis},
		{"clock ledger without dev", func(g *genesis.Genesis) { g.Dev = false }, genesis.ErrGenesis},
		{"dev with the real clock", func(g *genesis.Genesis) { g.Clock = genesis.ClockReal }, nil},
		{"unknown engine", func(g *genesis.Genesis) { g.Engine = "pow" }, genesis.ErrGenesis},
		{"dev on cometbft", func(g *genesis.Genesis) { g.Engine = genesis.EngineComet }, genesis.ErrGenesis},
		{"cometbft", func(g *genesis.Genesis) { comet(g) }, nil},
		{"cometbft, a validator without operator", func(g *genesis.Genesis) {
			comet(g)
			g.Operators = g.Operators[1:]
		}, genesis.ErrGenesis},
		{"cometbft, an operator without the stake for two", func(g *genesis.Genesis) {
			comet(g)
			g.Allocations[0].Balance--
		}, genesis.ErrGenesis},
		{"cometbft, an operator without allocation", func(g *genesis.Genesis) {
			comet(g)
			g.Operators[1][0]++
		}, genesis.ErrGenesis},
		{"cometbft, a key of small order", func(g *genesis.Genesis) {
			comet(g)
			g.Sealers[0] = chain.NodeID{1}
		}, genesis.ErrGenesis},
		{"cometbft, a key of small order with the other sign", func(g *genesis.Genesis) {
			comet(g)
			g.Sealers = []chain.NodeID{{0: 1, 31: 0x80}, {4}}
		}, genesis.ErrGenesis},
		{"cometbft, a key above the prime", func(g *genesis.Genesis) {
			comet(g)
			g.Sealers[1] = chain.NodeID(bytes.Repeat([]byte{0xff}, 32))
		}, genesis.ErrGenesis},
		{"operators of sealers", func(g *genesis.Genesis) { g.Operators = make([]chain.Address, len(g.Sealers)) }, genesis.ErrGenesis},
		{"no sealer", func(g *genesis.Genesis) { g.Sealers = nil }, genesis.ErrGenesis},
		{"too many sealers", func(g *genesis.Genesis) { g.Sealers = make([]chain.NodeID, 129) }, genesis.ErrGenesis},
		{"sealers descending", func(g *genesis.Genesis) { g.Sealers = []chain.NodeID{{2}, {1}} }, genesis.ErrGenesis},
		{"sealers equal", func(g *genesis.Genesis) { g.Sealers = []chain.NodeID{{1}, {1}} }, genesis.ErrGenesis},
		{"no council", func(g *genesis.Genesis) { g.Council, g.CouncilMin = nil, 0 }, nil},
		{"minimum without council", func(g *genesis.Genesis) { g.Council, g.CouncilMin = nil, 1 }, genesis.ErrGenesis},
		{"minimum above the council", func(g *genesis.Genesis) { g.CouncilMin = 4 }, genesis.ErrGenesis},
		{"council that needs nobody", func(g *genesis.Genesis) { g.CouncilMin = 0 }, genesis.ErrGenesis},
		{"council too large", func(g *genesis.Genesis) { g.Council = make([]chain.Address, 65) }, genesis.ErrGenesis},
		{"council descending", func(g *genesis.Genesis) { g.Council = []chain.Address{{2}, {1}} }, genesis.ErrGenesis},
		{"council equal", func(g *genesis.Genesis) { g.Council = []chain.Address{{1}, {1}} }, genesis.ErrGenesis},
		{"parameters", func(g *genesis.Genesis) { g.Params.Geometry = 0 }, genesis.ErrParams},
		{"no allocation", func(g *genesis.Genesis) { g.Allocations = nil }, nil},
		{"allocations descending", func(g *genesis.Genesis) {
			g.Allocations = []genesis.Allocation{{Address: chain.Address{2}}, {Address: chain.Address{1}}}
		}, genesis.ErrGenesis},
		{"allocated twice", func(g *genesis.Genesis) {
			g.Allocations = []genesis.Allocation{{Address: chain.Address{1}}, {Address: chain.Address{1}}}
		}, genesis.ErrGenesis},
		{"all units", func(g *genesis.Genesis) { g.RewardPool = math.MaxUint64 - 5*chain.TUN - 1 }, nil},
		{"supply over 64 bits", func(g *genesis.Genesis) { g.RewardPool = math.MaxUint64 - 5*chain.TUN }, genesis.ErrGenesis},
	} {
		g := sample(t, genesis.Dev)
		c.change(&g)
		if err := g.Validate(); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if s, ok := sample(t, genesis.Dev).Supply(); !ok || s != 1005*chain.TUN+1 {
		t.Errorf("supply %s, %v", s, ok)
	}
}

// comet makes g a network of CometBFT, whose validators have one operator.
func comet(g *genesis.Genesis) {
	g.Engine, g.Dev, g.Clock = genesis.EngineComet, false, genesis.ClockReal
	g.Sealers = []chain.NodeID{{3}, {4}}
	g.Allocations[0].Balance = chain.Amount(len(g.Sealers)) * g.Params.StakingRequirement
	for range g.Sealers {
		g.Operators = append(g.Operators, g.Allocations[0].Address)
	}
}

// change alters v, a settable value of any kind that a genesis contains.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() ^ 1)
	case reflect.Array:
		change(t, v.Index(v.Len()-1))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
	default:
		t.Fatalf("no way to change a %s", v.Type())
	}
}

// Every field of a genesis and of its parameters changes the hash, and no two
// of these changes meet in one hash.
func TestHashCoversEachField(t *testing.T) {
	seen := map[chain.Hash]string{sample(t, genesis.Dev).Hash(): "unchanged"}
	try := func(name string, f func(*genesis.Genesis)) {
		g := sample(t, genesis.Dev)
		f(&g)
		if other, ok := seen[g.Hash()]; ok {
			t.Errorf("%s: the hash is that of %s", name, other)
		}
		seen[g.Hash()] = name
	}
	core, prm := reflect.TypeFor[genesis.Core](), reflect.TypeFor[genesis.Params]()
	for i := range core.NumField() {
		if core.Field(i).Name == "Params" {
			continue
		}
		try(core.Field(i).Name, func(g *genesis.Genesis) { change(t, reflect.ValueOf(&g.Core).Elem().Field(i)) })
	}
	for i := range prm.NumField() {
		try("Params."+prm.Field(i).Name, func(g *genesis.Genesis) { change(t, reflect.ValueOf(&g.Params).Elem().Field(i)) })
	}
	try("one more allocation", func(g *genesis.Genesis) { change(t, reflect.ValueOf(&g.Allocations).Elem()) })
	try("allocated address", func(g *genesis.Genesis) { g.Allocations[0].Address[19]++ })
	try("allocated balance", func(g *genesis.Genesis) { g.Allocations[1].Balance++ })
	try("allocations exchanged", func(g *genesis.Genesis) {
		g.Allocations[0].Balance, g.Allocations[1].Balance = g.Allocations[1].Balance, g.Allocations[0].Balance
	})
}

func TestGenesisFile(t *testing.T) {
	for _, p := range profiles {
		g := sample(t, p)
		b, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := genesis.Parse(b); err != nil || got.Hash() != g.Hash() || !cmp.Equal(got, g) {
			t.Errorf("%s: %v", p, err)
		}
		s := string(b)
		for name, bad := range map[string]string{
			"unknown key":         strings.Replace(s, `"chain_id"`, `"more":1,"chain_id"`, 1),
			"unknown parameter":   strings.Replace(s, `"min_fee"`, `"more":1,"min_fee"`, 1),
			"key twice":           strings.Replace(s, `"chain_id"`, `"chain_id":1,"chain_id"`, 1),
			"key twice by case":   strings.Replace(s, `"chain_id"`, `"Chain_ID":1,"chain_id"`, 1),
			"parameter twice":     strings.Replace(s, `"min_fee"`, `"min_fee":"1","min_fee"`, 1),
			"balance twice":       strings.Replace(s, `"balance"`, `"balance":"1","balance"`, 1),
			"trailing brace":      s + "}",
			"trailing bracket":    s + "]",
			"trailing object":     s + "{}",
			"trailing word":       s + " x",
			"cut":                 s[:len(s)-1],
			"empty":               "",
			"null":                "null",
			"a list":              "[" + s + "]",
			"a number as amount":  strings.Replace(s, `"min_fee":"1000"`, `"min_fee":1000`, 1),
			"a string as number":  strings.Replace(s, `"chain_id":31337`, `"chain_id":"31337"`, 1),
			"a negative number":   strings.Replace(s, `"chain_id":31337`, `"chain_id":-1`, 1),
			"a fraction":          strings.Replace(s, `"chain_id":31337`, `"chain_id":1.5`, 1),
			"a rule that is hurt": strings.Replace(s, `"geometry":1`, `"geometry":3`, 1),
		} {
			if _, err := genesis.Parse([]byte(bad)); bad == s || err == nil || !(errors.Is(err, genesis.ErrGenesis) || errors.Is(err, genesis.ErrParams)) {
				t.Errorf("%s: %s: %v", p, name, err)
			}
		}
	}
}

func TestNetworkFile(t *testing.T) {
	g := sample(t, genesis.Private)
	n := g.Network("http://127.0.0.1:8000")
	n.Checkpoint = &genesis.Checkpoint{Height: 5, Hash: chain.Hash{6}}
	got, err := genesis.ParseNetwork(n.Encode())
	if err != nil || !cmp.Equal(got, n) || got.Genesis != g.Hash() || !bytes.Equal(got.Encode(), n.Encode()) {
		t.Errorf("%v\n%s", err, cmp.Diff(got, n))
	}
	for name, bad := range map[string]string{
		"unknown key":    strings.Replace(string(n.Encode()), `"urls"`, `"more": 1, "urls"`, 1),
		"key twice":      strings.Replace(string(n.Encode()), `"urls"`, `"urls": [], "urls"`, 1),
		"trailing brace": string(n.Encode()) + "}",
	} {
		if _, err := genesis.ParseNetwork([]byte(bad)); !errors.Is(err, genesis.ErrGenesis) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n.Params.Geometry = 3
	n.Genesis = n.HashWith(n.Allocations)
	if _, err := genesis.ParseNetwork(n.Encode()); !errors.Is(err, genesis.ErrParams) {
		t.Errorf("a rule that is hurt: %v", err)
	}
}

// Any one byte changed: refused, or what the file says is the same (white
// space, the case of a hex digit or of a key).
func TestNetworkFileChangedByOneByte(t *testing.T) {
	n := sample(t, genesis.Dev).Network()
	file := n.Encode()
	same := 0
	for i := range file {
		for _, x := range []byte{0x01, 0x20, 0x10} {
			bad := bytes.Clone(file)
			bad[i] ^= x
			got, err := genesis.ParseNetwork(bad)
			if err != nil {
				continue
			}
			if same++; !cmp.Equal(got, n) {
				t.Errorf("byte %d changed from %q to %q: accepted\n%s", i, file[i], bad[i], cmp.Diff(got, n))
			}
		}
	}
	if same > len(file) {
		t.Errorf("%d of %d changes change nothing", same, 3*len(file))
	}
}

func TestEpochs(t *testing.T) {
	c := sample(t, genesis.Dev).Core
	for at, want := range map[chain.Time]chain.Epoch{0: 0, c.Time - 1: 0, c.Time: 0, c.Time + 9_999: 0, c.Time + 10_000: 1, c.Time + 25_000: 2} {
		if got := c.EpochAt(at); got != want {
			t.Errorf("time %d is in epoch %d, want %d", at, got, want)
		}
	}
	for e := range chain.Epoch(100) {
		if start := c.EpochStart(e); c.EpochAt(start) != e || (e > 0 && c.EpochAt(start-1) != e-1) {
			t.Errorf("epoch %d does not begin at %d", e, start)
		}
	}
}

func FuzzParse(f *testing.F) {
	g := sample(f, genesis.Dev)
	b, err := json.Marshal(g)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(g.Network("x").Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if g, err := genesis.Parse(in); err == nil {
			b, err := json.Marshal(g)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := genesis.Parse(b); err != nil || again.Hash() != g.Hash() {
				t.Fatalf("%s reads otherwise when written again: %v", in, err)
			}
		}
		if n, err := genesis.ParseNetwork(in); err == nil {
			if again, err := genesis.ParseNetwork(n.Encode()); err != nil || again.Genesis != n.Genesis {
				t.Fatalf("%s reads otherwise when written again: %v", in, err)
			}
		}
	})
}

func TestVectors(t *testing.T) {
	const path = "testdata/vectors.json"
	type vector struct {
		Profile     genesis.Profile `json:"profile"`
		Genesis     json.RawMessage `json:"genesis"`
		Core        string          `json:"core_hex"`
		Allocations chain.Hash      `json:"allocations_root"`
		Hash        chain.Hash      `json:"genesis_hash"`
	}
	type file struct {
		MadeBy  string   `json:"made_by"`
		Vectors []vector `json:"vectors"`
	}
	want := file{MadeBy: "go test ./chain/genesis -run TestVectors -rewrite"}
	for _, p := range profiles {
		g := sample(t, p)
		b, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		want.Vectors = append(want.Vectors, vector{p, b, hex.EncodeToString(g.Core.Encode()), g.AllocationRoot(), g.Hash()})
	}
	testenv.Golden(t, path, want)
}
