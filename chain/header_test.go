package chain_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tunic/chain"
	"tunic/internal/testenv"
	"tunic/internal/wire"
)

func fill(first byte) (h [32]byte) {
	for i := range h {
		h[i] = first + byte(i)
	}
	return h
}

func sampleHeader() chain.Header {
	return chain.Header{
		Genesis: fill(1), Fork: 2, Height: 3, Time: 1735689600000, Parent: fill(4), TxRoot: fill(5), TxCount: 6, Results: fill(7),
		State: fill(8), Directory: fill(9), DirCount: 10, DirEpoch: 11, Removals: []chain.NodeID{fill(12), fill(13)}, Beacon: fill(14), Proposer: fill(15),
	}
}

func sampleBlock() chain.Block {
	b := chain.Block{SealedHeader: chain.SealedHeader{Header: sampleHeader()}}
	for i := range b.Seal {
		b.Seal[i] = byte(100 + i)
	}
	b.Txs = [][]byte{sampleTx().Encode(), chain.Tx{Kind: chain.KindPublish, Payload: []byte{1, 2, 3}}.Encode()}
	return b
}

func sampleTx() chain.Tx {
	tx := transferType.Unsigned(transfer{Head: chain.Head{Nonce: 1, Fee: 2, ValidUntil: 3}, To: chain.Address{4, 19: 5}, Amount: 6})
	for i := range tx.Sig {
		tx.Sig[i] = byte(i)
	}
	tx.Sig[64] = 1
	return tx
}

func TestHeaderRoundTrip(t *testing.T) {
	for name, h := range map[string]chain.Header{"zero": {}, "full": sampleHeader(), "committed": {Committed: true}} {
		enc := h.Encode()
		r := wire.NewReader(enc)
		if got := chain.ReadHeader(r); r.Done() != nil || !reflect.DeepEqual(got, h) {
			t.Errorf("%s: read %+v, %v", name, got, r.Err())
		}
		if want := 297 + 32*len(h.Removals); len(enc) != want {
			t.Errorf("%s: %d bytes, want %d", name, len(enc), want)
		}
		if h.Hash() != chain.SHA256(enc) {
			t.Errorf("%s: the hash is not that of the encoding", name)
		}
	}
}

// Each field of a header changes its hash.
func TestHeaderHashCoversEachField(t *testing.T) {
	base := sampleHeader()
	typ := reflect.TypeFor[chain.Header]()
	for i := range typ.NumField() {
		h := base
		switch f := reflect.ValueOf(&h).Elem().Field(i); f.Kind() {
		case reflect.Array:
			f.Index(31).SetUint(f.Index(31).Uint() ^ 1)
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Slice:
			f.Set(f.Slice(0, 1))
		default:
			f.SetUint(f.Uint() + 1)
		}
		if h.Hash() == base.Hash() {
			t.Errorf("%s is not in the hash", typ.Field(i).Name)
		}
	}
}

// TestCommitted: a commit travels with its header, and two of them are told apart.
func TestCommitted(t *testing.T) {
	h := sampleHeader()
	h.Committed = true
	a, b := chain.Commit(h, []byte("one commit")), chain.Commit(h, []byte("another"))
	got, err := chain.DecodeSealedHeader(a.Encode())
	if err != nil || !reflect.DeepEqual(got, a) || a.Seal == b.Seal {
		t.Fatalf("read %+v, %v", got, err)
	}
	sealed := sampleHeader()
	if h.Hash() == sealed.Hash() {
		t.Fatal("a committed header has the hash of a sealed one")
	}
}

func TestHeaderRefusals(t *testing.T) {
	encode := func(change func(*chain.Header)) []byte {
		h := sampleHeader()
		change(&h)
		return chain.SealedHeader{Header: h}.Encode()
	}
	same := func(*chain.Header) {}
	removals := func(ids ...chain.NodeID) func(*chain.Header) { return func(h *chain.Header) { h.Removals = ids } }
	many := make([]chain.NodeID, chain.MaxRemovals+1)
	for i := range many {
		many[i] = chain.NodeID{byte(i >> 8), byte(i)}
	}
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"whole", encode(same), nil},
		{"most removals", encode(removals(many[1:]...)), nil},
		{"empty", nil, wire.ErrShort},
		{"version 0", append([]byte{0}, encode(same)[1:]...), chain.ErrHeader},
		{"version 3", append([]byte{3}, encode(same)[1:]...), chain.ErrHeader},
		{"committed", chain.Commit(chain.Header{Committed: true}, make([]byte, chain.MaxCommit)).Encode(), nil},
		{"a commit too long", chain.Commit(chain.Header{Committed: true}, make([]byte, chain.MaxCommit+1)).Encode(), wire.ErrTooLong},
		{"a seal in place of a commit", append([]byte{2}, encode(same)[1:]...), wire.ErrTrailing},
		{"trailing byte", append(encode(same), 0), wire.ErrTrailing},
		{"removals equal", encode(removals(chain.NodeID{1}, chain.NodeID{1})), chain.ErrHeader},
		{"removals descending", encode(removals(chain.NodeID{2}, chain.NodeID{1})), chain.ErrHeader},
		{"removals descending and going on", encode(removals(chain.NodeID{2}, chain.NodeID{1}, chain.NodeID{3}, chain.NodeID{4})), chain.ErrHeader},
		{"too many removals", encode(removals(many...)), wire.ErrTooLong},
	} {
		if _, err := chain.DecodeSealedHeader(c.in); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	whole := encode(same)
	for i := range whole {
		if _, err := chain.DecodeSealedHeader(whole[:i]); err == nil {
			t.Errorf("cut to %d bytes: accepted", i)
		}
	}
}

