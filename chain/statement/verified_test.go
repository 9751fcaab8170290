package statement_test

import (
	"crypto/ed25519"
	"errors"
	"sync"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
)

// What was valid is remembered as it was asked: any bit that differs, of
// whatever part, is verified, and found wrong.
func TestVerifiedRemembersWholeQuestions(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	d := statement.Domain{Genesis: chain.SHA256([]byte("verified"))}
	s := statement.Sign(d, key, statement.LabelHeartbeat, statement.NewSequence(3, 4), []byte("body"))
	for _, v := range []*statement.Verified{nil, statement.NewVerified()} {
		for range 2 {
			if err := v.Statement(d, s); err != nil {
				t.Fatal(err)
			}
		}
		for name, spoil := range map[string]func(*statement.Domain, *statement.Statement){
			"body":      func(_ *statement.Domain, s *statement.Statement) { s.Body = []byte("bodi") },
			"sequence":  func(_ *statement.Domain, s *statement.Statement) { s.Sequence++ },
			"label":     func(_ *statement.Domain, s *statement.Statement) { s.Label = statement.LabelVote },
			"node":      func(_ *statement.Domain, s *statement.Statement) { s.Node[0] ^= 1 },
			"signature": func(_ *statement.Domain, s *statement.Statement) { s.Sig[63] ^= 1 },
			"genesis":   func(d *statement.Domain, _ *statement.Statement) { d.Genesis[0] ^= 1 },
			"fork":      func(d *statement.Domain, s *statement.Statement) { d.Fork, s.Fork = 1, 1 },
		} {
			d, s := d, s
			spoil(&d, &s)
			for range 2 { // a no is not remembered as a yes
				if err := v.Statement(d, s); !errors.Is(err, statement.ErrSignature) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		other := d
		other.Fork = 1
		if err := v.Statement(other, s); !errors.Is(err, statement.ErrFork) {
			t.Error(err)
		}
	}
}

// Asked once while it is young, and again when so much came after it that it
// was forgotten; nothing is remembered of a nil.
func TestVerifiedForgets(t *testing.T) {
	v := statement.NewVerified()
	asked := 0
	ask := func(n int) {
		q := chain.SHA256([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
		if !v.Once(q, func() bool { asked++; return true }) {
			t.Fatal("a yes became a no")
		}
	}
	const many = 1 << 15
	ask(0)
	for n := range 2*many + 1 {
		ask(n)
	}
	if asked != 2*many+1 {
		t.Fatalf("asked %d times", asked)
	}
	ask(0)
	if asked != 2*many+2 {
		t.Fatal("the oldest is remembered for ever")
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 1000 {
				v.Once(chain.SHA256([]byte{byte(w), byte(n)}), func() bool { return true })
			}
		})
	}
	wg.Wait()
}
