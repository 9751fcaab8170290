package slashing_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/registry/directory"
	"tunic/slashing"
)

// refusals are changed proofs and the one code that each meets, offline and on
// chain.
var refusals = []struct {
	name string
	with func(w world, p *slashing.Proof)
	want *chain.Refusal
}{
	{"good", func(world, *slashing.Proof) {}, nil},
	{"version", func(_ world, p *slashing.Proof) { p.Version = 2 }, slashing.ErrMalformed},
	{"no such kind", func(_ world, p *slashing.Proof) { p.Kind = 8 }, slashing.ErrMalformed},
	{"kind zero", func(_ world, p *slashing.Proof) { p.Kind = 0 }, slashing.ErrMalformed},
	{"another kind", func(_ world, p *slashing.Proof) {
		*p = slashing.Proof{Version: p.Version, Kind: slashing.LostMessage, Genesis: p.Genesis, First: p.First, Header: p.Header}
	}, slashing.ErrWrongStatement},
	{"other genesis", func(_ world, p *slashing.Proof) { p.Genesis[0] ^= 1 }, slashing.ErrForeignNetwork},
	{"first is junk", func(_ world, p *slashing.Proof) { p.First = []byte{1, 2, 3} }, slashing.ErrMalformed},
	{"second is junk", func(_ world, p *slashing.Proof) { p.Second = append(slices.Clone(p.Second), 0) }, slashing.ErrMalformed},
	{"order", func(_ world, p *slashing.Proof) { p.First, p.Second = p.Second, p.First }, slashing.ErrMalformed},
	{"too large", func(_ world, p *slashing.Proof) { p.First = make([]byte, slashing.MaxProof) }, slashing.ErrMalformed},
	{"one statement twice", func(_ world, p *slashing.Proof) { p.Second = p.First }, slashing.ErrSameContent},
	{"heartbeats", func(w world, p *slashing.Proof) {
		seq := statement.NewSequence(epoch, 1)
		pair(p, statement.Sign(w.domain(), key(1), statement.LabelHeartbeat, seq, []byte("a")),
			statement.Sign(w.domain(), key(1), statement.LabelHeartbeat, seq, []byte("b")))
	}, slashing.ErrWrongPair},
	{"two labels", func(w world, p *slashing.Proof) {
		d := descriptor(w.domain(), 1, "1.0", epoch)
		pair(p, d, statement.Sign(w.domain(), key(1), statement.LabelHeartbeat, d.Sequence, []byte("b")))
	}, slashing.ErrWrongPair},
	{"two nodes", func(w world, p *slashing.Proof) {
		pair(p, descriptor(w.domain(), 1, "1.0", epoch), descriptor(w.domain(), 2, "1.1", epoch))
	}, slashing.ErrWrongPair},
	{"two sequences", func(w world, p *slashing.Proof) {
		pair(p, descriptor(w.domain(), 1, "1.0", epoch), descriptor(w.domain(), 1, "1.1", epoch+1))
	}, slashing.ErrWrongPair},
	{"two forks", func(w world, p *slashing.Proof) {
		d := w.domain()
		d.Fork = 1
		pair(p, descriptor(w.domain(), 1, "1.0", epoch), descriptor(d, 1, "1.1", epoch))
	}, slashing.ErrWrongFork},
	{"fork of the proof", func(_ world, p *slashing.Proof) { p.Fork = 1 }, slashing.ErrWrongFork},
	{"fork of the header", func(w world, p *slashing.Proof) {
		p.Header = w.seal(sealer, func(h *chain.Header) { h.Fork = 1 })
	}, slashing.ErrWrongFork},
	{"header of another network", func(w world, p *slashing.Proof) {
		p.Header = w.seal(sealer, func(h *chain.Header) { h.Genesis[0] ^= 1 })
	}, slashing.ErrForeignNetwork},
	{"signed twice", func(w world, p *slashing.Proof) {
		a := descriptor(w.domain(), 1, "1.0", epoch)
		b := a
		b.Sig[0] ^= 1
		pair(p, a, b)
	}, slashing.ErrSameContent},
	{"offence long after the list", func(w world, p *slashing.Proof) {
		pair(p, descriptor(w.domain(), 1, "1.0", epoch+2), descriptor(w.domain(), 1, "1.1", epoch+2))
	}, slashing.ErrWrongEpoch},
	{"list long after the offence", func(w world, p *slashing.Proof) {
		e := epoch + slashing.ListLag + 1
		w.list, _ = directory.NewList(chain.Epoch(e), w.list.Entries)
		p.Header = w.seal(sealer, func(h *chain.Header) {})
	}, slashing.ErrWrongEpoch},
	{"entry of another node", func(w world, p *slashing.Proof) { p.Entry = w.list.Prove(nodeOf(key(2))) }, slashing.ErrNotListed},
	{"node is not listed", func(w world, p *slashing.Proof) {
		pair(p, descriptor(w.domain(), 50, "1.0", epoch), descriptor(w.domain(), 50, "1.1", epoch))
		p.Entry = w.list.Prove(nodeOf(key(50)))
	}, slashing.ErrNotListed},
	{"changed entry", func(w world, p *slashing.Proof) {
		p.Entry = w.list.Prove(nodeOf(key(1)))
		p.Entry.Entries = slices.Clone(p.Entry.Entries)
		p.Entry.Entries[0].Operator[0] ^= 1
	}, slashing.ErrNotListed},
	{"changed path", func(w world, p *slashing.Proof) {
		p.Entry = w.list.Prove(nodeOf(key(1)))
		p.Entry.Places[0].Path[0][3] ^= 1
	}, slashing.ErrNotListed},
	{"signature", func(w world, p *slashing.Proof) {
		a, b := descriptor(w.domain(), 1, "1.0", epoch), descriptor(w.domain(), 1, "1.1", epoch)
		b.Sig[9] ^= 1
		pair(p, a, b)
	}, slashing.ErrBadSignature},
	{"signed by another key", func(w world, p *slashing.Proof) {
		a, b := descriptor(w.domain(), 1, "1.0", epoch), descriptor(w.domain(), 2, "1.1", epoch)
		b.Node = a.Node
		pair(p, a, b)
	}, slashing.ErrBadSignature},
	{"signed for another network", func(w world, p *slashing.Proof) {
		pair(p, descriptor(w.domain(), 1, "1.0", epoch), descriptor(statement.Domain{}, 1, "1.1", epoch))
	}, slashing.ErrBadSignature},
	{"sealed by a stranger", func(w world, p *slashing.Proof) { p.Header = w.seal(key(101), func(*chain.Header) {}) }, slashing.ErrBadHeader},
	{"seal", func(_ world, p *slashing.Proof) { p.Header.Seal[5] ^= 1 }, slashing.ErrBadHeader},
	{"changed header", func(_ world, p *slashing.Proof) { p.Header.Header.State[0] ^= 1 }, slashing.ErrBadHeader},
}

