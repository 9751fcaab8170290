package recording

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"reflect"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
)

func TestRecording(t *testing.T) {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	g := genesis.Genesis{Core: genesis.Core{ChainID: 7, Profile: genesis.Dev, Clock: genesis.ClockReal, Engine: genesis.EngineSealer,
		Time: 5, Sealers: []chain.NodeID{{1}}, Params: p}}
	var file bytes.Buffer
	w, err := NewWriter(&file, g)
	if err != nil {
		t.Fatal(err)
	}
	blocks := []Block{
		{Sealed: chain.Commit(chain.Header{Height: 1, Committed: true}, []byte("commit")), Time: Moment{-1, 7}},
		{Sealed: chain.Commit(chain.Header{Height: 2, Committed: true}, []byte("next")), Time: Moment{1, 2},
			Found: []Fault{{Kind: 2, Node: chain.NodeID{4}, Height: 3, Time: Moment{5, 6}, Power: 7, Total: 8}}, Txs: [][]byte{{1}, {}, {2, 3}}},
	}
	for _, b := range blocks {
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	all := file.Bytes()
	r, err := NewReader(bytes.NewReader(all))
	if err != nil || r.Genesis.Hash() != g.Hash() {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, want := range blocks {
		if got, err := r.Next(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, want %+v, %v", got, want, err)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatalf("behind the last: %v", err)
	}
	// A stream that is cut off is no shorter recording.
	for n := range all {
		r, err := NewReader(bytes.NewReader(all[:n]))
		for err == nil {
			_, err = r.Next()
		}
		if err == io.EOF {
			t.Fatalf("%d of %d bytes are taken for a recording", n, len(all))
		}
	}
	for _, plain := range []string{"tunic recording\x02\x00\x00\x00\x02{}", "tunic recording\x01\xff\xff\xff\xff", "another"} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(plain))
		z.Close()
		if _, err := NewReader(&b); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", plain, err)
		}
	}
}
