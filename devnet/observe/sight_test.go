package observe

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// sight is what relays that write everything down see of their mailboxes: below
// their own rules, at their stores.
type sight struct {
	clock func() chain.Time // the network's

	mu       sync.Mutex
	stores   map[string]mailbox.Store // by relay
	of       map[chain.Hash]mail.ID   // deleter -> mailbox
	boxes    map[mail.ID]*seen
	requests map[[64]byte]bool // account's mailbox and request
	over     bool
	hushed   bool // people ask for everything at once
	held     bool // who asks gets nothing

	// Since look: mailboxes of pairs that got their first item, and of accounts that
	// got a request.
	begun, asked []mail.ID
	// known are mailboxes of pairs that were begun when one account alone was asked,
	// by that account's own mailbox: it reads what lies there.
	known map[mail.ID][]mail.ID
}

// hush says whether people ask for everything at once. Polls are not written down then.
func (s *sight) hush(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hushed = on
}

// hold lets members answer that they have nothing.
func (s *sight) hold(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = on
}

// look forgets what was begun before.
func (s *sight) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.asked = nil, nil
}

// tie joins what was begun since look.
func (s *sight) tie() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 1 {
		s.known[s.asked[0]] = append(s.known[s.asked[0]], s.begun...)
	}
}

// seen is what was done with one mailbox, at one of its members or several.
type seen struct {
	stored  map[chain.Hash]moment // by item, when the first member had it
	deleted map[chain.Hash]moment
	sealed  map[chain.Hash]int // how much of an item is not zeros at its end
	polls   []time.Time
}

// moment is a time by both clocks: the network's stands still while it is at work.
type moment struct {
	at   chain.Time
	real time.Time
}

func newSight() *sight {
	return &sight{clock: func() chain.Time { return 0 }, stores: map[string]mailbox.Store{}, of: map[chain.Hash]mail.ID{},
		boxes: map[mail.ID]*seen{}, requests: map[[64]byte]bool{}, known: map[mail.ID][]mail.ID{}}
}

// wrap is devnet's hook.
func (s *sight) wrap(relay string, inner mailbox.Store) mailbox.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores[relay] = inner
	return &watched{inner, s}
}

type watched struct {
	mailbox.Store
	s *sight
}

// Scan implements mailbox.Store: a poll reads the items of a mailbox from a cursor
// on. docs/spec/mail.md, section Store.
func (w *watched) Scan(prefix, from []byte, fn func(k, v []byte) bool) error {
	if len(prefix) == 33 && prefix[0] == 'i' && from != nil {
		w.s.mu.Lock()
		held := w.s.held
		if !w.s.over && !w.s.hushed {
			b := w.s.box(mail.ID(prefix[1:]))
			b.polls = append(b.polls, time.Now())
		}
		w.s.mu.Unlock()
		if held {
			return nil
		}
	}
	return w.Store.Scan(prefix, from, fn)
}

