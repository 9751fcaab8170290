package chain_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/internal/testenv"
)

type numbered struct {
	chain.Head
	Number uint32
}

var numberedType = chain.Define(chain.Kind(201), "Numbered", func(v *numbered) *chain.Head { return &v.Head },
	chain.Uint32("number", func(v *numbered) *uint32 { return &v.Number }))

// A uint32 reads as it was written, in bytes and in JSON, and go-ethereum agrees
// on its digest.
func TestUint32(t *testing.T) {
	s := numberedType.Schema()
	if got := s.TypeString(); got != "Numbered(uint64 nonce,uint64 fee,uint64 validUntil,uint32 number)" {
		t.Errorf("encodeType is %s", got)
	}
	testenv.Check(t, func(t *rapid.T) {
		v := numbered{Head: chain.Head{Nonce: 1, Fee: 2, ValidUntil: 3}, Number: rapid.Uint32().Draw(t, "number")}
		payload := numberedType.Encode(v)
		if got, err := numberedType.Decode(payload); err != nil || got != v || len(payload) != 28 {
			t.Fatalf("%+v reads as %+v, %v", v, got, err)
		}
		msg, err := s.MarshalMessage(payload)
		if back, berr := s.UnmarshalMessage(msg); err != nil || berr != nil || string(back) != string(payload) {
			t.Fatalf("%s reads as %x, %v, %v", msg, back, err, berr)
		}
		genesis := chain.Hash(drawArray32(t, "genesis"))
		want := oracle(t, 7, genesis, s, map[string]any{"nonce": "1", "fee": "2", "validUntil": "3", "number": strconv.FormatUint(uint64(v.Number), 10)})
		if got, err := chain.NewDomain(7, genesis).Digest(s, payload); err != nil || got != want {
			t.Fatalf("digest %s %v, go-ethereum says %s", got, err, want)
		}
	})
	const good = `{"nonce":1,"fee":2,"validUntil":3,"number":4294967295}`
	if _, err := s.UnmarshalMessage([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"4294967296", "-1", "1.0", `"x"`, "null"} {
		if _, err := s.UnmarshalMessage([]byte(strings.Replace(good, "4294967295", bad, 1))); !errors.Is(err, chain.ErrMessage) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
