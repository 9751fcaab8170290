package ratchet_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"testing"

	"tunic/client/ratchet"
)

type party struct {
	ratchet.Keys
	peer ratchet.Peer
}

func newParty(t testing.TB, name string) party {
	t.Helper()
	h := sha256.Sum256([]byte(name))
	x, err := ecdh.X25519().NewPrivateKey(h[:])
	if err != nil {
		t.Fatal(err)
	}
	ed := ed25519.NewKeyFromSeed(h[:])
	p := party{Keys: ratchet.Keys{Account: sha256.Sum256(h[:]), Ed: ed, X: x}}
	p.peer = ratchet.Peer{Account: p.Account, Ed: [32]byte(ed.Public().(ed25519.PublicKey)), X: [32]byte(x.PublicKey().Bytes())}
	return p
}

var genesis, secret = [32]byte{1}, [32]byte{2}

// small and large are the items of the two geometries.
const small, large = 1280, 32_000

func session(t testing.TB, me, other party, genesis, secret [32]byte) ratchet.Session {
	t.Helper()
	s, err := ratchet.New(me.Keys, small, genesis, other.peer, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSession(t *testing.T) {
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	a, b := session(t, alice, bob, genesis, secret), session(t, bob, alice, genesis, secret)
	for _, n := range []int{0, 1, 100, ratchet.MaxPlaintext(small)} {
		want := bytes.Repeat([]byte{7}, n)
		ct, next, err := a.Seal(want)
		if err != nil || len(ct) != small {
			t.Fatalf("seal %d: %d bytes, %v", n, len(ct), err)
		}
		got, nextB, err := b.Open(ct)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("open %d: %v", n, err)
		}
		if a, err = ratchet.Load(alice.Keys, small, next.State()); err != nil {
			t.Fatal(err)
		}
		if b, err = ratchet.Load(bob.Keys, small, nextB.State()); err != nil || !bytes.Equal(b.State(), nextB.State()) {
			t.Fatal("state changed on its way", err)
		}
		// The other way round.
		ct, _, _ = b.Seal(want)
		if got, _, err := a.Open(ct); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("back %d: %v", n, err)
		}
	}
	if _, _, err := a.Seal(make([]byte, ratchet.MaxPlaintext(small)+1)); !errors.Is(err, ratchet.ErrTooLong) {
		t.Error(err)
	}
}

