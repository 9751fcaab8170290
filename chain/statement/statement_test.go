package statement_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/wire"
)

var domain = statement.Domain{Genesis: chain.Hash{1, 31: 2}, Fork: 3}

func testKey(n uint64) ed25519.PrivateKey {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[24:], n)
	return ed25519.NewKeyFromSeed(seed[:])
}

func labels() []statement.Label {
	return []statement.Label{statement.LabelDescriptor, statement.LabelHeartbeat, statement.LabelVote, statement.LabelCommitment,
		statement.LabelReceipt, statement.LabelSeal, statement.LabelRegistration, statement.LabelProof, statement.LabelDisclosure, statement.LabelAnswer}
}

func sample(l statement.Label) statement.Statement {
	return statement.Sign(domain, testKey(1), l, statement.NewSequence(5, 6), []byte("body"))
}

func TestRoundTrip(t *testing.T) {
	for _, l := range labels() {
		st := sample(l)
		enc := st.Encode()
		got, err := statement.Decode(enc)
		if err != nil || !reflect.DeepEqual(got, st) {
			t.Fatalf("%s: %+v, %v", l, got, err)
		}
		if err := got.Verify(domain); err != nil {
			t.Errorf("%s: %v", l, err)
		}
		if len(enc) != 114+len(st.Body) {
			t.Errorf("%s: %d bytes", l, len(enc))
		}
		for i := range enc {
			if _, err := statement.Decode(enc[:i]); !errors.Is(err, statement.ErrMalformed) {
				t.Errorf("%s cut to %d bytes: %v", l, i, err)
			}
		}
		if _, err := statement.Decode(append(enc, 0)); !errors.Is(err, wire.ErrTrailing) {
			t.Errorf("%s: trailing byte: %v", l, err)
		}
	}
}

// Every bit of the encoding is covered by the signature or refused by its form.
func TestEachBitCounts(t *testing.T) {
	enc := sample(statement.LabelVote).Encode()
	for i := range 8 * len(enc) {
		bad := bytes.Clone(enc)
		bad[i/8] ^= 1 << (i % 8)
		st, err := statement.Decode(bad)
		if err != nil {
			continue
		}
		if st.Verify(domain) == nil {
			t.Errorf("bit %d of byte %d flipped: accepted", i%8, i/8)
		}
		// Nor does the domain of the changed fork save it.
		if st.Verify(statement.Domain{Genesis: domain.Genesis, Fork: st.Fork}) == nil {
			t.Errorf("bit %d of byte %d flipped: accepted in its own fork", i%8, i/8)
		}
	}
}

func TestDomains(t *testing.T) {
	st := sample(statement.LabelVote)
	if err := st.Verify(statement.Domain{Genesis: domain.Genesis, Fork: 4}); err != statement.ErrFork {
		t.Errorf("other fork: %v", err)
	}
	moved := st
	moved.Fork = 4
	if err := moved.Verify(statement.Domain{Genesis: domain.Genesis, Fork: 4}); err != statement.ErrSignature {
		t.Errorf("moved to another fork: %v", err)
	}
	if err := st.Verify(statement.Domain{Genesis: chain.Hash{9}, Fork: 3}); err != statement.ErrSignature {
		t.Errorf("other genesis: %v", err)
	}
	if err := st.Verify(domain); err != nil {
		t.Error(err)
	}
	for _, l := range append(labels(), 0, 10, 255) {
		if l == st.Label {
			continue
		}
		moved := st
		moved.Label = l
		if err := moved.Verify(domain); err != statement.ErrSignature {
			t.Errorf("as %s: %v", l, err)
		}
	}
	other := st
	other.Node = chain.NodeID(testKey(2).Public().(ed25519.PublicKey))
	if err := other.Verify(domain); err != statement.ErrSignature {
		t.Errorf("as another node: %v", err)
	}
}

// What is signed is exactly the bytes of docs/spec/statements.md.
func TestSignedBytes(t *testing.T) {
	st := sample(statement.LabelCommitment)
	msg := append([]byte{0, 0, 0, 22}, "tunic probe commitment"...)
	msg = append(msg, 1)
	msg = append(msg, domain.Genesis[:]...)
	msg = append(msg, 0, 0, 0, 3)
	body := append([]byte(nil), st.Node[:]...)
	body = append(body, 0, 0, 0, 0, 0, 0x50, 0, 6, 0, 0, 0, 4)
	body = append(body, "body"...)
	if !ed25519.Verify(st.Node[:], append(bytes.Clone(msg), body...), st.Sig[:]) {
		t.Error("a statement signs other bytes")
	}
	sig := domain.SignRaw(testKey(1), statement.LabelCommitment, []byte("raw"))
	if !ed25519.Verify(st.Node[:], append(bytes.Clone(msg), "raw"...), sig[:]) {
		t.Error("a raw signature signs other bytes")
	}
	// The version is signed as well: the same bytes with another do not verify.
	msg[4+22] = 2
	if ed25519.Verify(st.Node[:], append(bytes.Clone(msg), "raw"...), sig[:]) {
		t.Error("the version is not signed")
	}
}

