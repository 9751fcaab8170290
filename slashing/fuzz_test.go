package slashing_test

import (
	"bytes"
	"testing"

	"tunic/slashing"
)

// No bytes panic, one proof has one encoding, and what is valid shows an
// offence with the proof's id.
func FuzzDecode(f *testing.F) {
	w := newWorld()
	f.Add(w.proof(1).Encode())
	for _, c := range refusals {
		p := w.proof(2)
		c.with(w, &p)
		if b := p.Encode(); len(b) <= slashing.MaxProof {
			f.Add(b)
		}
	}
	f.Add(w.doubleSeal().Encode())
	for _, c := range sealRefusals {
		p := w.doubleSeal()
		c.with(w, &p)
		if b := p.Encode(); len(b) <= slashing.MaxProof {
			f.Add(b)
		}
	}
	for _, k := range kindCases {
		for _, c := range k.refusals {
			p := clone(k.good(w))
			c.with(w, &p)
			if b := p.Encode(); len(b) <= slashing.MaxProof {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := slashing.Decode(b)
		if err != nil {
			if slashing.VerdictOf(err) != slashing.Malformed {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatal("two encodings of one proof")
		}
		if o, err := slashing.Verify(p, w.anchor); err == nil && (o.ID != p.ID() || p.Validate() != nil) {
			t.Fatal("a valid proof of something else")
		}
		slashing.Steps(p, w.anchor)
	})
}
