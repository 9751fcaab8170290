package ratchet_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"testing"

	"tunic/client/ratchet"
)

// small is the item of a network with small packets.
const small = 1280

const keep = 1000 // milliseconds

var genesis = [32]byte{1}

// party is an account with a prekey.
type party struct {
	ratchet.Keys
	peer   ratchet.Peer
	prekey *ratchet.Prekey
}

func newParty(t testing.TB, name string) party {
	t.Helper()
	h := sha256.Sum256([]byte(name))
	x, err := ecdh.X25519().NewPrivateKey(h[:])
	if err != nil {
		t.Fatal(err)
	}
	p := party{Keys: ratchet.Keys{Account: sha256.Sum256(h[:]), Ed: sha256.Sum256([]byte("ed" + name)), X: x}}
	p.peer = ratchet.Peer{Account: p.Account, Ed: p.Ed, X: [32]byte(x.PublicKey().Bytes())}
	if p.prekey, err = ratchet.NewPrekey(bytes.Repeat(h[:1], ratchet.PrekeySeedSize)); err != nil {
		t.Fatal(err)
	}
	return p
}

func env() ratchet.Env { return envOf(rand.Reader) }

func envOf(r io.Reader) ratchet.Env {
	return ratchet.Env{Genesis: genesis, Item: small, Keep: keep, Rand: r}
}

// pair is a session of two, begun by the first.
func pair(t testing.TB, e ratchet.Env, a, b party) (*ratchet.Session, *ratchet.Session) {
	t.Helper()
	content, from, err := ratchet.Begin(e, a.Keys, b.peer, b.prekey.Public(), ratchet.Request{Since: 3, Sent: 7, Note: "it's me"})
	if err != nil {
		t.Fatal(err)
	}
	q, to, err := ratchet.Accept(e, b.Keys, b.prekey, content)
	if err != nil {
		t.Fatal(err)
	}
	if q.Ed != a.Ed || q.X != a.peer.X || q.Since != 3 || q.Sent != 7 || q.Note != "it's me" || from.Pair != to.Pair || from.Pair == [32]byte{} {
		t.Fatalf("request %+v, pair secrets %x and %x", q, from.Pair, to.Pair)
	}
	return from.Session, to.Session
}

// reload takes a session through its state.
func reload(t testing.TB, e ratchet.Env, s *ratchet.Session) *ratchet.Session {
	t.Helper()
	l, err := ratchet.Load(e, s.State())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(l.State(), s.State()) {
		t.Fatal("a state is another one after Load")
	}
	return l
}

func mustSeal(t testing.TB, s **ratchet.Session, text string) []byte {
	t.Helper()
	item, next, err := (*s).Seal([]byte(text))
	if err != nil || len(item) != small {
		t.Fatalf("seal: %d bytes, %v", len(item), err)
	}
	*s = next
	return item
}

func mustOpen(t testing.TB, s **ratchet.Session, item []byte, want string) {
	t.Helper()
	got, next, err := (*s).Open(item, 0)
	if err != nil || string(got) != want {
		t.Fatalf("open: %q, %v; want %q", got, err, want)
	}
	*s = next
}
