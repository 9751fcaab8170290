package ratchet_test

import (
	"bytes"
	"testing"

	"tunic/client/ratchet"
)

// Junk is refused, and a state that is taken is the same afterwards: what fails
// changes no state (double ratchet, section 3.5).
func FuzzOpen(f *testing.F) {
	v := readVectors(f)
	for _, x := range v.Items {
		f.Add([]byte(v.Accepted), []byte(x.Item))
	}
	f.Add([]byte(v.Alice), []byte(v.Request))
	f.Fuzz(func(t *testing.T, state, item []byte) {
		s, err := ratchet.Load(env(), state)
		if err != nil {
			return
		}
		if !bytes.Equal(s.State(), state) {
			t.Fatal("a state that is taken is another one afterwards")
		}
		if plaintext, next, err := s.Open(item, 5); err == nil {
			if _, _, err := next.Open(item, 5); err == nil {
				t.Fatalf("%q opens twice", plaintext)
			}
		}
		if !bytes.Equal(s.State(), state) {
			t.Fatal("Open changes the session")
		}
	})
}

// No bytes but the request that was made are one (PQXDH, section 3.4: what does not
// decrypt is refused).
func FuzzAccept(f *testing.F) {
	v := readVectors(f)
	f.Add([]byte(v.Request))
	f.Fuzz(func(t *testing.T, content []byte) {
		bob := newParty(t, "bob")
		if q, _, err := ratchet.Accept(env(), bob.Keys, bob.prekey, content); err == nil && !bytes.Equal(content, v.Request) {
			t.Fatalf("a request that nobody made: %+v", q)
		}
	})
}