// Each change meets its code, the same by light verification and on a ledger;
// the steps end with it; a refused proof changes nothing.
func TestRefusals(t *testing.T) {
	w := newWorld()
	for _, c := range refusals {
		p := w.proof(1)
		c.with(w, &p)
		_, offline := slashing.Verify(p, w.anchor)
		if !is(offline, c.want) {
			t.Errorf("%s: offline %v, want %v", c.name, offline, c.want)
		}
		n := &nodes{known: []chain.NodeID{nodeOf(key(1)), nodeOf(key(50))}}
		b := &bonds{}
		part, s := newReducer(&w.core)
		ctx := slashing.Context{Height: 130, Time: w.core.EpochStart(epoch + 1)}
		_, online := s.Punish(p, chain.Address{1}, ctx, w.ledger(), b, n)
		if !is(online, c.want) {
			t.Errorf("%s: on chain %v, want %v", c.name, online, c.want)
		}
		changed := len(part.Commit()) > 0 || len(b.slash) > 0 || len(n.dead) > 0
		if changed != (c.want == nil) {
			t.Errorf("%s: changed %v", c.name, changed)
		}
		steps := slashing.Steps(p, w.anchor)
		last := steps[len(steps)-1]
		if c.want == nil && !last.OK || c.want != nil && (last.OK || last.Code != c.want.Code) {
			t.Errorf("%s: last step %+v", c.name, last)
		}
		for _, s := range steps[:len(steps)-1] {
			if !s.OK {
				t.Errorf("%s: a step goes on after a no: %+v", c.name, s)
			}
		}
	}
}

func is(err error, want *chain.Refusal) bool {
	if want == nil {
		return err == nil
	}
	return errors.Is(err, want)
}

// Whatever byte of a proof is changed, and wherever it is cut: what is not valid
// offline the chain refuses with the same code, and what the chain takes is
// valid offline.
func TestMutatedProofsAgree(t *testing.T) {
	w := newWorld()
	good := w.proof(1).Encode()
	_, s := newReducer(&w.core)
	ctx := slashing.Context{Height: 130, Time: w.core.EpochStart(epoch + 1)}
	n := &nodes{known: []chain.NodeID{nodeOf(key(1))}}
	judge := func(b []byte) (offline, online error) {
		p, err := slashing.Decode(b)
		if err != nil {
			return err, err // both sides decode the same bytes
		}
		_, offline = slashing.Verify(p, w.anchor)
		return offline, s.Check(p, ctx, w.ledger(), &bonds{}, n)
	}
	if offline, online := judge(good); offline != nil || online != nil {
		t.Fatal(offline, online)
	}
	codes := map[string]int{}
	try := func(what string, b []byte) {
		offline, online := judge(b)
		var off, on *chain.Refusal
		if !errors.As(offline, &off) || !errors.As(online, &on) || off.Code != on.Code {
			t.Fatalf("%s: offline %v, on chain %v", what, offline, online)
		}
		codes[off.Code]++
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		try(fmt.Sprintf("bit %d of byte %d", i%8, i), bad)
		if i%16 == 0 {
			try(fmt.Sprintf("cut at %d", i), good[:i])
		}
	}
	try("a byte more", append(bytes.Clone(good), 0))
	if len(codes) < 7 {
		t.Errorf("only %v", codes)
	}
}

