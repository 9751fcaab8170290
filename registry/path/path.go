// Package path chooses the hops of a packet over one epoch's directory. It
// implements docs/spec/paths.md.
//
// Most callers make a Picker from a verified list, once an epoch, and call
// Choose for a forward path and Reply for the way back; Guards keeps the
// entrances to the network and Strikes the nodes that failed lately. Explain
// says of any path how each of its hops came about.
//
// A hop is drawn with probability proportional to min(stake, 5 x requirement) x
// performance among the nodes that do not conflict with the path so far. No two
// hops, the addressed mailbox member included, are of one operator, of one
// mutual family or, where the network says so, in one /16 (IPv6: /32). The
// package is pure: list, options, time and randomness come in as arguments.
package path

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/directory"
)

const (
	// DefaultHops is guard, middle, exit.
	DefaultHops = 3
	// MaxHops is the most hops before the addressed member.
	MaxHops = 5
	// Saturation is the multiple of the staking requirement above which stake
	// gives no more weight.
	Saturation = 5
)

var (
	// ErrTooFew means that the list has no path of this length: fewer usable
	// relays than hops, or all that remain conflict with each other. The message
	// says how many there are and what to do.
	ErrTooFew = errors.New("path: too few usable relays")
	// ErrOptions means that the options name a node that is not usable, or an
	// impossible length.
	ErrOptions = errors.New("path: options cannot be met")
	// ErrRandom means that the source of randomness failed.
	ErrRandom = errors.New("path: no randomness")
)

// Rand draws uniform integers below n, which is above zero. A *beacon.Draw is
// one, and FromReader makes one.
type Rand interface{ N(n uint64) uint64 }

// Reader is a Rand over a stream of uniform bytes. After a failure of the
// stream it returns zeros and Err says so; Choose then fails.
type Reader struct {
	r   io.Reader
	err error
}

// FromReader makes a Rand of r, such as crypto/rand.Reader.
func FromReader(r io.Reader) *Reader { return &Reader{r: r} }

// N is uniform below n (rejection, no bias).
func (s *Reader) N(n uint64) uint64 {
	if n < 2 {
		return 0
	}
	least := -n % n // 2^64 mod n
	for s.err == nil {
		if v := s.Uint64(); v >= least && s.err == nil {
			return v % n
		}
	}
	return 0
}

// Uint64 is a uniform word.
func (s *Reader) Uint64() uint64 {
	var b [8]byte
	if s.err == nil {
		_, s.err = io.ReadFull(s.r, b[:])
	}
	return binary.BigEndian.Uint64(b[:])
}

// Err is the stream's failure, nil if none.
func (s *Reader) Err() error { return s.err }

// Weight is a node's weight before performance in thousandths of the staking
// requirement, capped at Saturation, times performance in permille: at most
// 5,000,000.
func Weight(e directory.Entry, p genesis.Params) uint64 {
	if p.StakingRequirement == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(e.Stake), 1000)
	stake := uint64(Saturation * 1000)
	if hi < uint64(p.StakingRequirement) {
		q, _ := bits.Div64(hi, lo, uint64(p.StakingRequirement))
		stake = min(stake, q)
	}
	return stake * uint64(e.Performance)
}

// Picker is a list made ready for choices. It is immutable and safe for
// concurrent use. Make it with New.
type Picker struct {
	list   *directory.List
	params genesis.Params
	weight []uint64 // zero for a node that is not usable
	upTo   []uint64 // sum of the weights up to and with i
	nets   [][]netip.Prefix
	usable int
	why    []Reason // of a zero weight
}

// New makes list ready. removed are the removals of the newest verified header,
// ascending.
func New(list *directory.List, removed []chain.NodeID, p genesis.Params) *Picker {
	n := len(list.Entries)
	k := &Picker{list: list, params: p, weight: make([]uint64, n), upTo: make([]uint64, n), why: make([]Reason, n)}
	if p.Subnets {
		k.nets = make([][]netip.Prefix, n)
	}
	gone := make(map[chain.NodeID]struct{}, len(removed))
	for _, id := range removed {
		gone[id] = struct{}{}
	}
	var sum uint64
	for i := range list.Entries {
		e := &list.Entries[i]
		w := Weight(*e, p)
		if _, out := gone[e.Node]; out {
			k.why[i], w = ReasonRemoved, 0
		} else if w == 0 {
			k.why[i] = ReasonWeight
		}
		if w > 0 {
			k.usable++
		}
		sum += w
		k.weight[i], k.upTo[i] = w, sum
		if p.Subnets {
			k.nets[i] = Subnets(e.Endpoints)
		}
	}
	return k
}

// Subnets are the networks of endpoints that the subnet rule compares: /16 for
// IPv4, /32 for IPv6. An endpoint that does not parse has none.
func Subnets(endpoints []string) []netip.Prefix {
	var nets []netip.Prefix
	for _, s := range endpoints {
		a, err := netip.ParseAddrPort(s)
		if err != nil {
			continue
		}
		addr, size := a.Addr().Unmap().WithZone(""), 32
		if addr.Is4() {
			size = 16
		}
		if p, err := addr.Prefix(size); err == nil && !slices.Contains(nets, p) {
			nets = append(nets, p)
		}
	}
	return nets
}

// List is the picker's list.
func (k *Picker) List() *directory.List { return k.list }

// Usable is how many nodes have weight and are not removed.
func (k *Picker) Usable() int { return k.usable }

// Weight is the weight of the entry at index; zero where it is not usable.
func (k *Picker) Weight(index int) uint64 { return k.weight[index] }

// Conflict says why the entries at a and b may not stand in one path, Free if
// they may.
func (k *Picker) Conflict(a, b int) Reason {
	x, y := &k.list.Entries[a], &k.list.Entries[b]
	switch {
	case a == b:
		return ReasonSame
	case x.Operator == y.Operator:
		return ReasonOperator
	case slices.Contains(x.Family, y.Node) && slices.Contains(y.Family, x.Node):
		return ReasonFamily
	}
	if k.params.Subnets {
		for _, p := range k.nets[a] {
			if slices.Contains(k.nets[b], p) {
				return ReasonSubnet
			}
		}
	}
	return Free
}

// tooFew words ErrTooFew for a path of need hops.
func (k *Picker) tooFew(need int) error {
	if k.usable < need {
		return fmt.Errorf("%w: fewer than %s usable relays (%d of %d listed); register and stake more, or wait for the next epoch",
			ErrTooFew, count(need), k.usable, len(k.list.Entries))
	}
	return fmt.Errorf("%w: %d usable, but no %s of them are of distinct operators, families and networks%s; add relays of other operators",
		ErrTooFew, k.usable, count(need), map[bool]string{true: " (/16)"}[k.params.Subnets])
}

func count(n int) string {
	if words := []string{"zero", "one", "two", "three", "four", "five", "six"}; n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}
