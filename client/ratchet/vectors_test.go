package ratchet_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"tunic/client/ratchet"
	"tunic/internal/testenv"
)

// vectors hold what once was sealed: sealing draws randomness, so that what is
// fixed is that it opens. Names, network and secrets are those of this test.
type vectors struct {
	Command   string `json:"command"`
	State     string `json:"bob_state"` // before Open
	Item      string `json:"alice_to_bob"`
	Plaintext string `json:"plaintext"`
	Request   string `json:"contact_request_alice_to_bob"`
	Note      string `json:"note"`
}

// sealedItem is the vectors' item from alice to bob.
func sealedItem(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/session.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	item, err := hex.DecodeString(v.Item)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func TestVectors(t *testing.T) {
	const file = "testdata/session.json"
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	key, err := ratchet.ContactKey([32]byte{3})
	if err != nil {
		t.Fatal(err)
	}
	if testenv.Rewriting() {
		item, _, err := session(t, alice, bob, genesis, secret).Seal([]byte("hello bob"))
		if err != nil {
			t.Fatal(err)
		}
		q, err := ratchet.SealRequest(alice.Keys, genesis, bob.Account, key.PublicKey().Bytes(), ratchet.Request{Secret: secret, Sent: 1, Note: "it's me"})
		if err != nil {
			t.Fatal(err)
		}
		testenv.Golden(t, file, vectors{"go test ./client/ratchet -run TestVectors -rewrite", hex.EncodeToString(session(t, bob, alice, genesis, secret).State()),
			hex.EncodeToString(item), "hello bob", hex.EncodeToString(q), "it's me"})
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if want := session(t, bob, alice, genesis, secret).State(); !bytes.Equal(unhex(v.State), want) {
		t.Errorf("state is %x now", want)
	}
	s, err := ratchet.Load(bob.Keys, small, unhex(v.State))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.Open(unhex(v.Item)); err != nil || string(got) != v.Plaintext {
		t.Errorf("item: %q, %v", got, err)
	}
	q, err := ratchet.OpenRequest(key, genesis, bob.Account, unhex(v.Request))
	if err != nil || q.Note != v.Note || q.Ed != alice.peer.Ed || q.Secret != secret {
		t.Errorf("contact request: %+v, %v", q, err)
	}
}