// Validate needs no network: it asks all but network and header.
func TestValidateIsStateless(t *testing.T) {
	w := newWorld()
	p := w.proof(1)
	p.Header = w.seal(key(101), func(*chain.Header) {})
	if err := p.Validate(); err != nil {
		t.Errorf("validate asks who sealed: %v", err)
	}
	if got := len(slashing.Steps(p, nil)); got != 9 {
		t.Errorf("%d steps", got)
	}
}

// One offence has one id, whatever pair shows it and in whatever order it is
// assembled; two offences have two.
func TestOneOffenceOneID(t *testing.T) {
	w := newWorld()
	d := w.domain()
	a, b, c := descriptor(d, 1, "1.0", epoch), descriptor(d, 1, "1.1", epoch), descriptor(d, 1, "1.2", epoch)
	make := func(x, y statement.Statement) slashing.Proof {
		p, err := slashing.Assemble(slashing.DoubleDescriptor, x.Encode(), y.Encode(), w.header, w.list)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if !bytes.Equal(make(a, b).Encode(), make(b, a).Encode()) {
		t.Error("order of assembly shows")
	}
	if make(a, b).ID() != make(b, c).ID() || make(a, b).ID().IsZero() {
		t.Error("two pairs of one offence have two ids")
	}
	if make(a, b).ID() == w.proof(2).ID() {
		t.Error("two nodes share an id")
	}
	next := make(descriptor(d, 1, "1.0", epoch+1), descriptor(d, 1, "1.1", epoch+1))
	if make(a, b).ID() == next.ID() {
		t.Error("two sequences share an id")
	}
}

func TestAssembleRefuses(t *testing.T) {
	w := newWorld()
	a, b := descriptor(w.domain(), 1, "1.0", epoch).Encode(), descriptor(w.domain(), 1, "1.1", epoch).Encode()
	other, _ := directory.NewList(epoch, w.list.Entries[:3])
	for name, c := range map[string]struct {
		a, b []byte
		list *directory.List
		want *chain.Refusal
	}{
		"junk":           {[]byte("x"), b, w.list, slashing.ErrMalformed},
		"same":           {a, a, w.list, slashing.ErrSameContent},
		"other list":     {a, b, other, slashing.ErrNotListed},
		"second is junk": {a, []byte("x"), w.list, slashing.ErrMalformed},
	} {
		if _, err := slashing.Assemble(slashing.DoubleDescriptor, c.a, c.b, w.header, c.list); !is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := w.seal(sealer, func(h *chain.Header) {
		for i := range 500 {
			h.Removals = append(h.Removals, chain.NodeID{0: byte(i >> 8), 1: byte(i)})
		}
	})
	if _, err := slashing.Assemble(slashing.DoubleDescriptor, a, b, many, w.list); !is(err, slashing.ErrMalformed) {
		t.Errorf("a header with 500 removals: %v", err)
	}
}

// The last epoch at which the list of a day serves, on both sides.
func TestListEpochs(t *testing.T) {
	w := newWorld()
	for e, want := range map[chain.Epoch]*chain.Refusal{epoch + 1: nil, epoch: nil, 0: nil, epoch + 2: slashing.ErrWrongEpoch} {
		p := w.proof(1)
		pair(&p, descriptor(w.domain(), 1, "1.0", e), descriptor(w.domain(), 1, "1.1", e))
		if _, err := slashing.Verify(p, w.anchor); !is(err, want) {
			t.Errorf("offence of epoch %d: %v", e, err)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for err, want := range map[error]slashing.Verdict{
		nil: slashing.Valid, slashing.ErrMalformed: slashing.Malformed, slashing.ErrExpired: slashing.Expired,
		slashing.ErrAlreadyPunished: slashing.AlreadyPunished, slashing.ErrBadSignature: slashing.Invalid, errors.New("x"): slashing.Invalid,
	} {
		if got := slashing.VerdictOf(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	p, _ := genesis.For(genesis.Mainnet)
	for k := slashing.Kind(1); k <= 7; k++ {
		got, err := slashing.ParseKind(k.String())
		if err != nil || got != k || k.Basis() == "" {
			t.Errorf("%d: %v %v", k, got, err)
		}
	}
	if slashing.DoubleDescriptor.Penalty(&p) != 500 || !slashing.DoubleDescriptor.Tombstones() || slashing.DoubleVote.Tombstones() {
		t.Error("the table of kinds has changed")
	}
	if _, err := slashing.ParseKind(""); err == nil {
		t.Error("an empty kind")
	}
	if slashing.Kind(9).String() != "kind 9" || slashing.Kind(9).Basis() != "" || slashing.Kind(9).Penalty(&p) != 0 {
		t.Error("an unknown kind has a rule")
	}
}

var _ slashing.Anchor = (*light.Verifier)(nil)
