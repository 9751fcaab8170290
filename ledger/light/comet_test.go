package light_test

import (
	"errors"
	"fmt"
	"testing"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger/comettest"
	"tunic/ledger/light"
	"tunic/slashing"
)

// committed is a network under CometBFT and what a ledger of it has.
type committed struct {
	*comettest.Chain
	net    genesis.Network
	sealed []chain.SealedHeader // height h at h-1
	certs  map[chain.Height]cometbft.Certificate
	asked  []chain.Height
}

// newCommitted makes the blocks: each second one, and others that change brings
// before the block of a height.
func newCommitted(t testing.TB, g genesis.Genesis, names []string, blocks int, change func(c *comettest.Chain, h chain.Height) [][]byte) *committed {
	t.Helper()
	x := &committed{Chain: comettest.New(t, g, names...), net: g.Network("http://127.0.0.1:1"), certs: map[chain.Height]cometbft.Certificate{}}
	for h := chain.Height(1); h <= chain.Height(blocks); h++ {
		b := x.OK(comettest.Began+chain.Time(h)*1000, change(x.Chain, h)...)
		x.sealed = append(x.sealed, b.SealedHeader)
		c, err := cometbft.Of(b.SealedHeader)
		if err != nil {
			t.Fatal(err)
		}
		_, c.Set = x.Engine()
		x.certs[h+1] = c
		if below, ok := x.certs[h]; ok {
			below.Next = c.Set
			x.certs[h] = below
		}
	}
	return x
}

func (x *committed) at(h chain.Height) chain.SealedHeader { return x.sealed[h-1] }

func (x *committed) fetch(h chain.Height) (cometbft.Certificate, error) {
	x.asked = append(x.asked, h)
	c, ok := x.certs[h]
	if !ok {
		return c, fmt.Errorf("no certificate of height %d", h)
	}
	return c, nil
}

// now is a clock a second after the block of a height.
func (x *committed) now(h chain.Height) chain.Time { return x.at(h).Header.Time + 1000 }

// few is a network of a, b, c and d in which everyone is replaced, one after the
// other, from block 10 on.
func few(t testing.TB, blocks int) *committed {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	g := comettest.Genesis(t, names[:4], names[4:])
	return newCommitted(t, g, names, blocks, func(c *comettest.Chain, h chain.Height) [][]byte {
		if i := int(h) - 10; i >= 0 && i%2 == 0 && i/2 < 4 {
			return append(c.Join(names[4+i/2]), c.Leave(names[i/2]))
		}
		return nil
	})
}

func TestCommittedFromGenesis(t *testing.T) {
	x := few(t, 40)
	v := verifier(t, x.net)
	for h := chain.Height(1); h <= 40; h++ {
		if err := light.Reach(v, x.at(h), x.now(h), x.fetch); err != nil {
			t.Fatalf("height %d: %v", h, err)
		}
		if newest, _ := v.Newest(); newest.Header.Height != h {
			t.Fatalf("newest is %d at %d", newest.Header.Height, h)
		}
	}
	// Each change costs one certificate: that of the height that it decides first.
	if want := []chain.Height{12, 14, 16, 18}; fmt.Sprint(x.asked) != fmt.Sprint(want) {
		t.Errorf("asked for %v, want %v", x.asked, want)
	}
	// At once: everyone was replaced meanwhile.
	x.asked = nil
	v = verifier(t, x.net)
	err := v.Accept(x.at(40), x.now(40), true)
	var needs *light.Needs
	if !errors.As(err, &needs) || needs.Height != 41 || !errors.Is(err, light.ErrNeeds) {
		t.Fatalf("accepted without validators: %v", err)
	}
	if err := light.Reach(v, x.at(40), x.now(40), x.fetch); err != nil {
		t.Fatal(err)
	}
	if n := len(x.asked); n < 2 || n > 12 {
		t.Errorf("asked for %v", x.asked)
	}
	if w := v.Work(); w.Certificates < 2 || w.Signatures < 6 {
		t.Errorf("work %+v", w)
	}
}

