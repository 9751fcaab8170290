package directory_test

import (
	"bytes"
	"testing"

	"tunic/internal/wire"
	"tunic/registry/directory"
)

func FuzzDecode(f *testing.F) {
	f.Add(list(3, entries(4)).Encode())
	f.Add(list(0, nil).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := directory.Decode(b)
		if err == nil && !bytes.Equal(l.Encode(), b) {
			t.Fatal("two encodings of one list")
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add(directory.AppendEntry(nil, entry(1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.NewReader(b)
		e := directory.ReadEntry(r)
		if r.Done() == nil && !bytes.Equal(directory.AppendEntry(nil, e), b) {
			t.Fatal("two encodings of one entry")
		}
	})
}

func FuzzMembership(f *testing.F) {
	l := list(3, entries(4))
	h := header(l)
	f.Add(directory.AppendMembership(nil, l.Prove(entry(1).Node)))
	f.Add(directory.AppendMembership(nil, l.Prove(entry(9).Node)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.NewReader(b)
		m := directory.ReadMembership(r)
		if r.Done() != nil {
			return
		}
		if !bytes.Equal(directory.AppendMembership(nil, m), b) {
			t.Fatal("two encodings of one membership")
		}
		listed, err := m.Verify(h)
		if _, is := l.Find(m.Node); err == nil && listed != is {
			t.Fatalf("shown listed %v, is %v", listed, is)
		}
	})
}

func FuzzDelta(f *testing.F) {
	base := list(1, entries(4))
	e := entries(6)[1:]
	changes["onion shift"](&e[1])
	changes["endpoints"](&e[2])
	f.Add(directory.Diff(base, list(2, e)).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := directory.DecodeDelta(b)
		if err != nil {
			return
		}
		if !bytes.Equal(d.Encode(), b) {
			t.Fatal("two encodings of one delta")
		}
		d.Base, d.From = base.Root(), base.Epoch
		to, err := d.Apply(base)
		if err == nil && !bytes.Equal(directory.Diff(base, to).Encode(), d.Encode()) {
			t.Fatal("two deltas between two lists")
		}
	})
}
