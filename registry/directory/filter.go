package directory

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tunic/chain"
)

// ErrOrder means that entries cannot be ordered by what was asked for.
var ErrOrder = errors.New("directory: unknown order")

// Filter chooses entries for people and scripts; its zero value takes all. What
// it leaves out nobody can prove: verify the whole list first, then filter.
type Filter struct {
	Operator *chain.Address
	Swarm    *SwarmID     // NoSwarm: those in none
	Search   string       // the beginning of the node id or operator, or a part of an endpoint; in any case
	Version  string       // the version, or with a trailing star its beginning
	MinStake chain.Amount // in units
}

// Match reports whether f takes e.
func (f Filter) Match(e *Entry) bool {
	return (f.Operator == nil || *f.Operator == e.Operator) &&
		(f.Swarm == nil || *f.Swarm == e.Swarm) &&
		e.Stake >= f.MinStake && f.matchVersion(e.Version) && f.matchSearch(e)
}

func (f Filter) matchVersion(v string) bool {
	if begin, star := strings.CutSuffix(f.Version, "*"); star {
		return strings.HasPrefix(v, begin)
	}
	return f.Version == "" || f.Version == v
}

func (f Filter) matchSearch(e *Entry) bool {
	if f.Search == "" {
		return true
	}
	text := strings.ToLower(f.Search)
	digits := strings.TrimPrefix(text, "0x")
	return beginsWith(e.Node[:], digits) || beginsWith(e.Operator[:], digits) ||
		slices.ContainsFunc(e.Endpoints, func(at string) bool { return strings.Contains(strings.ToLower(at), text) })
}

// beginsWith reports whether b in hex begins with digits, without writing it.
func beginsWith(b []byte, digits string) bool {
	if len(digits) > 2*len(b) {
		return false
	}
	for i := range len(digits) {
		d := b[i/2] >> 4
		if i%2 == 1 {
			d = b[i/2] & 15
		}
		if digits[i] != "0123456789abcdef"[d] {
			return false
		}
	}
	return true
}

// Orders are the names by which Order sorts.
var Orders = []string{"node", "stake", "performance"}

// Order sorts entries by one of Orders, descending with a minus in front, and
// among equals ascending by node id; "" is "node". ErrOrder for any other name.
func Order(entries []Entry, by string) error {
	name, down := strings.CutPrefix(by, "-")
	key := func(*Entry) uint64 { return 0 }
	switch name {
	case "", "node":
	case "stake":
		key = func(e *Entry) uint64 { return uint64(e.Stake) }
	case "performance":
		key = func(e *Entry) uint64 { return uint64(e.Performance) }
	default:
		return fmt.Errorf("%w: %q; there are %s, and with a minus in front the other way round", ErrOrder, by, strings.Join(Orders, ", "))
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		ka, kb, ids := key(&a), key(&b), bytes.Compare(a.Node[:], b.Node[:])
		switch {
		case ka == kb && down && name == "node":
			return -ids
		case ka == kb:
			return ids
		case (ka < kb) != down:
			return -1
		}
		return 1
	})
	return nil
}
