package slashing_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/ledger/light"
	"tunic/slashing"
)

// sealersWorld is newWorld with these sealers beside its own.
func sealersWorld(more ...ed25519.PrivateKey) world {
	w := newWorld()
	for _, k := range more {
		w.core.Sealers = append(w.core.Sealers, nodeOf(k))
	}
	slices.SortFunc(w.core.Sealers, func(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) })
	v, err := light.New(genesis.Genesis{Core: w.core}.Network())
	if err != nil {
		panic(err)
	}
	w.anchor = v
	w.header = w.seal(sealer, func(*chain.Header) {})
	return w
}

// second is another header for the height of w's.
func (w world) second(with func(*chain.Header)) chain.SealedHeader {
	return w.seal(sealer, func(h *chain.Header) { h.State[7] = 1; with(h) })
}

// same changes nothing.
func same(*chain.Header) {}

// doubleSeal is a good proof against w's sealer.
func (w world) doubleSeal() slashing.Proof {
	p, err := slashing.AssembleSeals(w.header, w.second(same))
	if err != nil {
		panic(err)
	}
	return p
}

// heads puts two headers into p in canonical order.
func heads(p *slashing.Proof, a, b chain.SealedHeader) {
	p.First, p.Second = a.Encode(), b.Encode()
	if bytes.Compare(p.First, p.Second) > 0 {
		p.First, p.Second = p.Second, p.First
	}
}

// sealRefusals are changed proofs and the one code that each meets offline; on
// chain it is the same or, where there is none, that of the number of sealers.
var sealRefusals = []struct {
	name string
	with func(w world, p *slashing.Proof)
	want *chain.Refusal
}{
	{"good", func(world, *slashing.Proof) {}, nil},
	{"the other's time is of no epoch", func(w world, p *slashing.Proof) {
		heads(p, w.header, w.second(func(h *chain.Header) { h.Time, h.DirEpoch = 0, 1<<64-1 }))
	}, nil},
	{"version", func(_ world, p *slashing.Proof) { p.Version = 2 }, slashing.ErrMalformed},
	{"entry", func(w world, p *slashing.Proof) { p.Entry = w.list.Prove(nodeOf(key(1))) }, slashing.ErrMalformed},
	{"carried header", func(w world, p *slashing.Proof) { p.Header = w.header }, slashing.ErrMalformed},
	{"another kind", func(_ world, p *slashing.Proof) { p.Kind = slashing.LostMessage }, slashing.ErrMalformed},
	{"other kind", func(_ world, p *slashing.Proof) { p.Kind = slashing.DoubleDescriptor }, slashing.ErrMalformed},
	{"other genesis", func(_ world, p *slashing.Proof) { p.Genesis[0] ^= 1 }, slashing.ErrForeignNetwork},
	{"first is junk", func(_ world, p *slashing.Proof) { p.First = []byte{1, 2, 3} }, slashing.ErrMalformed},
	{"second is longer", func(_ world, p *slashing.Proof) { p.Second = append(slices.Clone(p.Second), 0) }, slashing.ErrMalformed},
	{"statements", func(w world, p *slashing.Proof) {
		pair(p, descriptor(w.domain(), 1, "1.0", epoch), descriptor(w.domain(), 1, "1.1", epoch))
	}, slashing.ErrMalformed},
	{"order", func(_ world, p *slashing.Proof) { p.First, p.Second = p.Second, p.First }, slashing.ErrMalformed},
	{"too large", func(w world, p *slashing.Proof) {
		heads(p, w.header, w.second(func(h *chain.Header) {
			for i := range 600 {
				h.Removals = append(h.Removals, chain.NodeID{0: byte(i >> 8), 1: byte(i)})
			}
		}))
	}, slashing.ErrMalformed},
	{"one header twice", func(_ world, p *slashing.Proof) { p.Second = p.First }, slashing.ErrSameContent},
	{"two heights", func(w world, p *slashing.Proof) {
		heads(p, w.header, w.second(func(h *chain.Header) { h.Height++ }))
	}, slashing.ErrWrongPair},
	{"two proposers", func(w world, p *slashing.Proof) {
		heads(p, w.header, w.seal(key(101), func(h *chain.Header) { h.State[7] = 1 }))
	}, slashing.ErrWrongPair},
	{"header of another network", func(w world, p *slashing.Proof) {
		heads(p, w.header, w.second(func(h *chain.Header) { h.Genesis[0] ^= 1 }))
	}, slashing.ErrForeignNetwork},
	{"two forks", func(w world, p *slashing.Proof) {
		heads(p, w.header, w.second(func(h *chain.Header) { h.Fork = 1 }))
	}, slashing.ErrWrongFork},
	{"fork of the proof", func(_ world, p *slashing.Proof) { p.Fork = 1 }, slashing.ErrWrongFork},
	{"sealed twice", func(w world, p *slashing.Proof) {
		b := w.header
		b.Seal[0] ^= 1
		heads(p, w.header, b)
	}, slashing.ErrSameContent},
	{"seal", func(w world, p *slashing.Proof) {
		b := w.second(same)
		b.Seal[5] ^= 1
		heads(p, w.header, b)
	}, slashing.ErrBadSignature},
	{"sealed by another key", func(w world, p *slashing.Proof) {
		b := w.second(same)
		heads(p, w.header, chain.SealedHeader{Header: b.Header, Seal: light.Seal(key(101), b.Header).Seal})
	}, slashing.ErrBadSignature},
	{"both of a stranger", func(w world, p *slashing.Proof) {
		heads(p, w.seal(key(101), same), w.seal(key(101), func(h *chain.Header) { h.State[7] = 1 }))
	}, slashing.ErrBadHeader},
	{"neither can be of the history", func(w world, p *slashing.Proof) {
		heads(p, w.second(func(h *chain.Header) { h.DirEpoch++ }), w.second(func(h *chain.Header) { h.DirEpoch += 2 }))
	}, slashing.ErrBadHeader},
}

