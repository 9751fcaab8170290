package replay

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"testing"

	"tunic/onion"
)

func yes() bool { return true }

// TestTableIsExact compares the table with a map over tags of which many come
// twice, also next to each other, and with the zero tag.
func TestTableIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	table, naive := newTable(0), map[onion.Tag]bool{}
	for i := range 300_000 {
		var tag onion.Tag
		binary.BigEndian.PutUint64(tag[8:], rng.Uint64N(200_000))
		if seen, _ := table.add(&tag, yes); seen != naive[tag] {
			t.Fatalf("tag %d: seen %v", i, seen)
		}
		naive[tag] = true
	}
	if !naive[onion.Tag{}] {
		t.Fatal("the zero tag never came")
	}
	for tag := range naive {
		if seen, _ := table.add(&tag, func() bool { t.Fatal("asked for room"); return false }); !seen {
			t.Fatal("forgotten")
		}
	}
	if n := table.bytes(); n > 31*len(naive)+shards*firstSize*16 {
		t.Errorf("%d bytes for %d tags", n, len(naive))
	}
}

// A tag that has no room leaves no trace.
func TestTableRefused(t *testing.T) {
	table := newTable(0)
	for _, tag := range []onion.Tag{{}, {1}} {
		for range 2 {
			if seen, refused := table.add(&tag, func() bool { return false }); seen || !refused {
				t.Fatal(seen, refused)
			}
		}
		if seen, refused := table.add(&tag, yes); seen || refused {
			t.Fatal(seen, refused)
		}
	}
}

// TestChosenTagsDoNotCluster adds tags that agree in all bits but a few, as a
// sender can make them that tries many packets: they fall as any others.
func TestChosenTagsDoNotCluster(t *testing.T) {
	const n = 1 << 16
	for name, choose := range map[string]func(i uint64) (tag onion.Tag){
		"low bits":  func(i uint64) (tag onion.Tag) { binary.BigEndian.PutUint64(tag[8:], i); return },
		"high bits": func(i uint64) (tag onion.Tag) { binary.LittleEndian.PutUint64(tag[:], i<<40); return },
		"halves":    func(i uint64) (tag onion.Tag) { tag[3], tag[12], tag[5] = byte(i), byte(i>>8), byte(i>>16); return },
	} {
		table := newTable(0)
		for i := range uint64(n) {
			tag := choose(i)
			table.add(&tag, yes)
		}
		least, most, longest := n, 0, 0
		for i := range table.parts {
			p := &table.parts[i]
			least, most = min(least, p.n), max(most, p.n)
			run := 0
			for _, place := range p.places {
				if run++; place == (onion.Tag{}) {
					run = 0
				}
				longest = max(longest, run)
			}
		}
		// A part has 256 on average; 8 roots off come once in 10^15 times. A
		// run over all of a part would mean that its tags share their place.
		if least < 256-8*16 || most > 256+8*16 || longest > 250 {
			t.Errorf("%s: parts of %d to %d tags, %d in a row", name, least, most, longest)
		}
	}
}

// Two tables place the same tags differently.
func TestPlacesAreSecret(t *testing.T) {
	a, b := newTable(0), newTable(0)
	tag := onion.Tag{7}
	same := 0
	for i := range byte(64) {
		tag[1] = i
		if maphash.Bytes(a.seed, tag[:])%shards == maphash.Bytes(b.seed, tag[:])%shards {
			same++
		}
	}
	if same > 32 { // 64/256 of one is expected
		t.Errorf("%d of 64 tags fall into the same part of both", same)
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte{1, 2, 3, 1, 0, 0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		table, naive := newTable(0), map[onion.Tag]bool{}
		for _, x := range in {
			tag := onion.Tag{0: x}
			if seen, _ := table.add(&tag, yes); seen != naive[tag] {
				t.Fatalf("%d: seen %v", x, seen)
			}
			naive[tag] = true
		}
	})
}

func BenchmarkTableAdd(b *testing.B) {
	for _, n := range []int{1 << 16, 1 << 20, 1 << 22} {
		b.Run(map[int]string{1 << 16: "65k", 1 << 20: "1M", 1 << 22: "4M"}[n], func(b *testing.B) {
			rng := rand.New(rand.NewPCG(3, 4))
			var tag onion.Tag
			table := newTable(0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%n == 0 {
					table = newTable(0)
				}
				binary.LittleEndian.PutUint64(tag[:], rng.Uint64())
				binary.LittleEndian.PutUint64(tag[8:], rng.Uint64())
				table.add(&tag, yes)
			}
		})
	}
}