// TestCommittedOtherCopies: a copy of a known header with other signatures is the
// same header; one that too few signed is none.
func TestCommittedOtherCopies(t *testing.T) {
	x := few(t, 9)
	v := verifier(t, x.net)
	if err := light.Reach(v, x.at(8), x.now(8), x.fetch); err != nil {
		t.Fatal(err)
	}
	c := x.certs[9]
	other := x.Certify(x.at(8).Header, c.Header, c.Set, 2)
	if other.Seal == x.at(8).Seal || !other.Same(x.at(8)) {
		t.Fatal("the copies do not differ in their commits alone")
	}
	fresh := verifier(t, x.net)
	for name, check := range map[string]func() error{
		"known":    func() error { return v.Accept(other, x.now(8), true) },
		"evidence": func() error { return v.CheckHeader(other) },
		"fresh":    func() error { return fresh.Accept(other, x.now(8), true) },
		"sealed":   func() error { return fresh.Sealed(other, x.now(8)) },
	} {
		if err := check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	fresh = verifier(t, x.net)
	poor := x.Certify(x.at(8).Header, c.Header, c.Set, 0, 3)
	for name, err := range map[string]error{"accept": fresh.Accept(poor, x.now(8), true), "check": fresh.CheckHeader(poor), "sealed": v.Sealed(x.Certify(x.at(9).Header, x.certs[10].Header, x.certs[10].Set, 0, 3), x.now(9))} {
		if !errors.Is(err, light.ErrSeal) {
			t.Errorf("%s, two of four: %v", name, err)
		}
	}
}

func TestCommittedRefusals(t *testing.T) {
	x := few(t, 9)
	sealerNet := x.net
	now := x.now(9)
	forged := func(change func(h *chain.Header, above *cometbft.Header), absent ...int) chain.SealedHeader {
		h, above := x.at(8).Header, x.certs[9].Header
		change(&h, &above)
		return x.Certify(h, above, x.certs[9].Set, absent...)
	}
	strangers, err := cometbft.SetOf([]chain.NodeID{comettest.Node("e"), comettest.Node("f"), comettest.Node("g")})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		s    chain.SealedHeader
		now  chain.Time
		want error
	}{
		"good":                     {x.at(8), now, nil},
		"other network":            {forged(func(h *chain.Header, _ *cometbft.Header) { h.Genesis[0] ^= 1 }), now, light.ErrNetwork},
		"sealed and not committed": {chain.SealedHeader{Header: func() chain.Header { h := x.at(8).Header; h.Committed = false; return h }()}, now, light.ErrSeal},
		"state not named":          {forged(func(h *chain.Header, _ *cometbft.Header) { h.State[0] ^= 1 }), now, light.ErrSeal},
		"of another height":        {forged(func(_ *chain.Header, above *cometbft.Header) { above.Height = 10 }), now, light.ErrSeal},
		"of another chain":         {forged(func(_ *chain.Header, above *cometbft.Header) { above.ChainID = "tunic-0" }), now, light.ErrNetwork},
		"no certificate":           {chain.Commit(x.at(8).Header, []byte{1}), now, light.ErrSeal},
		"none signed":              {forged(func(*chain.Header, *cometbft.Header) {}, 0, 1, 2, 3), now, light.ErrSeal},
		"set of strangers": {func() chain.SealedHeader {
			above := x.certs[9].Header
			above.ValidatorsHash = strangers.Hash()
			return x.Certify(x.at(8).Header, above, strangers)
		}(), now, light.ErrNeeds},
		"ahead of the clock":    {x.at(8), x.at(8).Header.Time - 62_000, light.ErrFuture},
		"a fork":                {forged(func(h *chain.Header, above *cometbft.Header) { h.Fork = 1; above.AppHash = h.Hash() }), now, light.ErrFork},
		"epoch of another time": {forged(func(h *chain.Header, above *cometbft.Header) { h.DirEpoch++; above.AppHash = h.Hash() }), now, light.ErrHeader},
	} {
		v := verifier(t, sealerNet)
		if err := v.Accept(c.s, c.now, true); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// Whoever lies about the set gets nowhere.
	v := verifier(t, x.net)
	above := x.certs[9].Header
	above.ValidatorsHash = strangers.Hash()
	lie := x.Certify(x.at(8).Header, above, strangers)
	err = light.Reach(v, lie, now, func(h chain.Height) (cometbft.Certificate, error) {
		c := x.Certificate(above, strangers)
		if h != 9 {
			return x.fetch(h)
		}
		return c, nil
	})
	if !errors.Is(err, light.ErrSeal) && !errors.Is(err, light.ErrTwoHeads) {
		t.Fatalf("a set of strangers: %v", err)
	}
	if err := verifier(t, x.net).Accept(x.at(8), now+chain.Time(light.TrustingPeriod(x.net)), true); !errors.Is(err, light.ErrExpired) {
		t.Fatalf("past the trusting period: %v", err)
	}
	if err := verifier(t, network(1)).Learn(x.certs[9], now); !errors.Is(err, light.ErrEngine) {
		t.Fatalf("a certificate on a network of sealers: %v", err)
	}
}

// TestCommittedTwoHeads: another header of a height that the same validators
// decided halts, also one that is seen by its certificate alone.
func TestCommittedTwoHeads(t *testing.T) {
	x := few(t, 9)
	second := func(height chain.Height, names bool) chain.SealedHeader {
		h, above := x.at(height).Header, x.certs[height+1].Header
		if names {
			h.State[0] ^= 1
		}
		above.AppHash, above.DataHash = h.Hash(), chain.Hash{7}
		return x.Certify(h, above, x.certs[height+1].Set)
	}
	for name, other := range map[string]chain.SealedHeader{"another state": second(8, true), "another block of the engine": second(8, false)} {
		v := verifier(t, x.net)
		for _, h := range []chain.Height{7, 8} {
			if err := v.Accept(x.at(h), x.now(h), true); err != nil {
				t.Fatal(err)
			}
		}
		err := v.Accept(other, x.now(9), true)
		var two *light.TwoHeads
		if !errors.As(err, &two) || !errors.Is(err, light.ErrTwoHeads) || two.Certificates == nil || two.Height() != 8 {
			t.Fatalf("%s: %v", name, err)
		}
		if two.First.Header.Hash() != x.at(8).Header.Hash() || !two.Second.Same(other) {
			t.Errorf("%s: %s and %s", name, two.First.Header.Hash(), two.Second.Header.Hash())
		}
		for _, c := range []cometbft.Certificate{two.Certificates.First, two.Certificates.Second} {
			if c.Set == nil || c.Set.VerifyCommit(c.Header.ChainID, c.Header.Height, c.Commit.BlockID, &c.Commit) != nil {
				t.Errorf("%s: a certificate of the evidence does not verify by itself", name)
			}
		}
		if v.Conflict() != two || !errors.Is(v.Accept(x.at(9), x.now(9), true), light.ErrTwoHeads) || !errors.Is(v.Learn(x.certs[9], x.now(9)), light.ErrTwoHeads) {
			t.Errorf("%s: it goes on", name)
		}
		if err := v.CheckHeader(x.at(6)); err != nil {
			t.Errorf("%s: evidence is not judged any more: %v", name, err)
		}
	}
	// By a certificate that was but a step.
	v := verifier(t, x.net)
	if err := v.Learn(x.certs[9], x.now(9)); err != nil {
		t.Fatal(err)
	}
	var two *light.TwoHeads
	if err := v.Accept(second(8, true), x.now(9), true); !errors.As(err, &two) || two.First.Header.Height != 0 || two.Second.Header.Height != 8 || two.Height() != 8 {
		t.Fatalf("against a certificate: %v", two)
	}
}

// TestCommittedLeft: validators who have left can halt nobody, and make nothing
// that is news.
func TestCommittedLeft(t *testing.T) {
	x := few(t, 40)
	v := verifier(t, x.net)
	for h := chain.Height(1); h <= 40; h++ {
		if err := light.Reach(v, x.at(h), x.now(h), x.fetch); err != nil {
			t.Fatal(err)
		}
	}
	first := x.certs[2].Set
	h, above := x.at(39).Header, x.certs[40].Header
	h.State[0] ^= 1
	above.AppHash, above.ValidatorsHash = h.Hash(), first.Hash()
	forged := x.Certify(h, above, first)
	if err := v.Accept(forged, x.now(40), true); !errors.Is(err, light.ErrSeal) {
		t.Errorf("news of those who left: %v", err)
	}
	if err := v.CheckHeader(forged); !errors.Is(err, light.ErrSeal) || errors.Is(err, light.ErrTwoHeads) {
		t.Errorf("evidence of those who left, of a known height: %v", err)
	}
	if v.Conflict() != nil {
		t.Error("halted")
	}
}

// TestCommittedAnchor: what a judge can tell who has the network file alone.
func TestCommittedAnchor(t *testing.T) {
	x := few(t, 40)
	var anchor slashing.Anchor = verifier(t, x.net)
	for h, want := range map[chain.Height]error{1: nil, 10: nil, 11: light.ErrValidators, 40: light.ErrValidators} {
		if err := anchor.CheckHeader(x.at(h)); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("height %d by genesis alone: %v, want %v", h, err, want)
		}
	}
	// With its set along, as long as a third of genesis' is left.
	along := func(h chain.Height) chain.SealedHeader {
		c := x.certs[h+1]
		c.Next = nil
		return chain.Commit(x.at(h).Header, c.Encode())
	}
	for h, want := range map[chain.Height]error{11: nil, 13: nil, 16: light.ErrValidators, 40: light.ErrValidators} {
		if err := anchor.CheckHeader(along(h)); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("height %d with its set: %v, want %v", h, err, want)
		}
	}
	// A newer network file tells more, the certificate being in it.
	newer := x.net
	c := x.certs[31]
	newer.Checkpoint = &genesis.Checkpoint{Height: 30, Hash: x.at(30).Header.Hash(), Commit: c.Header.Hash(), Certificate: c.Encode()}
	anchor = verifier(t, newer)
	for _, h := range []chain.Height{1, 30, 40} {
		if err := anchor.CheckHeader(x.at(h)); err != nil {
			t.Errorf("height %d by a checkpoint: %v", h, err)
		}
	}
	if err := anchor.CheckHeader(x.at(14)); !errors.Is(err, light.ErrValidators) {
		t.Errorf("height 14, of neither: %v", err)
	}
}