func TestLabels(t *testing.T) {
	want := map[statement.Label]string{1: "descriptor", 2: "heartbeat", 3: "vote", 4: "probe commitment", 5: "storage receipt",
		6: "header seal", 7: "registration", 8: "proof report", 9: "key disclosure", 10: "storage answer", 11: "label 11", 0: "label 0"}
	for l, s := range want {
		if l.String() != s {
			t.Errorf("label %d is %q, want %q", uint8(l), l, s)
		}
	}
	for _, l := range []byte{0, 11, 255} {
		enc := sample(statement.LabelVote).Encode()
		enc[0] = l
		if _, err := statement.Decode(enc); !errors.Is(err, statement.ErrMalformed) {
			t.Errorf("label %d: %v", l, err)
		}
	}
	for _, v := range []byte{0, 2, 255} {
		enc := sample(statement.LabelVote).Encode()
		enc[1] = v
		if _, err := statement.Decode(enc); !errors.Is(err, statement.ErrMalformed) {
			t.Errorf("version %d: %v", v, err)
		}
	}
}

func TestBodyBound(t *testing.T) {
	st := sample(statement.LabelProof)
	st.Body = make([]byte, statement.MaxBody)
	if _, err := statement.Decode(st.Encode()); err != nil {
		t.Errorf("largest body: %v", err)
	}
	st.Body = append(st.Body, 0)
	if _, err := statement.Decode(st.Encode()); !errors.Is(err, wire.ErrTooLong) {
		t.Errorf("body over the bound: %v", err)
	}
	if 114+statement.MaxBody+5 > chain.MaxTx {
		t.Error("the largest statement does not fit a transaction")
	}
}

func TestSequence(t *testing.T) {
	s := statement.NewSequence(7, 9)
	if s != 7<<20|9 || s.Epoch() != 7 || s.Counter() != 9 {
		t.Errorf("%d: epoch %d, counter %d", s, s.Epoch(), s.Counter())
	}
	last := statement.NewSequence(7, 1<<statement.CounterBits-1)
	if last.Epoch() != 7 || last.Counter() != 1<<20-1 || last+1 != statement.NewSequence(8, 0) {
		t.Errorf("%d: epoch %d, counter %d", last, last.Epoch(), last.Counter())
	}
}

func FuzzDecode(f *testing.F) {
	for _, l := range labels() {
		f.Add(sample(l).Encode())
	}
	f.Add([]byte(strings.Repeat("\x01", 200)))
	f.Fuzz(func(t *testing.T, in []byte) {
		st, err := statement.Decode(in)
		if err != nil {
			return
		}
		if !bytes.Equal(st.Encode(), in) {
			t.Fatalf("%x has a second encoding", in)
		}
		if st.Verify(domain) == nil && !bytes.Equal(st.Node[:], testKey(1).Public().(ed25519.PublicKey)) {
			t.Fatalf("%x verifies", in)
		}
	})
}

// A signature is the one that the standard library makes of the same message.
func TestSignIsTheStandard(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte{5})
	for n := range 300 {
		seed, body := make([]byte, ed25519.SeedSize), make([]byte, n)
		rnd.Read(seed)
		rnd.Read(body)
		key := ed25519.NewKeyFromSeed(seed)
		d := statement.Domain{Genesis: chain.Hash{byte(n)}, Fork: uint32(n)}
		// docs/spec/statements.md, section Domain.
		label := "tunic storage receipt"
		message := binary.BigEndian.AppendUint32(nil, uint32(len(label)))
		message = append(append(message, label...), statement.Version)
		message = append(message, d.Genesis[:]...)
		message = append(binary.BigEndian.AppendUint32(message, d.Fork), body...)
		if sig := d.SignRaw(key, statement.LabelReceipt, body); !bytes.Equal(sig[:], ed25519.Sign(key, message)) {
			t.Fatalf("seed %x, body %x: %x", seed, body, sig)
		}
	}
}
