package cometbft_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/internal/testenv"
	"tunic/internal/wire"
)

const vectorsFile = "testdata/vectors.json"

// vector is one encoding. Of a header, a certificate or a set the hash is
// CometBFT's, of a vote that of what it signs.
type vector struct {
	Name string      `json:"name"` // the first word is the kind
	Hex  string      `json:"hex"`
	Hash *chain.Hash `json:"hash,omitempty"`
}

// sampled are the values that the vectors encode.
func sampled(t testing.TB) (vectors []vector) {
	add := func(name string, b []byte, hash *chain.Hash) {
		vectors = append(vectors, vector{name, hex.EncodeToString(b), hash})
	}
	hashOf := func(h chain.Hash) *chain.Hash { return &h }

	set, next := setOf(t, validators(0, 40, 30, 30, 1)), setOf(t, validators(0, 41, 30, 30, 1))
	header := headerAt(2, set, next)
	first := cometbft.Header{Version: cometbft.Version{Block: cometbft.BlockProtocol}, ChainID: chainID, Height: 1, Time: cometbft.Time{Seconds: began}, ValidatorsHash: set.Hash()}
	add("header: the first, with little in it", first.Encode(), hashOf(first.Hash()))
	add("header: something in every field", header.Encode(), hashOf(header.Hash()))
	last := header
	last.Height, last.Time, last.ChainID = cometbft.MaxHeight, cometbft.Time{Seconds: 253402300799, Nanos: 999_999_999}, strings.Repeat("é", 25)
	add("header: greatest height, latest time, longest chain id", last.Encode(), hashOf(last.Hash()))

	add("set: of one", setOf(t, equals(0, 1)).Encode(), hashOf(setOf(t, equals(0, 1)).Hash()))
	add("set: by power and address", set.Encode(), hashOf(set.Hash()))

	commit := commitTo(&header, set, 3, []cometbft.Flag{cometbft.FlagCommit, cometbft.FlagCommit, cometbft.FlagNil, cometbft.FlagAbsent})
	add("commit: each flag", commit.Encode(), nil)

	for _, c := range []struct {
		name      string
		set, next *cometbft.Set
	}{{"without sets", nil, nil}, {"with its set", set, nil}, {"with its next set", nil, next}, {"with both sets", set, next}} {
		with := cometbft.Certificate{Header: header, Commit: commit, Set: c.set, Next: c.next}
		add("certificate: "+c.name, with.Encode(), hashOf(header.Hash()))
	}
	same := headerAt(2, set, set)
	twice := certify(same, set, set)
	add("certificate: with one set for both heights", twice.Encode(), hashOf(same.Hash()))

	key := validator(0, 1).Key
	for name, v := range map[string]cometbft.Vote{"vote: for a block": voteFor(key, digest("a")), "vote: for nil": voteFor(key, chain.Hash{})} {
		add(name, v.Encode(), hashOf(chain.SHA256(v.SignBytes(chainID))))
	}
	d, err := cometbft.NewDuplicateVote(key, voteFor(key, digest("a")), voteFor(key, digest("b")))
	if err != nil {
		t.Fatal(err)
	}
	add("duplicate: two blocks", d.Encode(), nil)
	if d, err = cometbft.NewDuplicateVote(key, voteFor(key, digest("a")), voteFor(key, chain.Hash{})); err != nil {
		t.Fatal(err)
	}
	add("duplicate: a block and nil", d.Encode(), nil)
	slices.SortFunc(vectors, func(a, b vector) int { return strings.Compare(a.Name, b.Name) })
	return vectors
}

// reread decodes bytes of a kind and gives them as encoded again.
func reread(kind string, b []byte) ([]byte, error) {
	switch kind {
	case "header":
		v, err := cometbft.DecodeHeader(b)
		return again(err, v.Encode)
	case "commit":
		v, err := cometbft.DecodeCommit(b)
		return again(err, v.Encode)
	case "set":
		v, err := cometbft.DecodeSet(b)
		return again(err, v.Encode)
	case "certificate":
		v, err := cometbft.DecodeCertificate(b)
		return again(err, v.Encode)
	case "vote":
		v, err := cometbft.DecodeVote(b)
		return again(err, v.Encode)
	case "duplicate":
		v, err := cometbft.DecodeDuplicateVote(b)
		return again(err, v.Encode)
	}
	panic("no such kind: " + kind)
}

func again(err error, encode func() []byte) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return encode(), nil
}

