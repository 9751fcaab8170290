package directory

import (
	"strings"

	"tunic/chain"
)

// keeper keeps what entries hold beside fixed-width fields. Of one made by
// newKeeper many share an allocation, which lives as long as any of them. The
// zero value gives each its own.
type keeper struct {
	entries int             // of which it is to hold what
	texts   strings.Builder // never written past its capacity
	strings []string
	nodes   []chain.NodeID
	last    string
}

// newKeeper holds what so many entries of one input have.
func newKeeper(entries int) *keeper { return &keeper{entries: entries} }

// Sizes of what a keeper allocates at once: so much an entry, at most so much.
const (
	textEach, textMost = 24, 8 << 10
	endpointMost       = 256
	familyMost         = 64
)

// text is b as a string.
func (k *keeper) text(b []byte) string {
	if k.texts.Cap()-k.texts.Len() < len(b) {
		k.texts = strings.Builder{}
		k.texts.Grow(max(min(textEach*k.entries, textMost), len(b)))
	}
	from := k.texts.Len()
	k.texts.Write(b)
	return k.texts.String()[from:]
}

// again is text for what is often the same as the last time.
func (k *keeper) again(b []byte) string {
	if string(b) != k.last {
		k.last = k.text(b)
	}
	return k.last
}

// endpoints are n empty strings.
func (k *keeper) endpoints(n int) []string { return take(&k.strings, n, min(k.entries, endpointMost)) }

// family are n empty node ids.
func (k *keeper) family(n int) []chain.NodeID { return take(&k.nodes, n, min(k.entries, familyMost)) }

// take cuts n zero values off *from, which is replaced by most where it has not
// as many.
func take[T any](from *[]T, n, most int) []T {
	if n == 0 {
		return nil
	}
	if len(*from) < n {
		*from = make([]T, max(most, n))
	}
	part := (*from)[:n:n]
	*from = (*from)[n:]
	return part
}