// Each change meets its code, offline and on chain; the steps end with it; the
// chain takes none, and none changes anything.
func TestSealRefusals(t *testing.T) {
	for _, net := range []struct {
		world
		penalty *chain.Refusal
	}{{newWorld(), slashing.ErrSingleSealer}, {sealersWorld(key(102)), slashing.ErrUnbondedSealer}} {
		w := net.world
		for _, c := range sealRefusals {
			p := w.doubleSeal()
			c.with(w, &p)
			o, offline := slashing.Verify(p, w.anchor)
			if !is(offline, c.want) {
				t.Errorf("%s: offline %v, want %v", c.name, offline, c.want)
			}
			if offline == nil && (o.Node != nodeOf(sealer) || o.Height != 120 || o.Basis != slashing.BasisSignature || o.ID != p.ID() || o.ID.IsZero()) {
				t.Errorf("%s: %+v", c.name, o)
			}
			want := c.want
			if want == nil {
				want = net.penalty
			}
			b, n := &bonds{}, &nodes{known: []chain.NodeID{nodeOf(sealer)}}
			part, s := newReducer(&w.core)
			_, online := s.Punish(p, chain.Address{1}, slashing.Context{Height: 130, Time: w.core.EpochStart(epoch + 1)}, w.ledger(), b, n)
			if !is(online, want) {
				t.Errorf("%s: on chain %v, want %v", c.name, online, want)
			}
			if len(part.Commit()) > 0 || len(b.slash) > 0 || len(n.dead) > 0 {
				t.Errorf("%s: something changed", c.name)
			}
			steps := slashing.Steps(p, w.anchor)
			if last := steps[len(steps)-1]; c.want == nil && !last.OK || c.want != nil && (last.OK || last.Code != c.want.Code) {
				t.Errorf("%s: last step %+v", c.name, last)
			}
		}
	}
}

// Whatever bit of a proof is changed, and wherever it is cut, both sides refuse
// with the same code.
func TestMutatedSealsAgree(t *testing.T) {
	w := newWorld()
	good := w.doubleSeal().Encode()
	_, s := newReducer(&w.core)
	ctx := slashing.Context{Height: 130, Time: w.core.EpochStart(epoch + 1)}
	codes := map[string]int{}
	try := func(what string, b []byte) {
		p, err := slashing.Decode(b)
		offline, online := err, err
		if err == nil {
			_, offline = slashing.Verify(p, w.anchor)
			online = s.Check(p, ctx, w.ledger(), &bonds{}, &nodes{})
		}
		var off, on *chain.Refusal
		if !errors.As(offline, &off) || !errors.As(online, &on) || off.Code != on.Code {
			t.Fatalf("%s: offline %v, on chain %v", what, offline, online)
		}
		codes[off.Code]++
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			try(fmt.Sprintf("bit %d of byte %d", bit, i), bad)
		}
		try(fmt.Sprintf("cut at %d", i), good[:i])
	}
	try("a byte more", append(bytes.Clone(good), 0))
	// A bit may make the headers the same too, where their seals are in order.
	for _, r := range []*chain.Refusal{slashing.ErrBadSignature, slashing.ErrForeignNetwork, slashing.ErrMalformed, slashing.ErrWrongFork, slashing.ErrWrongPair} {
		if codes[r.Code] == 0 {
			t.Errorf("never %s, only %v", r.Code, codes)
		}
	}
}

