// Package mailbox keeps encrypted messages for accounts that are offline, as
// one member of a mailbox's swarm. It implements docs/spec/mail.md, sections
// Rules and Store; the formats are package onion/mail's.
//
// Most callers make a Mailbox over a Store and pass each command to Handle,
// which returns one reply for each of the command's reply blocks, and call
// Sweep now and then. Time is an argument.
//
// What it promises: a receipt is signed after the item is on stable storage;
// an item with a receipt stays until its expiry or until its deletion token is
// shown; storing an item again changes nothing and gives the same receipt; a
// poll is answered alike whether there is mail or not.
package mailbox

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/mail"
)

// Limits that are not a network's parameters.
const (
	RequestLimit = 64                        // contact requests that an account's mailbox holds
	PollSkew     = chain.Duration(5 * 60000) // how far a poll's time may be off
	CountLimit   = 1000                      // items behind a poll's last are counted up to here
)

// Config is what a Mailbox is made of.
type Config struct {
	Self    chain.NodeID
	Genesis chain.Hash
	Params  *genesis.Params
	Format  mail.Format // of the network's packets
	Store   Store
	// Sign signs a receipt as this node and returns the encoded statement.
	Sign func(statement.Receipt) []byte
	// MaxItems and MaxBundles bound what all strangers together can fill
	// (1,048,576 and 65,536). Eight deletion tokens or mailboxes that are
	// remembered take the place of one item.
	MaxItems, MaxBundles int
	// Kill is called at named points, for tests that end the process there:
	// before-commit, after-commit, after-receipt.
	Kill func(point string)
}

// Mailbox is one member's share of all mailboxes. Its methods may be called
// from several goroutines.
type Mailbox struct {
	cfg      Config
	items    atomic.Int64
	failures atomic.Uint64

	mu      sync.Mutex
	queue   []*op
	leading bool

	// Owned by whoever leads a group.
	room    int // for items
	bundles int
	marks   int // tokens and mailboxes remembered
}

// marksPerItem is how many tokens or empty mailboxes take as much as an item.
const marksPerItem = 8

// New counts what the store holds and serves it.
func New(cfg Config) (*Mailbox, error) {
	if cfg.MaxItems <= 0 {
		cfg.MaxItems = 1 << 20
	}
	if cfg.MaxBundles <= 0 {
		cfg.MaxBundles = 1 << 16
	}
	if cfg.Kill == nil {
		cfg.Kill = func(string) {}
	}
	m := &Mailbox{cfg: cfg}
	err := cfg.Store.Scan([]byte{rowBox}, nil, func(_, v []byte) bool {
		b, _ := decodeBox(v)
		m.items.Add(int64(b.count))
		m.marks++
		return true
	})
	if err == nil {
		err = cfg.Store.Scan([]byte{rowToken}, nil, func(_, _ []byte) bool { m.marks++; return true })
	}
	if err == nil {
		err = cfg.Store.Scan([]byte{rowBundle}, nil, func(_, _ []byte) bool { m.bundles++; return true })
	}
	if err != nil {
		return nil, fmt.Errorf("open mailbox: %w", err)
	}
	return m, nil
}

// Items is how many items and contact requests are kept.
func (m *Mailbox) Items() int { return int(m.items.Load()) }

// Failures is how often the store failed.
func (m *Mailbox) Failures() uint64 { return m.failures.Load() }

// Handle carries out a command at the network's time now, in epoch, and returns
// as many replies as the command has reply blocks.
func (m *Mailbox) Handle(now chain.Time, epoch chain.Epoch, c mail.Command) []mail.Reply {
	var r mail.Reply
	switch {
	case c.Store != nil:
		r = m.store(now, c.Store)
	case c.Request != nil:
		r = m.request(now, epoch, c.Request)
	case c.PutBundle != nil:
		r = m.putBundle(now, c.PutBundle)
	case c.GetBundle != nil:
		r = m.getBundle(now, c.GetBundle)
	case c.Delete != nil:
		r = m.remove(now, c.Delete)
	case c.Poll != nil:
		return m.poll(now, c.Poll)
	default:
		r = refuse(mail.CodeMalformed)
	}
	return []mail.Reply{r}
}

func refuse(c mail.Code) mail.Reply { return mail.Reply{Code: c} }

// store keeps an item for a pair. The signature is checked before anything else
// is looked up, by the caller's goroutine.
func (m *Mailbox) store(now chain.Time, s *mail.Store) mail.Reply {
	p := m.cfg.Params
	if s.Expiry <= now || s.Expiry > now+chain.Time(p.MailboxMost) {
		return refuse(mail.CodeStale)
	}
	if s.Verify(m.cfg.Genesis) != nil {
		return refuse(mail.CodeSignature)
	}
	id, at := s.Item(), s.Mailbox()
	until := min(s.Expiry, now+chain.Time(p.ReceiptHorizon))
	code := mail.CodeStored
	var token []byte
	err := m.commit(func(t *txn) {
		if v := t.get(tokenKey(s.Deleter)); len(v) >= len(mail.Delete{}.Token) {
			code, token = mail.CodeDeleted, v[:len(mail.Delete{}.Token)]
			return
		}
		index := indexKey(s.Deleter, id)
		if v := t.get(index); v != nil {
			place, cursor, ok := decodePlace(v)
			kept, ok2 := decodeItem(t.get(itemKey(place, cursor)))
			if !ok || !ok2 {
				t.fail(fmt.Errorf("%w: index without item", ErrStore))
			}
			until = kept.until
			return
		}
		b := m.box(t, at)
		switch {
		case b.count >= p.MailboxQuota:
			code = mail.CodeFull
			return
		case m.room <= 0:
			code = mail.CodeBusy
			return
		}
		key := m.add(t, at, b, now, item{expiry: s.Expiry, until: until, deleter: s.Deleter, id: id, content: s.Content})
		t.put(index, key[1:])
	})
	switch {
	case err != nil:
		return refuse(mail.CodeBusy)
	case code == mail.CodeDeleted:
		// Without the token anyone could say so instead of keeping the item.
		return mail.Reply{Code: code, Body: token}
	case code != mail.CodeStored:
		return refuse(code)
	}
	receipt := m.cfg.Sign(statement.Receipt{
		Chunks: mail.ChunkRoot(s.Content), Class: uint8(m.cfg.Format.Chunks), Until: until, Deleter: s.Deleter,
	})
	m.cfg.Kill("after-receipt")
	return mail.Reply{Code: mail.CodeStored, Body: mail.EncodeReceipts([][]byte{receipt})}
}

