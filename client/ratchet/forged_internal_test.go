package ratchet

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"testing"
)

// Who names an account and does not hold its X25519 key is refused, though he
// does everything else right: DH1 of PQXDH, section 3.3, which its section 4.1 says
// authenticates the sender.
func TestForgedSender(t *testing.T) {
	key := func() *ecdh.PrivateKey {
		k, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	alice, eve, bob := Keys{X: key()}, Keys{X: key()}, Keys{X: key()}
	prekey, err := NewPrekey(bytes.Repeat([]byte{1}, PrekeySeedSize))
	if err != nil {
		t.Fatal(err)
	}
	e := Env{Item: 1280, Rand: rand.Reader}
	for _, c := range []struct {
		x    *ecdh.PrivateKey
		want error
	}{{alice.X, nil}, {eve.X, ErrDecrypt}} {
		content, _, err := begin(e, alice.peer(), c.x, bob.peer(), prekey.Public(), Request{Since: 3, Sent: 1, Note: "I'm alice"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Accept(e, bob, prekey, content); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
}
