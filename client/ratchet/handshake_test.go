package ratchet_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tunic/client/ratchet"
)

// Receiving (PQXDH, section 3.4): a request opens for the account and the prekey
// that it was made with, in the network that AD names, unchanged, and else not; and
// the identities that it names are bound to the session (sections 3.3 and 4.10).
func TestRequestRefused(t *testing.T) {
	alice, bob, eve := newParty(t, "alice"), newParty(t, "bob"), newParty(t, "eve")
	content, _, err := ratchet.Begin(env(), alice.Keys, bob.peer, bob.prekey.Public(), ratchet.Request{Since: 3, Sent: 1, Note: strings.Repeat("n", ratchet.MaxNote)})
	if err != nil || len(content) != ratchet.RequestSize {
		t.Fatal(len(content), err)
	}
	refused := func(what string, e ratchet.Env, k ratchet.Keys, p *ratchet.Prekey, content []byte) {
		t.Helper()
		if _, b, err := ratchet.Accept(e, k, p, content); !errors.Is(err, ratchet.ErrDecrypt) || b.Session != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := 0; i < len(content); i += 7 {
		changed := bytes.Clone(content)
		changed[i] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit of byte %d", i), env(), bob.Keys, bob.prekey, changed)
	}
	elsewhere := env()
	elsewhere.Genesis[0]++
	refused("another network", elsewhere, bob.Keys, bob.prekey, content)
	refused("another account", env(), eve.Keys, bob.prekey, content)
	refused("another prekey", env(), bob.Keys, eve.prekey, content)
	refused("a shorter one", env(), bob.Keys, bob.prekey, content[1:])
	refused("a key of low order", env(), bob.Keys, bob.prekey, append(make([]byte, 32), content[32:]...))

	// Who names another's identity and does not hold its key is found out, though
	// everything else of the request is well formed.
	liar := eve.Keys
	liar.Ed = alice.Ed
	content, _, err = ratchet.Begin(env(), liar, bob.peer, bob.prekey.Public(), ratchet.Request{Since: 3, Sent: 1, Note: "I'm alice"})
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := ratchet.Accept(env(), bob.Keys, bob.prekey, content)
	if err != nil || q.Ed != alice.Ed || q.X == alice.peer.X {
		t.Errorf("%v: the account follows from both keys, so that %x is a stranger's", err, q.X)
	}
}

// Sending (PQXDH, section 3.3) begins with keys that are such: of an X25519 key of
// low order the other side's secrets would be known to all, and DecodeKEM (section
// 2.1) takes canonical keys alone.
func TestBeginRefuses(t *testing.T) {
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	public := bob.prekey.Public()
	low := bob.peer
	low.X = [32]byte{}
	for what, c := range map[string]struct {
		peer   ratchet.Peer
		prekey []byte
		note   string
		want   error
	}{
		"a long note":           {bob.peer, public, strings.Repeat("n", ratchet.MaxNote+1), ratchet.ErrTooLong},
		"a short prekey":        {bob.peer, public[1:], "", ratchet.ErrKey},
		"a prekey of low order": {bob.peer, append(make([]byte, 32), public[32:]...), "", ratchet.ErrKey},
		"a prekey that is none": {bob.peer, append(bytes.Clone(public[:32]), bytes.Repeat([]byte{255}, 1184)...), "", ratchet.ErrKey},
		"a peer of low order":   {low, public, "", ratchet.ErrKey},
	} {
		if _, _, err := ratchet.Begin(env(), alice.Keys, c.peer, c.prekey, ratchet.Request{Since: 3, Sent: 1, Note: c.note}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ratchet.NewPrekey(make([]byte, 95)); !errors.Is(err, ratchet.ErrKey) {
		t.Error(err)
	}
}

// thief knows all long-term keys of an account and the states of its session.
// What was sent before is closed to him, and what is sent after one round trip:
// forward security of the chains and recovery by new ratchet keys (double ratchet,
// sections 2.1, 2.3 and 6.2); keys of passed-over messages are what section 6.4 warns
// of. A request made with a prekey for one use does not open without it (PQXDH,
// section 4.6).
func TestForwardSecrecyAndRecovery(t *testing.T) {
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	seed := make([]byte, ratchet.PrekeySeedSize)
	rand.Read(seed)
	once, err := ratchet.NewPrekey(seed) // is forgotten by all after Accept
	if err != nil {
		t.Fatal(err)
	}
	request, x, err := ratchet.Begin(env(), alice.Keys, bob.peer, once.Public(), ratchet.Request{Since: 3, Sent: 1, Note: ""})
	if err != nil {
		t.Fatal(err)
	}
	_, y, err := ratchet.Accept(env(), bob.Keys, once, request)
	if err != nil {
		t.Fatal(err)
	}
	a, b := x.Session, y.Session
	var before [][]byte
	for i := range 5 {
		m := fmt.Sprint("before ", i)
		before = append(before, mustSeal(t, &a, m))
		mustOpen(t, &b, before[len(before)-1], m)
		before = append(before, mustSeal(t, &b, m))
		mustOpen(t, &a, before[len(before)-1], m)
	}
	late := mustSeal(t, &a, "late") // passed over: its key is still kept
	mustOpen(t, &b, mustSeal(t, &a, "newest"), "newest")

	thief := []*ratchet.Session{reload(t, env(), a), reload(t, env(), b)}
	opens := func(item []byte) bool {
		for i, s := range thief {
			if _, next, err := s.Open(item, 0); err == nil {
				thief[i] = next
				return true
			}
		}
		return false
	}
	for i, item := range before {
		if opens(item) {
			t.Errorf("item %d of before opens with the states of later", i)
		}
	}
	if _, _, err := ratchet.Accept(env(), bob.Keys, bob.prekey, request); err == nil {
		t.Error("the request opens without its prekey")
	}
	if !opens(late) {
		t.Error("what was passed over does not open: the test sees nothing")
	}

	// He listens on while he can: messages of the present chains.
	next := mustSeal(t, &a, "next")
	if !opens(next) {
		t.Error("the next message does not open with stolen states: the test sees nothing")
	}
	mustOpen(t, &b, next, "next")
	// One round trip: bob answers with a key that he drew after the theft, alice
	// draws hers on it.
	back := mustSeal(t, &b, "back")
	opens(back)
	mustOpen(t, &a, back, "back")
	there := mustSeal(t, &a, "there")
	mustOpen(t, &b, there, "there")
	after := mustSeal(t, &b, "after")
	mustOpen(t, &a, after, "after")
	last := mustSeal(t, &a, "last")
	for i, item := range [][]byte{after, last} {
		if opens(item) {
			t.Errorf("item %d of after the round trip opens", i)
		}
	}
}