func TestCommittedCheckpoint(t *testing.T) {
	x := few(t, 40)
	n := x.net
	c := x.certs[31]
	n.Checkpoint = &genesis.Checkpoint{Height: 30, Hash: x.at(30).Header.Hash(), Commit: c.Header.Hash()}
	v := verifier(t, n)
	var needs *light.Needs
	if err := v.Accept(x.at(40), x.now(40), true); !errors.As(err, &needs) || needs.Height != 31 {
		t.Fatalf("without the checkpoint's certificate: %v", err)
	}
	for name, bad := range map[string]cometbft.Certificate{"another": x.certs[32], "without set": {Header: c.Header, Commit: c.Commit}} {
		if err := v.Learn(bad, x.now(40)); err == nil {
			t.Errorf("%s was taken for the checkpoint's", name)
		}
	}
	forged := c.Header
	forged.DataHash[0] ^= 1
	if err := v.Learn(x.Certificate(forged, c.Set), x.now(40)); !errors.Is(err, light.ErrCheckpoint) {
		t.Errorf("another certificate of its height: %v", err)
	}
	x.asked = nil
	if err := light.Reach(v, x.at(40), x.now(40), x.fetch); err != nil || len(x.asked) != 1 {
		t.Fatalf("%v, asked for %v", err, x.asked)
	}
	if err := verifier(t, n).Accept(x.at(29), x.now(40), true); !errors.As(err, &needs) {
		t.Errorf("below the checkpoint, at once: %v", err)
	}
	v = verifier(t, n)
	if err := light.Reach(v, x.at(29), x.now(40), x.fetch); !errors.Is(err, light.ErrOld) {
		t.Errorf("below the checkpoint: %v", err)
	}
	wrong := n
	wrong.Checkpoint = &genesis.Checkpoint{Height: 30, Hash: chain.Hash{1}, Commit: c.Header.Hash()}
	if err := light.Reach(verifier(t, wrong), x.at(40), x.now(40), x.fetch); !errors.Is(err, light.ErrCheckpoint) {
		t.Errorf("a checkpoint whose hashes are of two histories: %v", err)
	}
	after := x.certs[32]
	wrong.Checkpoint = &genesis.Checkpoint{Height: 30, Hash: x.at(30).Header.Hash(), Commit: c.Header.Hash(), Certificate: after.Encode()}
	if _, err := light.New(wrong); !errors.Is(err, genesis.ErrGenesis) {
		t.Errorf("a checkpoint with another's certificate: %v", err)
	}
}