func TestTxEncoding(t *testing.T) {
	for name, tx := range map[string]chain.Tx{
		"transfer": sampleTx(), "publish": {Kind: chain.KindPublish, Payload: []byte{1, 2}}, "empty publish": {Kind: chain.KindPublish, Payload: []byte{}},
	} {
		enc := tx.Encode()
		got, err := chain.DecodeTx(enc)
		if err != nil || !cmp.Equal(got, tx) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if tx.ID() != chain.SHA256(enc) {
			t.Errorf("%s: the id is not the hash of the encoding", name)
		}
		want := 5 + len(tx.Payload)
		if tx.Kind != chain.KindPublish {
			want += chain.SignatureSize
		}
		if len(enc) != want {
			t.Errorf("%s: %d bytes, want %d", name, len(enc), want)
		}
		for i := range enc {
			if _, err := chain.DecodeTx(enc[:i]); !errors.Is(err, chain.ErrTx) {
				t.Errorf("%s cut to %d bytes: %v", name, i, err)
			}
		}
		if _, err := chain.DecodeTx(append(enc, 0)); !errors.Is(err, chain.ErrTx) || !errors.Is(err, wire.ErrTrailing) {
			t.Errorf("%s: trailing byte: %v", name, err)
		}
	}
	// A publish has no room for a signature, an account transaction none without.
	flipped := sampleTx().Encode()
	flipped[0] = byte(chain.KindPublish)
	if _, err := chain.DecodeTx(flipped); !errors.Is(err, wire.ErrTrailing) {
		t.Errorf("a publish with a signature: %v", err)
	}
	most := chain.Tx{Kind: chain.KindPublish, Payload: make([]byte, chain.MaxTx-5)}
	if _, err := chain.DecodeTx(most.Encode()); err != nil {
		t.Errorf("a transaction of the largest size: %v", err)
	}
	most.Payload = append(most.Payload, 0)
	if _, err := chain.DecodeTx(most.Encode()); !errors.Is(err, chain.ErrTx) {
		t.Errorf("a transaction over the largest size: %v", err)
	}
}

func TestTxIDCoversEachBit(t *testing.T) {
	tx := sampleTx()
	id := tx.ID()
	flips(tx.Encode(), func(bit int, b []byte) {
		if got, err := chain.DecodeTx(b); err == nil && got.ID() == id {
			t.Errorf("bit %d is not in the id", bit)
		}
	})
}

func TestBlockEncoding(t *testing.T) {
	b := sampleBlock()
	enc := b.Encode()
	got, err := chain.DecodeBlock(enc)
	if err != nil || !reflect.DeepEqual(got, b) {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range enc {
		if _, err := chain.DecodeBlock(enc[:i]); err == nil {
			t.Errorf("cut to %d bytes: accepted", i)
		}
	}
	if _, err := chain.DecodeBlock(append(enc, 0)); !errors.Is(err, wire.ErrTrailing) {
		t.Errorf("trailing byte: %v", err)
	}
	b.Txs = [][]byte{make([]byte, chain.MaxTx+1)}
	if _, err := chain.DecodeBlock(b.Encode()); !errors.Is(err, wire.ErrTooLong) {
		t.Errorf("transaction over the bound: %v", err)
	}
	b.Txs = make([][]byte, chain.MaxBlockTxs+1)
	if _, err := chain.DecodeBlock(b.Encode()); !errors.Is(err, wire.ErrTooLong) {
		t.Errorf("too many transactions: %v", err)
	}
}

func FuzzDecodeBlock(f *testing.F) {
	f.Add(sampleBlock().Encode())
	f.Add(chain.Block{}.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if b, err := chain.DecodeBlock(in); err == nil && !bytes.Equal(b.Encode(), in) {
			t.Fatalf("%x has a second encoding", in)
		}
		if s, err := chain.DecodeSealedHeader(in); err == nil && !bytes.Equal(s.Encode(), in) {
			t.Fatalf("%x has a second encoding", in)
		}
	})
}

func FuzzDecodeTx(f *testing.F) {
	f.Add(sampleTx().Encode())
	f.Add(chain.Tx{Kind: chain.KindPublish, Payload: []byte{1}}.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if tx, err := chain.DecodeTx(in); err == nil && !bytes.Equal(tx.Encode(), in) {
			t.Fatalf("%x has a second encoding", in)
		}
	})
}

// vector is one row of testdata/vectors.json.
type vector struct {
	Name string     `json:"name"`
	Hex  string     `json:"hex"`
	Hash chain.Hash `json:"hash"`
}

func TestVectors(t *testing.T) {
	const path = "testdata/vectors.json"
	type file struct {
		MadeBy  string   `json:"made_by"`
		Vectors []vector `json:"vectors"`
	}
	row := func(name string, enc []byte, hash chain.Hash) vector {
		return vector{name, hex.EncodeToString(enc), hash}
	}
	b, h, d := sampleBlock(), sampleHeader(), chain.NewDomain(31337, fill(1))
	digest, err := d.Digest(everyType.Schema(), everyType.Encode(every{Text: "é", Data: []byte{1}}))
	if err != nil {
		t.Fatal(err)
	}
	want := file{"go test ./chain -run TestVectors -rewrite", []vector{
		row("empty header; its hash", chain.Header{}.Encode(), chain.Header{}.Hash()),
		row("header; its hash", h.Encode(), h.Hash()),
		row("sealed header; hash of the header", b.SealedHeader.Encode(), b.Header.Hash()),
		row("transfer; its id", sampleTx().Encode(), sampleTx().ID()),
		row("block; hash of the header", b.Encode(), b.Header.Hash()),
		row("payload with a field of each atom; its digest", everyType.Encode(every{Text: "é", Data: []byte{1}}), digest),
	}}
	testenv.Golden(t, path, want)
}
