package beacon_test

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/internal/testenv"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 9381, appendix B.4, examples 19 to 21.
func TestRFC9381(t *testing.T) {
	for _, c := range []struct{ sk, pk, alpha, pi, beta string }{
		{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
			"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"7d9c633ffeee27349264cf5c667579fc583b4bda63ab71d001f89c10003ab46f14adf9a3cd8b8412d9038531e865c341cafa73589b023d14311c331a9ad15ff2fb37831e00f0acaa6d73bc9997b06501",
			"9d574bf9b8302ec0fc1e21c3ec5368269527b87b462ce36dab2d14ccf80c53cccf6758f058c5b1c856b116388152bbe509ee3b9ecfe63d93c3b4346c1fbc6c54"},
		{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"47b327393ff2dd81336f8a2ef10339112401253b3c714eeda879f12c509072ef055b48372bb82efbdce8e10c8cb9a2f9d60e93908f93df1623ad78a86a028d6bc064dbfc75a6a57379ef855dc6733801",
			"38561d6b77b71d30eb97a062168ae12b667ce5c28caccdf76bc88e093e4635987cd96814ce55b4689b3dd2947f80e59aac7b7675f8083865b46c89b2ce9cc735"},
		{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
			"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"926e895d308f5e328e7aa159c06eddbe56d06846abf5d98c2512235eaa57fdce35b46edfc655bc828d44ad09d1150f31374e7ef73027e14760d42e77341fe05467bb286cc2c9d7fde29120a0b2320d04",
			"121b7f9b9aaaa29099fc04a94ba52784d44eac976dd1a3cca458733be5cd090a7b5fbd148444f17f8daf1fb55cb04b1ae85a626e30a54b4b0f8abf4a43314a58"},
	} {
		k, alpha := beacon.NewKey([32]byte(unhex(t, c.sk))), unhex(t, c.alpha)
		if p := k.Public(); hex.EncodeToString(p[:]) != c.pk {
			t.Errorf("public key %x, want %s", p, c.pk)
		}
		pi := k.Prove(alpha)
		if hex.EncodeToString(pi[:]) != c.pi {
			t.Errorf("proof %x, want %s", pi, c.pi)
		}
		out, err := beacon.Verify(k.Public(), alpha, [80]byte(unhex(t, c.pi)))
		if err != nil || hex.EncodeToString(out[:]) != c.beta {
			t.Errorf("output %x %v, want %s", out, err, c.beta)
		}
	}
}

// One key and input have one output: whatever else is shown is refused.
func TestVRFRefusals(t *testing.T) {
	k, other := beacon.NewKey([32]byte{1}), beacon.NewKey([32]byte{2})
	genesis := chain.Hash{3}
	alpha := beacon.EpochAlpha(genesis, 4)
	pi := k.Prove(alpha)
	refused := func(name string, pub [32]byte, alpha []byte, pi [80]byte) {
		t.Helper()
		if out, err := beacon.Verify(pub, alpha, pi); err != beacon.ErrVRF || out != [64]byte{} {
			t.Errorf("%s: %x, %v", name, out, err)
		}
	}
	refused("other key", other.Public(), alpha, pi)
	refused("other epoch", k.Public(), beacon.EpochAlpha(genesis, 5), pi)
	refused("other genesis", k.Public(), beacon.EpochAlpha(chain.Hash{4}, 4), pi)
	refused("registration's proof", k.Public(), alpha, k.Prove(beacon.RegistrationAlpha(genesis, chain.Address{5})))
	refused("zero proof", k.Public(), alpha, [80]byte{})
	for i := range 8 * len(pi) {
		bad := pi
		bad[i/8] ^= 1 << (i % 8)
		refused("bit flipped", k.Public(), alpha, bad)
	}
	// s + L is the same number modulo the order.
	bad, carry := pi, 0
	for i, b := range unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010") {
		sum := int(bad[48+i]) + int(b) + carry
		bad[48+i], carry = byte(sum), sum>>8
	}
	refused("s + L", k.Public(), alpha, bad)
	for _, low := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		pub := [32]byte(unhex(t, low))
		refused("key of small order or not reduced", pub, alpha, pi)
		// Under the identity s B - c Y = s B: only the check of the key refuses it.
		refused("key of small order, zero s and c", pub, alpha, [80]byte{0: 1})
	}
}

