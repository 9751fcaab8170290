package table_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/internal/merkle"
	"tunic/internal/table"
	"tunic/internal/testenv"
	"tunic/internal/wire"
)

func codec(prefix byte) table.Codec[uint16, uint32] {
	return table.Codec[uint16, uint32]{
		Prefix:      prefix,
		AppendKey:   wire.AppendUint16,
		ReadKey:     (*wire.Reader).Uint16,
		AppendValue: wire.AppendUint32,
		ReadValue:   (*wire.Reader).Uint32,
	}
}

// A part after any series of writes and commits equals a part built at once
// from its rows, and every key is provably present or absent.
func TestPartAgainstARebuild(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		var p table.Part
		a, b := table.New(&p, codec(1)), table.New(&p, codec(2))
		for range rapid.IntRange(1, 5).Draw(t, "blocks") {
			for range rapid.IntRange(0, 12).Draw(t, "writes") {
				tab := a
				if rapid.Bool().Draw(t, "second") {
					tab = b
				}
				k := uint16(rapid.IntRange(0, 20).Draw(t, "key"))
				if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
					tab.Delete(k)
				} else {
					tab.Set(k, rapid.Uint32().Draw(t, "value"))
				}
			}
			p.Commit()
		}
		var rows []table.Row
		for r := range p.Rows() {
			rows = append(rows, r)
		}
		var q table.Part
		table.New(&q, codec(1))
		table.New(&q, codec(2))
		if err := q.Load(rows); err != nil {
			t.Fatal(err)
		}
		if p.Root() != q.Root() || p.Count() != q.Count() || p.Count() != a.Len()+b.Len() {
			t.Fatalf("roots or counts differ: %d %d %d", p.Count(), q.Count(), a.Len()+b.Len())
		}
		for from := range uint16(22) {
			var all, some []uint16
			for k := range a.All() {
				if k >= from {
					all = append(all, k)
				}
			}
			for k, v := range a.From(from) {
				some = append(some, k)
				if want, _ := a.Get(k); v != want {
					t.Fatalf("from %d: another value under %d", from, k)
				}
			}
			if !slices.Equal(all, some) {
				t.Fatalf("from %d: %v, want %v", from, some, all)
			}
		}
		for k := range uint16(22) {
			want, has := a.Get(k)
			m := p.Prove(a.Key(k))
			r := wire.NewReader(table.AppendMembership(nil, m))
			m = table.ReadMembership(r)
			if err := r.Done(); err != nil {
				t.Fatal(err)
			}
			v, ok, err := m.Verify(p.Root(), uint32(p.Count()), a.Key(k))
			if err != nil || ok != has || (ok && !bytes.Equal(v, wire.AppendUint32(nil, want))) {
				t.Fatalf("key %d: present %v, proven %v, %v", k, has, ok, err)
			}
			if _, ok, err := m.Verify(p.Root(), uint32(p.Count()), a.Key(k+1)); err == nil {
				if _, has := a.Get(k + 1); has != ok {
					t.Fatal("a proof for one key shows something false of another")
				}
			}
			if p.Count() > 0 {
				if _, _, err := m.Verify(merkle.Leaf([]byte("other")), uint32(p.Count()), a.Key(k)); err == nil {
					t.Fatal("a proof holds under another root")
				}
			}
		}
	})
}

func TestChangesReplay(t *testing.T) {
	var p table.Part
	a := table.New(&p, codec(1))
	a.Set(3, 1)
	a.Set(9, 2)
	a.Set(4, 2)
	a.Delete(4)
	if c := p.Commit(); len(c) != 2 || c[0].Value == nil {
		t.Fatalf("%v", c)
	}
	a.Delete(3)
	c := p.Commit()
	if len(c) != 1 || c[0].Value != nil || !bytes.Equal(c[0].Key, []byte{1, 0, 3}) {
		t.Fatalf("%v", c)
	}
	if p.Commit() != nil {
		t.Fatal("nothing changed")
	}
}