// Write implements mailbox.Store.
func (w *watched) Write(rows []mailbox.Row) error {
	if err := w.Store.Write(rows); err != nil {
		return err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.over {
		return nil
	}
	now := moment{w.s.clock(), time.Now()}
	for _, r := range rows {
		switch k, v := r.Key, r.Value; {
		case k[0] == 'i' && v != nil && binary.BigEndian.Uint64(v[8:]) > 0:
			w.s.box(mail.ID(k[1:33])).sealed[chain.Hash(v[50:82])] = sealed(v)
		case k[0] == 's' && v != nil && v[0] == byte(mail.RowRequest):
			if id := [64]byte(k[1:]); !w.s.requests[id] {
				w.s.requests[id] = true
				w.s.asked = append(w.s.asked, mail.ID(id[:32]))
			}
		case k[0] == 'd' && v != nil:
			deleter, id := chain.Hash(k[1:33]), chain.Hash(k[33:])
			at := mail.ID(v[:32])
			b := w.s.box(at)
			if len(b.stored) == 0 {
				w.s.begun = append(w.s.begun, at)
			}
			w.s.of[deleter] = at
			first(b.stored, id, now)
		case k[0] == 'd':
			if at, ok := w.s.of[chain.Hash(k[1:33])]; ok {
				first(w.s.box(at).deleted, chain.Hash(k[33:]), now)
			}
		}
	}
	return nil
}

// sealed is how long the content of an item's row is without zeros at its end.
func sealed(v []byte) int { return len(bytes.TrimRight(v[210:], "\x00")) }

func first(m map[chain.Hash]moment, id chain.Hash, now moment) {
	if _, had := m[id]; !had {
		m[id] = now
	}
}

func (s *sight) box(id mail.ID) *seen {
	b := s.boxes[id]
	if b == nil {
		b = &seen{stored: map[chain.Hash]moment{}, deleted: map[chain.Hash]moment{}, sealed: map[chain.Hash]int{}}
		s.boxes[id] = b
	}
	return b
}

// end stops writing down.
func (s *sight) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// kept is what the databases of all relays hold of one mailbox.
type kept struct {
	last, touched       float64 // means over members
	count, items, gone  float64
	cursor, expiry, end float64 // of its items: lowest cursor, mean expiry, mean promise
	goneUntil           float64
	members             float64
	sealed              []int // of its items
}

// bundles is what they hold of an account's bundles.
type bundles struct{ once, last, until float64 }

// read reads all rows of all relays.
func (s *sight) read() (boxes map[mail.ID]*kept, accounts map[mail.AccountID]*bundles, rows int, err error) {
	boxes, accounts = map[mail.ID]*kept{}, map[mail.AccountID]*bundles{}
	box := func(b []byte) *kept {
		id := mail.ID(b[:32])
		if boxes[id] == nil {
			boxes[id] = &kept{}
		}
		return boxes[id]
	}
	account := func(b []byte) *bundles {
		id := mail.AccountID(b[:32])
		if accounts[id] == nil {
			accounts[id] = &bundles{}
		}
		return accounts[id]
	}
	u64 := func(b []byte) float64 { return float64(binary.BigEndian.Uint64(b)) }
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, store := range s.stores {
		err := store.Scan(nil, nil, func(k, v []byte) bool {
			rows++
			switch k[0] {
			case 'n':
				b := box(k[1:])
				b.last, b.count, b.touched, b.members = b.last+u64(v), b.count+float64(binary.BigEndian.Uint32(v[8:])), b.touched+u64(v[12:]), b.members+1
			case 'i':
				b := box(k[1:])
				if b.items == 0 || u64(k[33:]) < b.cursor {
					b.cursor = u64(k[33:])
				}
				b.items, b.expiry, b.end = b.items+1, b.expiry+u64(v), b.end+u64(v[8:])
				if u64(v[8:]) > 0 {
					b.sealed = append(b.sealed, sealed(v))
				}
			case 's':
				if v[0] == byte(mail.RowDeleted) {
					b := box(k[1:])
					b.gone, b.goneUntil = b.gone+1, b.goneUntil+u64(v[1:])
				}
			case 'b':
				b := account(k[1:])
				b.last, b.until = b.last+1, b.until+u64(v)
			case 'o':
				b := account(k[1:])
				b.once, b.until = b.once+1, b.until+u64(v)
			}
			return true
		})
		if err != nil {
			return nil, nil, 0, err
		}
	}
	for _, b := range boxes {
		b.last, b.touched = b.last/max(1, b.members), b.touched/max(1, b.members)
		b.expiry, b.end, b.goneUntil = b.expiry/max(1, b.items), b.end/max(1, b.items), b.goneUntil/max(1, b.gone)
	}
	return boxes, accounts, rows, nil
}

// count is how many items a mailbox got.
func (b *seen) count() float64 { return float64(len(b.stored)) }

// usual is when a fourth of its items had come, as a time of day: most texts, and few
// of the confirmations behind them.
func (b *seen) usual() float64 {
	var at []chain.Time
	for _, m := range b.stored {
		at = append(at, m.at)
	}
	if len(at) == 0 {
		return 0
	}
	slices.Sort(at)
	return float64(at[len(at)/4] % day)
}

// lengths are those of its items.
func (b *seen) lengths() (out []int) {
	for _, n := range b.sealed {
		out = append(out, n)
	}
	return out
}

// typical is the mean of lengths but those that are of confirmations, which where
// nothing is padded are all alike and the shortest.
func typical(lengths []int) float64 {
	const confirmation = 163
	sum, n := 0, 0
	for _, l := range lengths {
		if l > confirmation {
			sum, n = sum+l, n+1
		}
	}
	return float64(sum) / float64(max(1, n))
}
