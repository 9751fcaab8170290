package fault

import (
	"bytes"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion/link"
)

// Net is what all twins of a network share: the state of the links between
// relays, and the packets that a delay holds.
type Net struct {
	// Seed fixes which packets are lost.
	Seed uint64
	// Now is the network's time. Where it stands still but for Advance, Driven
	// is set: delays then pass by Release alone.
	Now    func() chain.Time
	Driven bool

	mu    sync.Mutex // guards what follows
	links map[pair]*weather
	side  map[chain.NodeID]int // of a partition; nil: there is none
	held  []held
}

// pair is two relays, the smaller id first.
type pair [2]chain.NodeID

func pairOf(a, b chain.NodeID) pair {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	return pair{a, b}
}

// weather is the state of one link, the same both ways.
type weather struct {
	loss  *share
	delay chain.Duration
}

// held is a packet that waits for the network's time.
type held struct {
	due  chain.Time
	conn link.Conn
	data []byte
}

// Lose lets the link between two relays lose a share of the packets.
func (n *Net) Lose(a, b chain.NodeID, of chain.BasisPoints) {
	w := n.weather(a, b)
	n.mu.Lock()
	defer n.mu.Unlock()
	w.loss = newShare(of, n.Seed^uint64(a[0])<<8^uint64(b[0]))
}

// Slow lets packets between two relays take so long, by the network's clock.
func (n *Net) Slow(a, b chain.NodeID, d chain.Duration) {
	w := n.weather(a, b)
	n.mu.Lock()
	defer n.mu.Unlock()
	w.delay = d
}

func (n *Net) weather(a, b chain.NodeID) *weather {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links == nil {
		n.links = make(map[pair]*weather)
	}
	w := n.links[pairOf(a, b)]
	if w == nil {
		w = new(weather)
		n.links[pairOf(a, b)] = w
	}
	return w
}

// Partition lets relays of different sides not hear each other; who is not
// named is on side 0.
func (n *Net) Partition(side map[chain.NodeID]int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.side = side
}

// Heal ends partitions, losses and delays of links.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.side, n.links = nil, nil
}

// apart reports whether a partition lies between two relays.
func (n *Net) apart(a, b chain.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.side != nil && n.side[a] != n.side[b]
}

// fate is what becomes of a packet between two relays.
func (n *Net) fate(a, b chain.NodeID) (lost bool, delay chain.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if w := n.links[pairOf(a, b)]; w != nil {
		return w.loss.next(), w.delay
	}
	return false, 0
}

// hold keeps a packet for d.
func (n *Net) hold(c link.Conn, f link.Frame, d chain.Duration) {
	data := bytes.Clone(f.Data)
	if !n.Driven {
		time.AfterFunc(time.Duration(d)*time.Millisecond, func() { _ = c.Send(link.Frame{Type: link.Packet, Data: data}) })
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = append(n.held, held{n.Now() + chain.Time(d), c, data})
}

// Release sends the held packets whose time has come on a driven clock.
func (n *Net) Release() {
	n.mu.Lock()
	now, all := n.Now(), n.held
	n.held = nil
	var due []held
	for _, h := range all {
		if h.due <= now {
			due = append(due, h)
		} else {
			n.held = append(n.held, h)
		}
	}
	n.mu.Unlock()
	for _, h := range due {
		_ = h.conn.Send(link.Frame{Type: link.Packet, Data: h.data}) // a closed link loses it
	}
}