// TestCommittedResume: a verifier goes on from what its last run had verified,
// also where genesis is too old to begin from.
func TestCommittedResume(t *testing.T) {
	x := few(t, 40)
	v := verifier(t, x.net)
	if err := light.Reach(v, x.at(30), x.now(30), x.fetch); err != nil {
		t.Fatal(err)
	}
	kept := v.Trusted(x.at(30))
	if kept.Seal == x.at(30).Seal || !kept.Same(x.at(30)) {
		t.Fatal("the sets are not with it")
	}
	period := chain.Time(light.TrustingPeriod(x.net))
	late := x.at(20).Header.Time + period
	if err := verifier(t, x.net).Accept(x.at(9), late, true); !errors.Is(err, light.ErrExpired) {
		t.Fatalf("genesis is not too old yet: %v", err)
	}
	v = verifier(t, x.net)
	if err := v.Resume(kept, late); err != nil {
		t.Fatal(err)
	}
	if err := v.Accept(kept, late, true); err != nil {
		t.Fatal(err)
	}
	x.asked = nil
	if err := light.Reach(v, x.at(40), late, x.fetch); err != nil || len(x.asked) != 0 {
		t.Fatalf("%v, asked for %v", err, x.asked)
	}
	if err := verifier(t, x.net).Resume(kept, x.now(31)+period); !errors.Is(err, light.ErrExpired) {
		t.Errorf("too old: %v", err)
	}
	if err := verifier(t, x.net).Resume(x.at(30), late); !errors.Is(err, light.ErrSeal) {
		t.Errorf("without its set: %v", err)
	}
}

