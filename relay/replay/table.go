package replay

import (
	"hash/maphash"
	"math/bits"
	"sync"

	"tunic/onion"
)

const (
	// shards is how many parts a table has, each with a lock of its own. It
	// bounds the pause when a part grows to the time for one in so many tags.
	shards = 256
	// fullest is how many of 16 places of a part may be taken. More would make
	// the search for a free place long, fewer cost memory.
	fullest = 13
	// firstSize is the size of a part with anything in it, at least: each has its
	// own, so that they do not grow all at the same time.
	firstSize = 16
)

// table is an exact set of tags. Places are chosen by a hash with a key of its
// own, drawn at random: a sender knows the tags of its packets and could choose
// packets whose tags agree in any bits, but not where they fall.
type table struct {
	seed  maphash.Seed
	parts [shards]part
}

// part is one open-addressed array. Nothing is ever taken out of it, so that a
// free place ends a search. It holds no pointers: the garbage collector does not
// look inside.
type part struct {
	mu     sync.Mutex
	n      int         // tags
	zero   bool        // the zero tag is among them
	places []onion.Tag // the zero tag marks a free one
}

// newTable returns an empty table with room for so many tags.
func newTable(room int) *table {
	t := &table{seed: maphash.MakeSeed()}
	if room > firstSize*shards {
		// A part's share varies by a few roots of its mean.
		mean := room / shards
		size := (mean + 4*isqrt(mean)) * 16 / fullest
		for i := range t.parts {
			t.parts[i].places = make([]onion.Tag, size)
		}
	}
	return t
}

func isqrt(n int) int { return 1 << (bits.Len(uint(n)) / 2) }

// add puts a tag into the table; seen where it is there already, refused where it
// is not and room says no, which is asked once at most.
func (t *table) add(tag *onion.Tag, room func() bool) (seen, refused bool) {
	h := maphash.Bytes(t.seed, tag[:])
	p := &t.parts[h%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	if *tag == (onion.Tag{}) {
		switch {
		case p.zero:
			return true, false
		case !room():
			return false, true
		}
		p.zero = true
		p.n++
		return false, false
	}
	at, seen := p.find(h, tag)
	switch {
	case seen:
		return true, false
	case !room():
		return false, true
	}
	if p.n >= len(p.places)*fullest/16 {
		t.grow(p, int(h%shards))
		at, _ = p.find(h, tag)
	}
	p.places[at] = *tag
	p.n++
	return false, false
}

// find is the place of a tag, or that where it belongs; the latter means nothing
// in a part without places.
func (p *part) find(h uint64, tag *onion.Tag) (at int, seen bool) {
	size := len(p.places)
	if size == 0 {
		return 0, false
	}
	for at = place(h, size); ; {
		switch p.places[at] {
		case *tag:
			return at, true
		case onion.Tag{}:
			return at, false
		}
		if at++; at == size {
			at = 0
		}
	}
}

// place is where the search for a tag with this hash begins: it goes by the high
// bits, where the low ones have chosen the part.
func place(h uint64, size int) int {
	hi, _ := bits.Mul64(h, uint64(size))
	return int(hi)
}

// grow makes a part half as large again: it is between 54 and 81 percent full,
// at 20 to 30 bytes a tag; all together have 24 to 25.
func (t *table) grow(p *part, number int) {
	old := p.places
	size := len(old) + len(old)/2
	if size == 0 {
		size = firstSize + number%(firstSize/2)
	}
	p.places = make([]onion.Tag, size)
	for i := range old {
		if old[i] == (onion.Tag{}) {
			continue
		}
		at, _ := p.find(maphash.Bytes(t.seed, old[i][:]), &old[i])
		p.places[at] = old[i]
	}
}

// bytes is what the places take.
func (t *table) bytes() (n int) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		n += len(p.places) * len(onion.Tag{})
		p.mu.Unlock()
	}
	return n
}
