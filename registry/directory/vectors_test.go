package directory_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/internal/testenv"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

const vectorFile = "directory.json"

// hexBytes is a byte string that JSON shows in hex.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
func (h *hexBytes) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	*h = v
	return err
}

type vectors struct {
	Command string             `json:"command"`
	Entry   hexBytes           `json:"entry"`
	Leaf    hexBytes           `json:"entry_leaf"`
	List    hexBytes           `json:"list"`
	Root    chain.Hash         `json:"list_root"`
	Empty   chain.Hash         `json:"empty_list_root"`
	Proofs  []membershipVector `json:"memberships"`
	Next    hexBytes           `json:"next_list"`
	Delta   hexBytes           `json:"delta"`
}

type membershipVector struct {
	Name   string       `json:"name"`
	Node   chain.NodeID `json:"node"`
	Listed bool         `json:"listed"`
	Proof  hexBytes     `json:"proof"`
}

func makeVectors() vectors {
	l := list(3, entries(5))
	next := entries(6)[1:]
	changes["stake"](&next[0])
	changes["onion shift"](&next[1])
	changes["onion next"](&next[1])
	changes["endpoints"](&next[2])
	b := list(4, next)
	leaf := l.Entries[0].Leaf()
	v := vectors{
		Command: "go test ./registry/directory -run TestVectors -rewrite",
		Entry:   directory.AppendEntry(nil, l.Entries[0]), Leaf: leaf[:],
		List: l.Encode(), Root: l.Root(), Empty: list(3, nil).Root(),
		Next: b.Encode(), Delta: directory.Diff(l, b).Encode(),
	}
	inner := l.Entries[2].Node
	inner[31]++
	var last chain.NodeID
	for i := range last {
		last[i] = 0xff
	}
	for _, m := range []membershipVector{
		{Name: "present", Node: l.Entries[2].Node, Listed: true},
		{Name: "absent between two", Node: inner},
		{Name: "absent before the first", Node: chain.NodeID{}},
		{Name: "absent behind the last", Node: last},
	} {
		m.Proof = directory.AppendMembership(nil, l.Prove(m.Node))
		v.Proofs = append(v.Proofs, m)
	}
	return v
}

// The golden bytes decode to what they were made from, and are still written.
func TestVectors(t *testing.T) {
	file := filepath.Join("testdata", vectorFile)
	got := testenv.Golden(t, file, makeVectors())
	var v vectors
	if err := json.Unmarshal(got, &v); err != nil {
		t.Fatal(err)
	}
	l, err := directory.Decode(v.List)
	if err != nil || l.Root() != v.Root {
		t.Fatalf("list: %v", err)
	}
	for _, m := range v.Proofs {
		r := wire.NewReader(m.Proof)
		p := directory.ReadMembership(r)
		if err := r.Done(); err != nil {
			t.Fatal(err)
		}
		if listed, err := p.Verify(header(l)); err != nil || listed != m.Listed || p.Node != m.Node {
			t.Errorf("%s: listed %v, %v", m.Name, listed, err)
		}
	}
	d, err := directory.DecodeDelta(v.Delta)
	if err != nil {
		t.Fatal(err)
	}
	next, err := d.Apply(l)
	if err != nil || !bytes.Equal(next.Encode(), v.Next) {
		t.Fatalf("delta: %v", err)
	}
}