// TestCommittedSizes: with 128 validators, the most that genesis names, and all
// removals, everything that is served stays within its bound.
func TestCommittedSizes(t *testing.T) {
	var names, others []string
	for i := range 128 {
		names, others = append(names, fmt.Sprint("n", i)), append(others, fmt.Sprint("o", i))
	}
	x := newCommitted(t, comettest.Genesis(t, names, nil), append(names, others...), 2, func(*comettest.Chain, chain.Height) [][]byte { return nil })
	v := verifier(t, x.net)
	if err := v.Accept(x.at(1), x.now(1), true); err != nil {
		t.Fatal(err)
	}
	var next []chain.NodeID
	for _, o := range others {
		next = append(next, comettest.Node(o))
	}
	set, err := cometbft.SetOf(next)
	if err != nil {
		t.Fatal(err)
	}
	c := x.certs[2]
	c.Next = set
	if n := len(c.Encode()); n > chain.MaxCommit || n < 128*(97+40+40) {
		t.Errorf("a certificate with two sets has %d bytes", n)
	}
	kept := v.Trusted(x.at(1))
	if again, err := chain.DecodeSealedHeader(kept.Encode()); err != nil || !again.Same(x.at(1)) || kept.Seal == x.at(1).Seal {
		t.Errorf("with its sets: %v", err)
	}
	h := x.at(1).Header
	for i := range chain.MaxRemovals {
		h.Removals = append(h.Removals, chain.NodeID{byte(i >> 8), byte(i)})
	}
	full := chain.Commit(h, make([]byte, chain.MaxCommit))
	b := full.Encode()
	if len(b) != chain.MaxSealedHeader {
		t.Errorf("the largest header has %d bytes, the bound is %d", len(b), chain.MaxSealedHeader)
	}
	if _, err := chain.DecodeSealedHeader(b); err != nil {
		t.Error(err)
	}
}