// TestVectors: the encodings are what they once were; every one is read and
// written again as it was; cut short, made longer, or of another version it is
// refused; with a bit flipped it is refused or another value.
func TestVectors(t *testing.T) {
	vectors := sampled(t)
	testenv.Golden(t, vectorsFile, struct {
		MadeBy  string   `json:"made_by"`
		ChainID string   `json:"chain_id"`
		Vectors []vector `json:"vectors"`
	}{"go test ./chain/cometbft -run TestVectors -rewrite", chainID, vectors})
	for _, v := range vectors {
		kind, _, _ := strings.Cut(v.Name, ":")
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := reread(kind, b); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: %v, written again as %x", v.Name, err, got)
		}
		for n := range b {
			if _, err := reread(kind, b[:n]); !errors.Is(err, cometbft.ErrMalformed) {
				t.Fatalf("%s: the first %d bytes: %v", v.Name, n, err)
			}
			flipped := bytes.Clone(b)
			flipped[n] ^= 1 << (n % 8)
			if got, err := reread(kind, flipped); err == nil && !bytes.Equal(got, flipped) {
				t.Fatalf("%s: with bit %d of byte %d flipped, written as %x", v.Name, n%8, n, got)
			}
		}
		if _, err := reread(kind, append(bytes.Clone(b), 0)); !errors.Is(err, wire.ErrTrailing) {
			t.Errorf("%s: a byte more: %v", v.Name, err)
		}
		b[0]++
		if _, err := reread(kind, b); !errors.Is(err, cometbft.ErrMalformed) || !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("%s: another version: %v", v.Name, err)
		}
	}
}

// TestRefusedEncodings: what is readable and not canonical, or over a bound.
func TestRefusedEncodings(t *testing.T) {
	set := setOf(t, validators(0, 30, 20, 10))
	header := headerAt(2, set, set)
	certificate := certify(header, set, set)
	uint32at := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], v); return b }
	}
	uint64at := func(at int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[at:], v); return b }
	}
	byteAt := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = v; return b }
	}
	const afterID = 1 + 8 + 8 + 4 + len(chainID)
	const places = 1 + 8 + 4 + 68 + 4 // in a commit
	duplicate, err := cometbft.NewDuplicateVote(set.At(0).Key, voteFor(set.At(0).Key, digest("a")), voteFor(set.At(0).Key, digest("b")))
	if err != nil {
		t.Fatal(err)
	}
	vote := voteFor(set.At(0).Key, digest("a"))
	for _, c := range []struct {
		name, kind string
		b          []byte
		change     func([]byte) []byte
		want       error
	}{
		{"chain id too long", "header", header.Encode(), uint32at(17, cometbft.MaxChainID+1), wire.ErrTooLong},
		{"chain id no text", "header", header.Encode(), byteAt(21, 0xff), wire.ErrInvalid},
		{"height 0", "header", header.Encode(), uint64at(afterID, 0), wire.ErrInvalid},
		{"height over bound", "header", header.Encode(), uint64at(afterID, 1<<63), wire.ErrInvalid},
		{"after the year 9999", "header", header.Encode(), uint64at(afterID+8, 253402300800), wire.ErrInvalid},
		{"before the year 1", "header", header.Encode(), func(b []byte) []byte { before := int64(-62135596801); return uint64at(afterID+8, uint64(before))(b) }, wire.ErrInvalid},
		{"a second of nanoseconds", "header", header.Encode(), uint32at(afterID+16, 1_000_000_000), wire.ErrInvalid},

		{"round over bound", "commit", certificate.Commit.Encode(), uint32at(9, 1<<31), wire.ErrInvalid},
		{"too many places", "commit", certificate.Commit.Encode(), uint32at(places-4, cometbft.MaxValidators+1), wire.ErrTooLong},
		{"more places than bytes", "commit", certificate.Commit.Encode(), uint32at(places-4, 3*97+1), wire.ErrShort},
		{"flag 0", "commit", certificate.Commit.Encode(), byteAt(places, 0), wire.ErrInvalid},
		{"flag 4", "commit", certificate.Commit.Encode(), byteAt(places, 4), wire.ErrInvalid},

		{"none", "set", set.Encode(), func(b []byte) []byte { return uint32at(1, 0)(b[:5]) }, cometbft.ErrSet},
		{"too many", "set", set.Encode(), uint32at(1, cometbft.MaxValidators+1), wire.ErrTooLong},
		{"more than bytes", "set", set.Encode(), uint32at(1, 4), wire.ErrShort},
		{"out of order", "set", set.Encode(), uint64at(5+32, 15), cometbft.ErrSet},
		{"no power", "set", set.Encode(), uint64at(5+80+32, 0), cometbft.ErrSet},
		{"negative power", "set", set.Encode(), uint64at(5+80+32, 1<<63), cometbft.ErrSet},
		{"too much power", "set", set.Encode(), uint64at(5+32, uint64(cometbft.MaxTotalPower)), cometbft.ErrSet},
		{"twice", "set", set.Encode(), func(b []byte) []byte { copy(b[5+40:5+72], b[5:5+32]); return b }, cometbft.ErrSet},
		{"a key with which anyone can vote", "set", set.Encode(), func(b []byte) []byte { copy(b[5:], append([]byte{1}, make([]byte, 31)...)); return b }, cometbft.ErrSet},

		{"sets of an unknown kind", "certificate", certificate.Encode(), byteAt(1, 5), wire.ErrInvalid},
		{"one set, said to be missing", "certificate", certificate.Encode(), byteAt(1, 0), wire.ErrTrailing},
		{"one set, written twice", "certificate", certificate.Encode(), func(b []byte) []byte { b[1] = 3; return append(b, set.Encode()[1:]...) }, wire.ErrInvalid},
		{"two sets, one there", "certificate", certificate.Encode(), byteAt(1, 3), wire.ErrShort},

		{"of type 0", "vote", vote.Encode(), byteAt(1, 0), wire.ErrInvalid},
		{"a proposal", "vote", vote.Encode(), byteAt(1, 32), wire.ErrInvalid},
		{"of type 3", "duplicate", duplicate.Encode(), byteAt(33, 3), wire.ErrInvalid},
		{"at height 0", "duplicate", duplicate.Encode(), uint64at(34, 0), wire.ErrInvalid},
	} {
		if _, err := reread(c.kind, c.change(c.b)); !errors.Is(err, c.want) || !errors.Is(err, cometbft.ErrMalformed) {
			t.Errorf("%s: %s: %v, want %v", c.kind, c.name, err, c.want)
		}
	}
}

