package relay

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

// storeWait is how long a store waits for the receipts of other members before
// it is answered with those that are there; the client asks on.
const storeWait = 3 * time.Second

// waitingStore is a client's store that this member has passed on: it is
// answered when enough members have signed that they hold the item.
type waitingStore struct {
	self    chain.NodeID
	epoch   chain.Epoch // of the list that the command's packet was made from
	block   []byte      // reply block
	deleter chain.Hash
	swarm   directory.Swarm
	pending []chain.NodeID // were asked and have not answered
	acks    []ackOf        // stored

	own     *mail.Reply       // what became of it here; nil while the disk works
	receipt []byte            // this member's own, encoded
	body    statement.Receipt // what all receipts of the item have in common
	token   *[32]byte         // a member has shown that the item was deleted
}

// ackOf is a member's ack.
type ackOf struct {
	node chain.NodeID
	ack  mail.Ack
}

// answer is what there is to say; false while it is worth to wait.
func (w *waitingStore) answer(late bool) (mail.Reply, bool) {
	switch {
	case w.own == nil:
		return mail.Reply{}, false
	case w.token != nil:
		return mail.Reply{Code: mail.CodeDeleted, Body: w.token[:]}, true
	case w.own.Code != mail.CodeStored && w.own.Code != mail.CodeBusy && w.own.Code != mail.CodeFull:
		return *w.own, true
	}
	stored := w.own.Code == mail.CodeStored
	done := w.swarm.Confirmed(func(id chain.NodeID) bool { return stored && id == w.self || w.has(id) })
	switch {
	case !done && !late && len(w.pending) > 0:
		return mail.Reply{}, false
	case !done && !stored:
		return *w.own, true
	}
	var receipts [][]byte
	if stored {
		receipts = append(receipts, w.receipt)
	}
	for _, a := range w.acks {
		if len(receipts) == mail.MaxReceipts {
			break
		}
		receipts = append(receipts, a.ack.Receipt(a.node, w.body).Encode())
	}
	return mail.Reply{Code: mail.CodeStored, Body: mail.EncodeReceipts(receipts)}, true
}

// has reports whether another member has signed.
func (w *waitingStore) has(id chain.NodeID) bool {
	return slices.ContainsFunc(w.acks, func(a ackOf) bool { return a.node == id })
}

// stores are the stores that wait, all with one timer.
type stores struct {
	limit int
	send  func(*waitingStore, mail.Reply) // must not wait
	wake  chan struct{}

	mu      sync.Mutex
	serial  uint64
	waiting map[uint64]*waitingStore
	order   []deadline // of those that wait, and some that wait no more
	sending int        // answers on their way out
	liars   map[chain.NodeID]bool
}

type deadline struct {
	at     time.Time
	serial uint64
}

func newStores(limit int, send func(*waitingStore, mail.Reply)) *stores {
	return &stores{
		limit: limit, send: send, wake: make(chan struct{}, 1), serial: rand.Uint64(),
		waiting: make(map[uint64]*waitingStore), liars: make(map[chain.NodeID]bool),
	}
}

// put makes w wait; false where too many do.
func (s *stores) put(w *waitingStore) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) >= s.limit {
		return 0, false
	}
	serial := s.next()
	s.waiting[serial] = w
	if len(s.order) >= 4*s.limit {
		s.order = slices.DeleteFunc(s.order, func(d deadline) bool { return s.waiting[d.serial] == nil })
	}
	s.order = append(s.order, deadline{time.Now().Add(storeWait), serial})
	if len(s.order) == 1 {
		s.signal()
	}
	return serial, true
}

// next is a serial that no other copy of this run has. Called with mu held.
func (s *stores) next() uint64 {
	if s.serial++; s.serial == 0 {
		s.serial++
	}
	return s.serial
}

// newSerial is next for what does not wait here.
func (s *stores) newSerial() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next()
}

func (s *stores) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// change applies f to a store that waits, and answers it where that is enough.
// It returns false where none waits under serial.
func (s *stores) change(serial uint64, late bool, f func(*waitingStore)) bool {
	s.mu.Lock()
	w := s.waiting[serial]
	if w == nil {
		s.mu.Unlock()
		return false
	}
	f(w)
	reply, ok := w.answer(late)
	if ok {
		delete(s.waiting, serial)
		s.sending++
	}
	s.mu.Unlock()
	if ok {
		s.send(w, reply)
		s.mu.Lock()
		s.sending--
		s.mu.Unlock()
	}
	return true
}

// lost notes that a member does not answer. What it may still say counts.
func (s *stores) lost(id chain.NodeID) {
	s.mu.Lock()
	var of []uint64
	for serial, w := range s.waiting {
		if slices.Contains(w.pending, id) {
			of = append(of, serial)
		}
	}
	s.mu.Unlock()
	for _, serial := range of {
		s.change(serial, false, func(w *waitingStore) { w.answered(id) })
	}
}

func (w *waitingStore) answered(id chain.NodeID) {
	w.pending = slices.DeleteFunc(w.pending, func(x chain.NodeID) bool { return x == id })
}

// count is how many stores wait or are being answered.
func (s *stores) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) + s.sending
}

// forgive forgets who signed falsely.
func (s *stores) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.liars)
}

// run answers stores whose time is up, until ctx ends; then all of them.
func (s *stores) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		due, wait := s.due(time.Now())
		for _, serial := range due {
			s.change(serial, true, func(*waitingStore) {})
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
		}
	}
}

// due takes those out whose time is up, and says how long the next has. One
// whose own write takes longer is asked for again.
func (s *stores) due(now time.Time) (due []uint64, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 {
		d := s.order[0]
		w := s.waiting[d.serial]
		if w != nil && d.at.After(now) {
			return due, d.at.Sub(now)
		}
		s.order = s.order[1:]
		switch {
		case w == nil:
		case w.own == nil:
			s.order = append(s.order, deadline{now.Add(storeWait), d.serial})
		default:
			due = append(due, d.serial)
		}
	}
	return due, time.Hour
}

// abandon answers all stores that can be answered: the relay stops.
func (s *stores) abandon() {
	s.mu.Lock()
	var all []uint64
	for serial := range s.waiting {
		all = append(all, serial)
	}
	s.mu.Unlock()
	for _, serial := range all {
		s.change(serial, true, func(*waitingStore) {})
	}
}
