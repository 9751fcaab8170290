package directory_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/internal/testenv"
	"tunic/registry/directory"
)

// verifyVectors are lists, memberships and deltas under headers that are taken
// as verified, and what a verifier has to say of each.
type verifyVectors struct {
	Command string         `json:"command"`
	Headers []headerVector `json:"headers"` // cases name one by its index
	Cases   []verifyCase   `json:"cases"`
}

// headerVector is what a verified header says of its list.
type headerVector struct {
	Epoch chain.Epoch `json:"epoch"`
	Count uint32      `json:"count"`
	Root  chain.Hash  `json:"root"`
}

type verifyCase struct {
	Name   string        `json:"name"`
	Kind   string        `json:"kind"` // list, membership or delta
	Header int           `json:"header"`
	Bytes  hexBytes      `json:"bytes"`
	Base   hexBytes      `json:"base,omitempty"` // of a delta: the list that it is applied to
	Node   *chain.NodeID `json:"node,omitempty"` // asked about
	Valid  bool          `json:"valid"`
	Listed bool          `json:"listed,omitempty"`

	want error
}

func makeVerifyVectors() verifyVectors {
	lists := []*directory.List{list(5, entries(7)), list(0, nil), list(5, entries(1)), list(6, entries(8)[1:])}
	v := verifyVectors{Command: "go test ./registry/directory -run TestVerifyVectors -rewrite"}
	for _, l := range lists {
		v.Headers = append(v.Headers, headerVector{l.Epoch, uint32(len(l.Entries)), l.Root()})
	}
	add := func(c verifyCase) { v.Cases = append(v.Cases, c) }
	membership := func(name string, h int, m directory.Membership, listed bool, want error) {
		node := m.Node
		add(verifyCase{Name: name, Kind: "membership", Header: h, Bytes: directory.AppendMembership(nil, m), Node: &node, Valid: want == nil, Listed: listed, want: want})
	}
	last := chain.NodeID(bytes.Repeat([]byte{0xff}, 32))
	l := lists[0]
	for i := range l.Entries {
		membership("each is listed", 0, l.Prove(l.Entries[i].Node), true, nil)
		between := l.Entries[i].Node
		between[31] ^= 1 // right before or behind it
		membership("beside each nobody is", 0, l.Prove(between), false, nil)
	}
	membership("absent before the first", 0, l.Prove(chain.NodeID{}), false, nil)
	membership("absent behind the last", 0, l.Prove(last), false, nil)
	membership("absent from an empty list", 1, lists[1].Prove(last), false, nil)
	membership("listed alone", 2, lists[2].Prove(lists[2].Entries[0].Node), true, nil)
	membership("absent before the only one", 2, lists[2].Prove(chain.NodeID{}), false, nil)
	membership("absent behind the only one", 2, lists[2].Prove(last), false, nil)

	inner := l.Entries[3].Node
	inner[31] ^= 1
	change := func(id chain.NodeID, f func(*directory.Membership)) directory.Membership {
		m := l.Prove(id)
		f(&m)
		return m
	}
	third := l.Entries[3].Node
	membership("under another list", 3, l.Prove(third), false, directory.ErrRoot)
	membership("nothing shown", 0, directory.Membership{Node: third}, false, directory.ErrRoot)
	membership("an entry changed", 0, change(third, func(m *directory.Membership) { m.Entries[0].Stake++ }), false, directory.ErrRoot)
	membership("another count", 0, change(third, func(m *directory.Membership) { m.Places[0].Count++ }), false, directory.ErrRoot)
	membership("another index", 0, change(third, func(m *directory.Membership) { m.Places[0].Index ^= 1 }), false, directory.ErrRoot)
	membership("a path too long", 0, change(third, func(m *directory.Membership) { m.Places[0].Path = append(m.Places[0].Path, [32]byte{}) }), false, directory.ErrRoot)
	membership("a path too short", 0, change(third, func(m *directory.Membership) { m.Places[0].Path = m.Places[0].Path[:2] }), false, directory.ErrRoot)
	membership("one neighbour inside", 0, change(inner, func(m *directory.Membership) { m.Entries, m.Places = m.Entries[:1], m.Places[:1] }), false, directory.ErrRoot)
	membership("neighbours swapped", 0, change(inner, func(m *directory.Membership) { slices.Reverse(m.Entries); slices.Reverse(m.Places) }), false, directory.ErrRoot)
	membership("not neighbours", 0, change(inner, func(m *directory.Membership) {
		far := l.Prove(l.Entries[6].Node)
		m.Entries, m.Places = append(m.Entries[:1:1], far.Entries...), append(m.Places[:1:1], far.Places...)
	}), false, directory.ErrRoot)
	good := directory.AppendMembership(nil, l.Prove(third))
	add(verifyCase{Name: "membership cut off", Kind: "membership", Bytes: good[:len(good)-1], Node: &third, want: directory.ErrMalformed})
	add(verifyCase{Name: "membership with more", Kind: "membership", Bytes: append(bytes.Clone(good), 0), Node: &third, want: directory.ErrMalformed})

	enc := l.Encode()
	fast := list(5, entries(7))
	fast.Entries[6].Performance = 1001
	twice := list(5, entries(7))
	twice.Entries[1] = twice.Entries[0]
	for _, c := range []struct {
		name   string
		header int
		b      []byte
		want   error
	}{
		{"list", 0, enc, nil}, {"empty list", 1, lists[1].Encode(), nil}, {"list of one", 2, lists[2].Encode(), nil},
		{"list of another epoch", 3, enc, directory.ErrEpoch}, {"list with a node left out", 0, list(5, entries(6)).Encode(), directory.ErrRoot},
		{"list with one more", 0, list(5, entries(8)).Encode(), directory.ErrRoot}, {"list with a node twice", 0, twice.Encode(), directory.ErrMalformed},
		{"list with a performance above 1000", 0, fast.Encode(), directory.ErrMalformed}, {"list of another version", 0, append([]byte{2}, enc[1:]...), directory.ErrMalformed},
		{"list cut off", 0, enc[:len(enc)-1], directory.ErrMalformed}, {"list with more", 0, append(bytes.Clone(enc), 0), directory.ErrMalformed},
	} {
		add(verifyCase{Name: c.name, Kind: "list", Header: c.header, Bytes: c.b, Valid: c.want == nil, want: c.want})
	}

	changed := slices.Clone(lists[3].Entries)
	for i, name := range []string{"stake", "onion shift", "onion", "endpoints", "family", "vrf", "performance"} {
		changes[name](&changed[i])
	}
	changes["onion next"](&changed[1])
	to := list(6, changed)
	v.Headers = append(v.Headers, headerVector{to.Epoch, uint32(len(to.Entries)), to.Root()})
	d := directory.Diff(l, to)
	idle := d
	idle.Changed = slices.Clone(d.Changed)
	idle.Changed[0].Fields |= directory.FieldSwarm // which does not differ
	long := d
	for i, c := range d.Changed {
		if c.Fields&directory.FieldOnionShift != 0 { // the key itself where a bit would do
			long.Changed = slices.Clone(d.Changed)
			long.Changed[i].Fields = c.Fields&^directory.FieldOnionShift | directory.FieldOnion
		}
	}
	for _, c := range []struct {
		name   string
		header int
		base   *directory.List
		d      directory.Delta
		want   error
	}{
		{"delta", 4, l, d, nil}, {"delta from nothing", 4, lists[1], directory.Diff(lists[1], to), nil}, {"delta to itself", 0, l, directory.Diff(l, l), nil},
		{"delta of another list", 4, lists[3], d, directory.ErrBase}, {"delta to another list", 3, l, d, directory.ErrRoot},
		{"delta with what does not change", 4, l, idle, directory.ErrMalformed}, {"delta with a key that is known", 4, l, long, directory.ErrMalformed},
	} {
		add(verifyCase{Name: c.name, Kind: "delta", Header: c.header, Bytes: c.d.Encode(), Base: c.base.Encode(), Valid: c.want == nil, want: c.want})
	}
	return v
}

// verify is what a verifier does with a case.
func (c verifyCase) verify(h chain.Header) (listed bool, err error) {
	switch c.Kind {
	case "membership":
		m, err := directory.DecodeMembership(c.Bytes)
		if err != nil {
			return false, err
		}
		return m.Verify(h)
	case "list":
		l, err := directory.Decode(c.Bytes)
		if err == nil {
			err = l.Check(h)
		}
		return false, err
	}
	from, err := directory.Decode(c.Base)
	if err != nil {
		return false, err
	}
	d, err := directory.DecodeDelta(c.Bytes)
	if err != nil {
		return false, err
	}
	to, err := d.Apply(from)
	if err == nil {
		err = to.Check(h)
	}
	return false, err
}

func TestVerifyVectors(t *testing.T) {
	v := makeVerifyVectors()
	testenv.Golden(t, filepath.Join("testdata", "verify.json"), v)
	for _, c := range v.Cases {
		h := v.Headers[c.Header]
		listed, err := c.verify(chain.Header{DirEpoch: h.Epoch, DirCount: h.Count, Directory: h.Root})
		if !errors.Is(err, c.want) || listed != c.Listed {
			t.Errorf("%s: listed %v, %v", c.Name, listed, err)
		}
	}
}
