package path

import (
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/directory"
)

// The rules of strikes: so many failures in a row and a node is avoided, each
// time twice as long as the time before.
const (
	StrikesOut    = 3
	AvoidFirst    = 10 * genesis.Minute
	AvoidMost     = genesis.Day
	maxDoublings  = 8 // 10 min << 8 is over a day
	strikesForget = 2 * genesis.Day
)

// Strike is what is held against one node.
type Strike struct {
	Count uint8      `json:"count"` // failures since the last success or time out
	Times uint8      `json:"times"` // how often it was avoided
	Until chain.Time `json:"until"` // avoided until then; 0 never was
	Last  chain.Time `json:"last"`  // of the last failure
}

// Strikes are the failures that a sender has seen, by node. It is plain data
// that its owner saves; the zero value is ready. A strike is the sender's own
// experience and is never published.
type Strikes map[chain.NodeID]Strike

// Add counts a failure of node at now.
func (s *Strikes) Add(node chain.NodeID, now chain.Time) {
	if *s == nil {
		*s = Strikes{}
	}
	k := (*s)[node]
	k.Last = now
	if k.Count++; k.Count >= StrikesOut {
		k.Count = 0
		k.Until = now + chain.Time(min(AvoidFirst<<min(k.Times, maxDoublings), AvoidMost))
		k.Times = min(k.Times+1, maxDoublings)
	}
	(*s)[node] = k
}

// Clear forgets what is held against node: it has just worked.
func (s Strikes) Clear(node chain.NodeID) { delete(s, node) }

// Avoided reports whether node is avoided at now.
func (s Strikes) Avoided(node chain.NodeID, now chain.Time) bool { return now < s[node].Until }

// Avoid is Options.Avoid at now.
func (s Strikes) Avoid(now chain.Time) func(chain.NodeID) bool {
	return func(id chain.NodeID) bool { return s.Avoided(id, now) }
}

// Prune drops what is over for two days and what is held against nodes out of
// the list, so that strikes never outgrow the list.
func (s Strikes) Prune(list *directory.List, now chain.Time) {
	for id, k := range s {
		if _, listed := list.Index(id); !listed || max(k.Until, k.Last)+chain.Time(strikesForget) < now {
			delete(s, id)
		}
	}
}