// box reads a mailbox's row, zero where there is none.
func (m *Mailbox) box(t *txn, id mail.ID) box {
	v := t.get(boxKey(id))
	if v == nil {
		return box{}
	}
	b, ok := decodeBox(v)
	if !ok {
		t.fail(fmt.Errorf("%w: mailbox row", ErrStore))
	}
	return b
}

// add writes an item under the next cursor. A cursor is never below the time,
// so that a mailbox whose row was swept goes on above the cursors that its
// reader has seen.
func (m *Mailbox) add(t *txn, id mail.ID, b box, now chain.Time, i item) []byte {
	if b.touched == 0 {
		t.marks++
		t.put(expiryKey(now+chain.Time(m.cfg.Params.MailboxMost), boxKey(id)), []byte{})
	}
	b.last = max(b.last+1, uint64(now))
	b.count++
	b.touched = max(now, 1)
	key := itemKey(id, b.last)
	i.content = bytes.Clone(i.content) // the caller's bytes may be a packet's
	t.put(key, i.encode())
	t.put(expiryKey(i.expiry, key), []byte{})
	t.put(boxKey(id), b.encode())
	t.items++
	return key
}

// drop removes an item and all that points to it.
func (m *Mailbox) drop(t *txn, id mail.ID, cursor uint64, i item) {
	key := itemKey(id, cursor)
	t.delete(key)
	t.delete(expiryKey(i.expiry, key))
	if i.until != 0 {
		t.delete(indexKey(i.deleter, i.id))
	}
	b := m.box(t, id)
	b.count = max(b.count, 1) - 1
	t.put(boxKey(id), b.encode())
	t.items--
}

// remove deletes what the token names and keeps the token: it proves the
// deletion for as long as somebody may ask for the item.
func (m *Mailbox) remove(now chain.Time, d *mail.Delete) mail.Reply {
	deleter := mail.Deleter(d.Token)
	code := mail.CodeNone
	err := m.commit(func(t *txn) {
		var last chain.Time
		for _, row := range t.scan(append([]byte{rowIndex}, deleter[:]...), maxGroup) {
			id, cursor, ok := decodePlace(row.Value)
			i, ok2 := decodeItem(t.get(itemKey(id, cursor)))
			if !ok || !ok2 {
				t.fail(fmt.Errorf("%w: index without item", ErrStore))
				return
			}
			m.drop(t, id, cursor, i)
			last = max(last, i.expiry)
			code = mail.CodeDeleted
		}
		key := tokenKey(deleter)
		switch {
		case code == mail.CodeDeleted:
			until := last + chain.Time(m.cfg.Params.ChallengeWindow)
			if t.get(key) == nil {
				t.marks++
			}
			t.put(key, append(bytes.Clone(d.Token[:]), appendTime(nil, until)...))
			t.put(expiryKey(until, key), []byte{})
		case t.get(key) != nil:
			code = mail.CodeDeleted
		}
	})
	if err != nil {
		return refuse(mail.CodeBusy)
	}
	return refuse(code)
}

// poll answers with up to as many items as there are reply blocks, and fills
// the rest with none.
func (m *Mailbox) poll(now chain.Time, p *mail.Poll) []mail.Reply {
	out := make([]mail.Reply, mail.PollReplies)
	fill := func(c mail.Code) []mail.Reply {
		for i := range out {
			out[i] = refuse(c)
		}
		return out
	}
	switch {
	case p.Member != m.cfg.Self:
		return fill(mail.CodeSignature)
	case p.At > now+chain.Time(PollSkew) || now-min(now, chain.Time(PollSkew)) > p.At:
		return fill(mail.CodeStale)
	case p.Verify(m.cfg.Genesis) != nil:
		return fill(mail.CodeSignature)
	}
	fill(mail.CodeNone)
	if p.After == ^uint64(0) {
		return out
	}
	box := p.Mailbox()
	var items []mail.Item
	behind := 0
	bad := false
	err := m.cfg.Store.Scan(itemKey(box, 0)[:33], itemKey(box, p.After+1), func(k, v []byte) bool {
		i, ok := decodeItem(v)
		switch {
		case !ok:
			bad = true
			return false
		case i.expiry <= now:
			return true
		case len(items) < len(out):
			items = append(items, mail.Item{Cursor: cursorOf(k), Content: bytes.Clone(i.content)})
		default:
			behind++
		}
		return behind < CountLimit
	})
	if err != nil || bad {
		m.failures.Add(1)
		return fill(mail.CodeBusy)
	}
	for n, i := range items {
		i.More = uint16(behind + len(items) - 1 - n)
		out[n] = mail.Reply{Code: mail.CodeItem, Body: i.Encode()}
	}
	return out
}