func FuzzVerify(f *testing.F) {
	k := beacon.NewKey([32]byte{1})
	pub, pi := k.Public(), k.Prove([]byte("alpha"))
	f.Add(pub[:], pi[:], []byte("alpha"))
	f.Fuzz(func(t *testing.T, key, proof, alpha []byte) {
		var p [32]byte
		var x [80]byte
		copy(p[:], key)
		copy(x[:], proof)
		if _, err := beacon.Verify(p, alpha, x); err == nil && p == pub && x != k.Prove(alpha) {
			t.Fatalf("%x is a second proof", x)
		}
	})
}

func contribution(n byte) beacon.Contribution {
	return beacon.Contribution{Node: chain.NodeID{n}, Output: [64]byte{63: n}}
}

func TestNext(t *testing.T) {
	parent := beacon.Zero(chain.Hash{1})
	seen := map[chain.Hash]string{parent: "zero"}
	for name, got := range map[string]chain.Hash{
		"none":          beacon.Next(parent, nil),
		"other parent":  beacon.Next(chain.Hash{2}, nil),
		"one":           beacon.Next(parent, []beacon.Contribution{contribution(1)}),
		"another":       beacon.Next(parent, []beacon.Contribution{contribution(2)}),
		"both":          beacon.Next(parent, []beacon.Contribution{contribution(1), contribution(2)}),
		"other output":  beacon.Next(parent, []beacon.Contribution{{Node: chain.NodeID{1}}}),
		"other genesis": beacon.Zero(chain.Hash{2}),
	} {
		if other, ok := seen[got]; ok {
			t.Errorf("%s gives the beacon of %s", name, other)
		}
		seen[got] = name
	}
	for name, list := range map[string][]beacon.Contribution{
		"equal": {contribution(1), contribution(1)}, "descending": {contribution(1), contribution(3), contribution(2)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s contributions do not panic", name)
				}
			}()
			beacon.Next(parent, list)
		}()
	}
}

// The bytes of docs/spec/beacon.md, put together by hand.
func TestBytes(t *testing.T) {
	cat := func(parts ...[]byte) (b []byte) { return slices.Concat(parts...) }
	g, a, p, c := chain.Hash{1}, chain.Address{2}, chain.Hash{3}, contribution(4)
	if want := cat([]byte("tunic vrf epoch"), g[:], []byte{0, 0, 0, 0, 0, 0, 0, 9}); !slices.Equal(beacon.EpochAlpha(g, 9), want) {
		t.Error("EpochAlpha")
	}
	if want := cat([]byte("tunic vrf registration"), g[:], a[:]); !slices.Equal(beacon.RegistrationAlpha(g, a), want) {
		t.Error("RegistrationAlpha")
	}
	if beacon.Zero(g) != chain.SHA256([]byte("tunic beacon 0"), g[:]) {
		t.Error("Zero")
	}
	if beacon.Next(p, []beacon.Contribution{c}) != chain.SHA256([]byte("tunic beacon"), p[:], []byte{0, 0, 0, 1}, c.Node[:], c.Output[:]) {
		t.Error("Next")
	}
	d, seed := beacon.NewDraw(p, "purpose"), chain.SHA256([]byte("tunic draw"), p[:], []byte("purpose"))
	for i := range uint64(9) {
		block := chain.SHA256(seed[:], binary.BigEndian.AppendUint64(nil, i/4))
		if got, want := d.Uint64(), binary.BigEndian.Uint64(block[8*(i%4):]); got != want {
			t.Errorf("word %d is %x, want %x", i, got, want)
		}
	}
}

// chiSquareLimit is a bound that a chi-square variable of df degrees of freedom
// exceeds with p < 1e-6 (Wilson and Hilferty, z = 4.7534).
func chiSquareLimit(df float64) float64 {
	k := 2 / (9 * df)
	return df * math.Pow(1-k+4.7534*math.Sqrt(k), 3)
}

func chiSquare(counts []int) float64 {
	total := 0
	for _, c := range counts {
		total += c
	}
	want, sum := float64(total)/float64(len(counts)), 0.0
	for _, c := range counts {
		sum += (float64(c) - want) * (float64(c) - want) / want
	}
	return sum
}

