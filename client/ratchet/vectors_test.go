package ratchet_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"

	"tunic/client/ratchet"
	"tunic/internal/testenv"
)

const vectorFile = "testdata/session.json"

// vectors hold a request that once was made, since ML-KEM draws randomness, and
// all that follows from it. Names and network are those of this test; each side's
// randomness is ChaCha8 with a key of 32 equal bytes: 1 for alice, 2 for bob.
type vectors struct {
	Command  string   `json:"command"`
	Request  hexBytes `json:"request_alice_to_bob"`
	Note     string   `json:"note"`
	Pair     hexBytes `json:"pair_secret"`
	Begun    hexBytes `json:"alice_state_begun"`
	Accepted hexBytes `json:"bob_state_accepted"`
	Items    []vector `json:"items"`
	Alice    hexBytes `json:"alice_state_at_the_end"`
	Bob      hexBytes `json:"bob_state_at_the_end"`
}

// vector is an item, in the order in which they are opened; the first is passed
// over until the end.
type vector struct {
	From string   `json:"from"`
	Text string   `json:"text"`
	Item hexBytes `json:"item"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }
func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

func chacha(n byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte(bytes.Repeat([]byte{n}, 32))) }

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	b, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A request and a conversation, byte by byte: PQXDH, sections 2.2 (KDF), 3.3 and 3.4,
// then the double ratchet, sections 4.2 to 4.6, with the choices of its section 5.2.
func TestVectors(t *testing.T) {
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	mine, theirs := envOf(chacha(1)), envOf(chacha(2))
	if testenv.Rewriting() {
		request, a, err := ratchet.Begin(mine, alice.Keys, bob.peer, bob.prekey.Public(), ratchet.Request{Since: 3, Sent: 1, Note: "it's me"})
		if err != nil {
			t.Fatal(err)
		}
		testenv.Golden(t, vectorFile, play(t, theirs, request, a, bob))
		return
	}
	want := readVectors(t)
	mine.Rand.Read(make([]byte, 64)) // the two keys that Begin drew
	s, err := ratchet.Load(mine, want.Begun)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Golden(t, vectorFile, play(t, theirs, want.Request, ratchet.Begun{Session: s, Pair: [32]byte(want.Pair)}, bob))
}

// play is the conversation of the vectors.
func play(t *testing.T, theirs ratchet.Env, request []byte, a ratchet.Begun, bob party) vectors {
	t.Helper()
	q, b, err := ratchet.Accept(theirs, bob.Keys, bob.prekey, request)
	if err != nil || b.Pair != a.Pair {
		t.Fatal("pair secrets differ", err)
	}
	v := vectors{"go test ./client/ratchet -run TestVectors -rewrite", request, q.Note, b.Pair[:], a.Session.State(), b.Session.State(), nil, nil, nil}
	x, y := a.Session, b.Session
	sealed := func(from string, s **ratchet.Session, text string) []byte {
		item := mustSeal(t, s, text)
		v.Items = append(v.Items, vector{from, text, item})
		return item
	}
	late := sealed("alice", &x, "opened last")
	mustOpen(t, &y, sealed("alice", &x, "hello bob"), "hello bob")
	mustOpen(t, &x, sealed("bob", &y, "hello alice"), "hello alice")
	mustOpen(t, &y, sealed("alice", &x, ""), "")
	mustOpen(t, &y, late, "opened last")
	v.Alice, v.Bob = x.State(), y.State()
	return v
}