func TestSessionRefuses(t *testing.T) {
	alice, bob, eve := newParty(t, "alice"), newParty(t, "bob"), newParty(t, "eve")
	ct, _, _ := session(t, alice, bob, genesis, secret).Seal([]byte("hello"))
	forged := alice
	forged.Ed = eve.Ed
	wrongSig, _, _ := session(t, forged, bob, genesis, secret).Seal([]byte("hello"))
	for name, c := range map[string]struct {
		open ratchet.Session
		ct   []byte
		want error
	}{
		"another network":   {session(t, bob, alice, [32]byte{9}, secret), ct, ratchet.ErrDecrypt},
		"another secret":    {session(t, bob, alice, genesis, [32]byte{9}), ct, ratchet.ErrDecrypt},
		"another sender":    {session(t, bob, eve, genesis, secret), ct, ratchet.ErrDecrypt},
		"another recipient": {session(t, eve, alice, genesis, secret), ct, ratchet.ErrDecrypt},
		"back to sender":    {session(t, alice, bob, genesis, secret), ct, ratchet.ErrDecrypt},
		"short":             {session(t, bob, alice, genesis, secret), ct[1:], ratchet.ErrDecrypt},
		"wrong signature":   {session(t, bob, alice, genesis, secret), wrongSig, ratchet.ErrSignature},
	} {
		before := c.open.State()
		if _, next, err := c.open.Open(c.ct); !errors.Is(err, c.want) || next != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if !bytes.Equal(before, c.open.State()) {
			t.Errorf("%s: a failed Open changed the state", name)
		}
	}
	b := session(t, bob, alice, genesis, secret)
	for i := range ct {
		bad := bytes.Clone(ct)
		bad[i] ^= 1 << (i % 8)
		if _, _, err := b.Open(bad); !errors.Is(err, ratchet.ErrDecrypt) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	bad := bob.peer
	bad.X = [32]byte{}
	if s, err := ratchet.New(alice.Keys, small, genesis, bad, secret); err == nil {
		if _, _, err := s.Seal(nil); !errors.Is(err, ratchet.ErrKey) {
			t.Errorf("zero key: %v", err)
		}
	}
	if _, err := ratchet.Load(alice.Keys, small, append(b.State(), 0)); !errors.Is(err, ratchet.ErrMalformed) {
		t.Error("trailing byte in a state:", err)
	}
}

func TestRequest(t *testing.T) {
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	key, err := ratchet.ContactKey([32]byte{3})
	if err != nil {
		t.Fatal(err)
	}
	pub := key.PublicKey().Bytes()
	if len(pub) != ratchet.ContactKeySize {
		t.Fatalf("contact key of %d bytes", len(pub))
	}
	in := ratchet.Request{Secret: secret, Sent: 12345, Note: string(bytes.Repeat([]byte("n"), ratchet.MaxNote))}
	ct, err := ratchet.SealRequest(alice.Keys, genesis, bob.Account, pub, in)
	if err != nil || len(ct) != ratchet.RequestSize {
		t.Fatalf("%d bytes, %v", len(ct), err)
	}
	in.Ed, in.X = alice.peer.Ed, alice.peer.X
	if got, err := ratchet.OpenRequest(key, genesis, bob.Account, ct); err != nil || got != in {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, f := range map[string]func() error{
		"another network":   func() error { _, err := ratchet.OpenRequest(key, [32]byte{9}, bob.Account, ct); return err },
		"another recipient": func() error { _, err := ratchet.OpenRequest(key, genesis, alice.Account, ct); return err },
		"short":             func() error { _, err := ratchet.OpenRequest(key, genesis, bob.Account, ct[1:]); return err },
	} {
		if err := f(); !errors.Is(err, ratchet.ErrDecrypt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := 0; i < len(ct); i += 7 {
		bad := bytes.Clone(ct)
		bad[i] ^= 0x10
		if _, err := ratchet.OpenRequest(key, genesis, bob.Account, bad); !errors.Is(err, ratchet.ErrDecrypt) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	in.Note += "x"
	if _, err := ratchet.SealRequest(alice.Keys, genesis, bob.Account, pub, in); !errors.Is(err, ratchet.ErrTooLong) {
		t.Error(err)
	}
	if _, err := ratchet.SealRequest(alice.Keys, genesis, bob.Account, pub[1:], ratchet.Request{}); !errors.Is(err, ratchet.ErrKey) {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	alice, bob := newParty(f, "alice"), newParty(f, "bob")
	f.Add(session(f, alice, bob, genesis, secret).State())
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := ratchet.Load(alice.Keys, small, in); err == nil && !bytes.Equal(s.State(), in) {
			t.Error("two encodings of one state")
		}
	})
}

func FuzzOpen(f *testing.F) {
	alice, bob := newParty(f, "alice"), newParty(f, "bob")
	// Fuzzing runs in several processes, and sealing draws randomness: the one
	// item that may open is that of the vectors.
	ct := sealedItem(f)
	f.Add(ct)
	b := session(f, bob, alice, genesis, secret)
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, _, err := b.Open(in); err == nil && !bytes.Equal(in, ct) {
			t.Error("opened what nobody sealed")
		}
	})
}

// A network with large packets has large items, and takes none of another size.
func TestItemSizeOfTheNetwork(t *testing.T) {
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	of := func(me, other party, item int) ratchet.Session {
		s, err := ratchet.New(me.Keys, item, genesis, other.peer, secret)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := bytes.Repeat([]byte{7}, ratchet.MaxPlaintext(large))
	ct, next, err := of(alice, bob, large).Seal(want)
	if err != nil || len(ct) != large {
		t.Fatalf("%d bytes, %v", len(ct), err)
	}
	if got, _, err := of(bob, alice, large).Open(ct); err != nil || !bytes.Equal(got, want) {
		t.Fatal("open:", err)
	}
	if _, _, err := of(bob, alice, small).Open(ct); !errors.Is(err, ratchet.ErrDecrypt) {
		t.Errorf("opened under another size: %v", err)
	}
	if _, _, err := next.Seal(append(want, 7)); !errors.Is(err, ratchet.ErrTooLong) {
		t.Error(err)
	}
	for _, item := range []int{0, 114, 1 << 17} {
		if _, err := ratchet.New(alice.Keys, item, genesis, bob.peer, secret); !errors.Is(err, ratchet.ErrKey) {
			t.Errorf("items of %d bytes: %v", item, err)
		}
	}
}