// seeds adds the vectors of a kind.
func seeds(f *testing.F, kind string) {
	f.Helper()
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		f.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(b, &file); err != nil {
		f.Fatal(err)
	}
	n := 0
	for _, v := range file.Vectors {
		if b, err := hex.DecodeString(v.Hex); err == nil && strings.HasPrefix(v.Name, kind+":") {
			f.Add(b)
			n++
		}
	}
	if n == 0 {
		f.Fatalf("no vector of a %s", kind)
	}
}

// oneForm: what is read is written as it was.
func oneForm(f *testing.F, kind string) {
	seeds(f, kind)
	f.Fuzz(func(t *testing.T, in []byte) {
		if got, err := reread(kind, in); err == nil && !bytes.Equal(got, in) {
			t.Fatalf("%x was read, and is written as %x", in, got)
		}
	})
}

func FuzzHeader(f *testing.F) { oneForm(f, "header") }

func FuzzCommit(f *testing.F) { oneForm(f, "commit") }

func FuzzSet(f *testing.F) { oneForm(f, "set") }

func FuzzVote(f *testing.F) { oneForm(f, "vote") }

// FuzzDuplicateVote: what is read is written as it was, and verifying it ends.
func FuzzDuplicateVote(f *testing.F) {
	seeds(f, "duplicate")
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := cometbft.DecodeDuplicateVote(in)
		if err != nil {
			return
		}
		if !bytes.Equal(d.Encode(), in) {
			t.Fatalf("%x was read, and is written as %x", in, d.Encode())
		}
		if d.First.BlockID == d.Second.BlockID {
			t.Fatal("one block is two")
		}
		_ = d.Verify(chainID)
	})
}

// FuzzCertificate: what is read is written as it was, and CometBFT's light client
// says the same of it, from the same trusted header.
func FuzzCertificate(f *testing.F) {
	seeds(f, "certificate")
	set := setOf(f, validators(0, 40, 30, 30, 1))
	trusted := certify(headerAt(1, set, set), set, set)
	follows := headerAt(2, set, set)
	follows.LastBlockID = trusted.Commit.BlockID
	sound, later := certify(follows, set, nil), certify(headerAt(9, set, set), set, nil)
	f.Add(sound.Encode())
	f.Add(later.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := cometbft.DecodeCertificate(in)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Encode(), in) {
			t.Fatalf("%x was read, and is written as %x", in, c.Encode())
		}
		ours := rooted(t, trusted).Accept(c, nowAt(9))
		if c.Set == nil || c.Header.Height == 1 || c.Next != nil && c.Next.Hash() != c.Header.NextValidatorsHash {
			return // CometBFT is not asked this
		}
		if theirs := verifyLight(t, config, trusted, c, nowAt(9)); (ours == nil) != (theirs == nil) && !errors.Is(ours, cometbft.ErrTwoHeads) {
			t.Fatalf("%v; CometBFT says: %v", ours, theirs)
		}
	})
}