// Which of the two, or that a third, is known does not matter offline; a ledger
// wants one to be its own.
func TestSealAnchors(t *testing.T) {
	w := newWorld()
	p := w.doubleSeal()
	for name, known := range map[string]chain.SealedHeader{
		"the first": w.header, "the second": w.second(same), "a third": w.second(func(h *chain.Header) { h.State[7] = 2 }),
	} {
		v, err := light.New(w.anchor.Network())
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Accept(known, 0, false); err != nil {
			t.Fatal(err)
		}
		if _, err := slashing.Verify(p, v); err != nil {
			t.Errorf("where %s is known: %v", name, err)
		}
		_, err = slashing.Verify(p, chainAnchor{w.anchor.Genesis(), map[chain.Height]chain.SealedHeader{120: known}})
		if own := name != "a third"; own != (err == nil) || !own && !is(err, slashing.ErrBadHeader) {
			t.Errorf("on a ledger where %s is: %v", name, err)
		}
	}
}

// One offence has one id, whatever pair shows it; heights and proposers differ.
func TestSealIDs(t *testing.T) {
	w := newWorld()
	make := func(a, b chain.SealedHeader) slashing.Proof {
		p, err := slashing.AssembleSeals(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b, c := w.header, w.second(same), w.second(func(h *chain.Header) { h.State[7] = 2 })
	if !bytes.Equal(make(a, b).Encode(), make(b, a).Encode()) || make(a, b).ID() != make(b, c).ID() {
		t.Error("one offence has two ids")
	}
	up := func(h *chain.Header) { h.Height++ }
	if make(a, b).ID() == make(w.seal(sealer, up), w.second(up)).ID() {
		t.Error("two heights share an id")
	}
	other := func(k ed25519.PrivateKey) slashing.Proof {
		return make(w.seal(k, same), w.seal(k, func(h *chain.Header) { h.State[7] = 1 }))
	}
	if other(key(101)).ID() == other(key(102)).ID() {
		t.Error("two proposers share an id")
	}
	if _, err := slashing.AssembleSeals(a, a); !is(err, slashing.ErrSameContent) {
		t.Errorf("one header twice: %v", err)
	}
	d := descriptor(w.domain(), 1, "1.0", epoch).Encode()
	if _, err := slashing.Assemble(slashing.DoubleSeal, d, d, w.header, w.list); !is(err, slashing.ErrMalformed) {
		t.Errorf("of statements: %v", err)
	}
	if _, _, ok := (slashing.Proof{Kind: slashing.DoubleSeal}).Accused(); ok {
		t.Error("an empty proof accuses")
	}
	if node, e, ok := make(a, b).Accused(); !ok || node != nodeOf(sealer) || e != epoch {
		t.Errorf("accused %s of epoch %d", node, e)
	}
}

// The golden proofs of double-seals are still written byte for byte, and judged
// alike.
func TestSealVectors(t *testing.T) {
	w := newWorld()
	p := w.doubleSeal()
	v := vectors{
		Command: "go test ./slashing -run TestSealVectors -rewrite", Network: genesis.Genesis{Core: w.core}.Network().Encode(),
		Proof: hex.EncodeToString(p.Encode()), ID: p.ID(),
	}
	for _, c := range sealRefusals {
		p := w.doubleSeal()
		c.with(w, &p)
		if b := p.Encode(); c.want != nil && len(b) <= slashing.MaxProof && p.Entry.Entries == nil && p.Header.Header.Height == 0 {
			v.Refused = append(v.Refused, refusedVector{c.name, hex.EncodeToString(b), c.want.Code})
		}
	}
	want, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	var read vectors
	if err := json.Unmarshal(testenv.Golden(t, "testdata/double-seal.json", append(want, '\n')), &read); err != nil {
		t.Fatal(err)
	}
	for _, r := range append(read.Refused, refusedVector{"good", read.Proof, ""}) {
		b, err := hex.DecodeString(r.Proof)
		if err != nil {
			t.Fatal(err)
		}
		p, err := slashing.Decode(b)
		if err == nil {
			_, err = slashing.Verify(p, w.anchor)
		}
		if got := (*chain.Refusal)(nil); r.Code == "" && err != nil || r.Code != "" && (!errors.As(err, &got) || got.Code != r.Code) {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
}

var _ slashing.TwoHeads = (*light.TwoHeads)(nil)