func TestDrawIsUniform(t *testing.T) {
	for _, n := range []uint64{2, 3, 7, 10, 100, 255} {
		d, counts := beacon.NewDraw(chain.Hash{7}, "uniform"), make([]int, n)
		for range 200 * n {
			counts[d.N(n)]++
		}
		if x, limit := chiSquare(counts), chiSquareLimit(float64(n-1)); x > limit {
			t.Errorf("below %d: chi-square %.1f over %.1f", n, x, limit)
		}
	}
	// Without rejection, the first third below 3 * 2^62 would come twice as often.
	const n = 3 << 62
	d, counts := beacon.NewDraw(chain.Hash{7}, "bias"), make([]int, 3)
	for range 3000 {
		v := d.N(n)
		if v >= n {
			t.Fatalf("%d is not below %d", v, uint64(n))
		}
		counts[v>>62]++
	}
	if x := chiSquare(counts); x > chiSquareLimit(2) {
		t.Errorf("thirds below 3 * 2^62: %v, chi-square %.1f", counts, x)
	}
	// Each of the 24 orders of four items is as likely.
	orders := map[[4]int]int{}
	d = beacon.NewDraw(chain.Hash{7}, "orders")
	for range 4800 {
		o := [4]int{0, 1, 2, 3}
		d.Shuffle(4, func(i, j int) { o[i], o[j] = o[j], o[i] })
		orders[o]++
	}
	all := make([]int, 0, 24)
	for _, c := range orders {
		all = append(all, c)
	}
	if x := chiSquare(all); len(all) != 24 || x > chiSquareLimit(23) {
		t.Errorf("%d orders, chi-square %.1f", len(all), x)
	}
}

// N takes the words of the stream in turn and rejects exactly those below 2^64
// mod n, so that the same number of words leads to each value.
func TestRejection(t *testing.T) {
	two64 := new(big.Int).Lsh(big.NewInt(1), 64)
	testenv.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Min(1).Draw(t, "n")
		seed := chain.Hash{byte(rapid.IntRange(0, 255).Draw(t, "seed"))}
		least := new(big.Int).Mod(two64, new(big.Int).SetUint64(n)).Uint64()
		d, words := beacon.NewDraw(seed, "x"), beacon.NewDraw(seed, "x")
		for range 5 {
			w := words.Uint64()
			for w < least {
				w = words.Uint64()
			}
			if got := d.N(n); got != w%n {
				t.Fatalf("%d below %d, want %d", got, n, w%n)
			}
		}
	})
	defer func() {
		if recover() == nil {
			t.Error("a draw below zero does not panic")
		}
	}()
	beacon.NewDraw(chain.Hash{}, "").N(0)
}

func TestPurposesAreIndependent(t *testing.T) {
	a, b, again := beacon.NewDraw(chain.Hash{1}, "a"), beacon.NewDraw(chain.Hash{1}, "b"), beacon.NewDraw(chain.Hash{1}, "a")
	same := 0
	for range 64 {
		x := a.Uint64()
		if x == b.Uint64() {
			same++
		}
		if x != again.Uint64() {
			t.Fatal("a draw does not repeat")
		}
	}
	if same > 0 {
		t.Errorf("%d of 64 words are the same for two purposes", same)
	}
}

func TestVectors(t *testing.T) {
	const path = "testdata/vectors.json"
	type file struct {
		MadeBy  string            `json:"made_by"`
		Genesis chain.Hash        `json:"genesis_hash"`
		Values  map[string]string `json:"values"`
		Draw    []uint64          `json:"draw_below_1000"`
		Order   []int             `json:"shuffle_of_10"`
	}
	g := chain.Hash{1, 31: 2}
	k := beacon.NewKey([32]byte{9})
	pub, proof := k.Public(), k.Prove(beacon.EpochAlpha(g, 1))
	out, err := beacon.Verify(pub, beacon.EpochAlpha(g, 1), proof)
	if err != nil {
		t.Fatal(err)
	}
	reg := k.Prove(beacon.RegistrationAlpha(g, chain.Address{5}))
	one := beacon.Next(beacon.Zero(g), nil)
	two := beacon.Next(one, []beacon.Contribution{{Node: chain.NodeID{4}, Output: out}})
	want := file{MadeBy: "go test ./chain/beacon -run TestVectors -rewrite", Genesis: g, Values: map[string]string{
		"vrf_seed": "09" + hex.EncodeToString(make([]byte, 31)), "vrf_public": hex.EncodeToString(pub[:]),
		"vrf_proof_epoch_1": hex.EncodeToString(proof[:]), "vrf_output_epoch_1": hex.EncodeToString(out[:]),
		"vrf_proof_registration_of_05": hex.EncodeToString(reg[:]),
		"beacon_0":                     beacon.Zero(g).String(), "beacon_1_without_contributions": one.String(), "beacon_2_with_node_04": two.String(),
	}}
	d := beacon.NewDraw(two, "vector")
	for range 10 {
		want.Draw = append(want.Draw, d.N(1000))
		want.Order = append(want.Order, len(want.Order))
	}
	d.Shuffle(10, func(i, j int) { want.Order[i], want.Order[j] = want.Order[j], want.Order[i] })
	testenv.Golden(t, path, want)
}
