// Package mailbox keeps encrypted messages for accounts that are offline, as
// one member of a mailbox's swarm. It implements docs/spec/mail.md, sections
// Rules and Store; the formats are package onion/mail's.
//
// Most callers make a Mailbox over a Store and pass each command to Do, which
// does not wait for the disk, or to Handle, which does; and call Sweep now and
// then. Sums, List and Rows are what two members compare to find what one of
// them lacks. Time is an argument.
//
// What it promises: a receipt is signed after the item is on stable storage;
// an item with a receipt stays until its expiry or until its deletion token is
// shown; storing an item again changes nothing and gives the same receipt; a
// poll is answered alike whether there is mail or not.
package mailbox

import (
	"bytes"
	"fmt"
	"slices"
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
	Start   chain.Time // of epoch 0
	Params  *genesis.Params
	Format  mail.Format // of the network's packets
	Store   Store
	// Sign signs a receipt as this node and returns the encoded statement.
	Sign func(statement.Receipt) []byte
	// MaxItems and MaxBundles bound what all strangers together can fill
	// (1,048,576 and 65,536). Eight deletion tokens or mailboxes that are
	// remembered take the place of one item.
	MaxItems, MaxBundles int
	// Place is where a tombstone of an item in that mailbox lies: a place of the
	// same swarm that all its mailboxes share, so that what was deleted does not
	// show how much a mailbox got (the mailbox itself).
	Place func(mail.ID) mail.ID
	// Flush is called after the commands of one group are done, so that what
	// they answer can travel together (not called).
	Flush func()
	// Kill is called at named points, for tests that end the process there:
	// before-commit, after-commit, after-receipt.
	Kill func(point string)
}

// Mailbox is one member's share of all mailboxes. Its methods may be called
// from several goroutines.
type Mailbox struct {
	cfg      Config
	stager   Stager // nil where the store is none
	failures atomic.Uint64
	answers  chan struct{} // a token for each group that is written or being answered

	mu      sync.Mutex
	kept    counts // what the store has
	queue   []op
	long    int // commands of queue that bring a long content
	leading bool
	flight  *flight    // the group whose rows are being written
	waiting int        // commands on their way through a group
	changed *sync.Cond // a long content waits, there is no flight, or no command
}

// marksPerItem is how many tombstones or empty mailboxes take as much as an item.
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
	if cfg.Place == nil {
		cfg.Place = func(id mail.ID) mail.ID { return id }
	}
	if cfg.Flush == nil {
		cfg.Flush = func() {}
	}
	m := &Mailbox{cfg: cfg, answers: make(chan struct{}, 1+finishing)}
	m.stager, _ = cfg.Store.(Stager)
	m.changed = sync.NewCond(&m.mu)
	if err := checkVersion(cfg.Store); err != nil {
		return nil, err
	}
	err := cfg.Store.Scan([]byte{rowBox}, nil, func(_, v []byte) bool {
		b, _ := decodeBox(v)
		m.kept.items += int(b.count)
		m.kept.marks++
		return true
	})
	if err == nil {
		err = cfg.Store.Scan([]byte{rowState}, nil, func(_, v []byte) bool {
			if s, ok := decodeState(v); ok && s.state == mail.RowDeleted {
				m.kept.marks++
				if s.heard {
					m.kept.heard++
				}
			}
			return true
		})
	}
	for _, kind := range []byte{rowBundle, rowOnce} {
		if err == nil {
			err = cfg.Store.Scan([]byte{kind}, nil, func(_, _ []byte) bool { m.kept.bundles++; return true })
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open mailbox: %w", err)
	}
	return m, nil
}

// Items is how many items and contact requests are kept.
func (m *Mailbox) Items() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.items
}

// Failures is how often the store failed.
func (m *Mailbox) Failures() uint64 { return m.failures.Load() }

// Via is how a command came.
type Via uint8

// The ways. What another member passes on is asked the same questions as what a
// client sends, but for what time and chance may have changed between the two.
const (
	ByClient Via = iota // through the onion
	ByCopy              // from the member that has just got it
	BySync              // from a member that has had it for some time; there is no receipt
)

// Outcome is what became of a command.
type Outcome struct {
	Reply   mail.Reply
	Receipt []byte // encoded; where the reply's code is CodeStored, but not BySync
	Gone    []Gone // the items that a deletion removed
	More    bool   // something is kept that was not before
}

// Gone is an item that a deletion removed.
type Gone struct {
	Mailbox   mail.ID
	Tombstone mail.Tombstone // what other members are told of it: its mailbox is a place
}

// Drain waits until no command is under way.
func (m *Mailbox) Drain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.waiting > 0 {
		m.changed.Wait()
	}
}

// Handle carries out a command at the network's time now, in epoch, waits for
// the disk, and returns as many replies as the command has reply blocks.
func (m *Mailbox) Handle(now chain.Time, epoch chain.Epoch, c mail.Command) []mail.Reply {
	if c.Poll != nil {
		return m.poll(now, c.Poll)
	}
	wait := make(chan mail.Reply, 1)
	m.Do(now, epoch, c, ByClient, func(o Outcome) { wait <- o.Reply })
	return []mail.Reply{<-wait}
}

// Do carries out a command other than a poll and calls done, which must not
// wait, exactly once. It returns false where done was called already, because
// the command was refused at sight or changes nothing; else done is called when
// the disk has the command, on another goroutine, and what c aliases must stay
// as it is until then.
func (m *Mailbox) Do(now chain.Time, epoch chain.Epoch, c mail.Command, via Via, done func(Outcome)) bool {
	switch {
	case c.Store != nil:
		return m.store(now, c.Store, via, done)
	case c.Request != nil:
		return m.request(now, epoch, c.Request, via, done)
	case c.PutBundle != nil:
		return m.putBundle(now, c.PutBundle, via, done)
	case c.GetBundle != nil && c.GetBundle.Once:
		return m.handOut(now, c.GetBundle.Account, done)
	case c.GetBundle != nil:
		return say(done, m.getBundle(now, c.GetBundle.Account))
	case c.Delete != nil:
		return m.remove(c.Delete, via, done)
	}
	return say(done, refuse(mail.CodeMalformed))
}

func refuse(c mail.Code) mail.Reply { return mail.Reply{Code: c} }

// say is done at sight.
func say(done func(Outcome), r mail.Reply) bool {
	done(Outcome{Reply: r})
	return false
}

// slack is what clocks of members may be apart.
func (v Via) slack() chain.Time {
	if v == ByClient {
		return 0
	}
	return chain.Time(PollSkew)
}

// store keeps an item for a pair. The signature is checked before anything is
// looked up, by the caller's goroutine; the receipt is signed after the write.
func (m *Mailbox) store(now chain.Time, s *mail.Store, via Via, done func(Outcome)) bool {
	p := m.cfg.Params
	if s.Expiry <= now || s.Expiry > now+chain.Time(p.MailboxMost)+via.slack() {
		return say(done, refuse(mail.CodeStale))
	}
	root := s.Root()
	if s.VerifyRoot(m.cfg.Genesis, root) != nil {
		return say(done, refuse(mail.CodeSignature))
	}
	quota := p.MailboxQuota
	if via == BySync {
		// Each member may have taken its quota; of what a majority of them has
		// confirmed together there can be twice that.
		quota *= 2
	}
	id, at := s.ItemOf(root), s.Mailbox()
	var until chain.Time
	var code mail.Code
	more := false
	var token []byte
	m.enqueue(len(s.Content) > inlineContent, func(t *txn) {
		until, code, more = min(s.Expiry, m.promise(now)), mail.CodeStored, false
		if v := t.get(tokenKey(s.Deleter)); len(v) >= len(mail.Delete{}.Token) {
			code, token = mail.CodeDeleted, v[:len(mail.Delete{}.Token)]
			return
		}
		old, known := t.state(at, id)
		if known && old.state != mail.RowDeleted {
			kept, _ := t.itemAt(at, old)
			until = kept.until
			return
		}
		b := m.box(t, at)
		switch {
		case b.count >= quota:
			code = mail.CodeFull
			return
		case t.room <= 0:
			code = mail.CodeBusy
			return
		}
		more = true
		if known {
			t.forgetTombstone(old) // of something else: it was not this item's token
		}
		m.add(t, at, b, now, item{
			expiry: s.Expiry, until: until, deleter: s.Deleter, id: id,
			origin: origin{readHash: s.ReadHash, write: s.Write, sig: s.Sig}, content: s.Content,
		})
	}, func(err error) {
		switch {
		case err != nil:
			done(Outcome{Reply: refuse(mail.CodeBusy)})
			return
		case code == mail.CodeDeleted:
			// Without the token anyone could say so instead of keeping the item.
			done(Outcome{Reply: mail.Reply{Code: code, Body: token}})
			return
		case code != mail.CodeStored || via == BySync:
			done(Outcome{Reply: refuse(code), More: more})
			return
		}
		receipt := m.cfg.Sign(statement.Receipt{
			Chunks: root, Class: uint8(m.cfg.Format.Chunks), Until: until, Deleter: s.Deleter,
		})
		m.cfg.Kill("after-receipt")
		done(Outcome{Reply: mail.Reply{Code: mail.CodeStored, Body: mail.EncodeReceipts([][]byte{receipt})}, Receipt: receipt, More: more})
	})
	return true
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

// add writes an item or request under the next cursor.
func (m *Mailbox) add(t *txn, id mail.ID, b box, now chain.Time, i item) {
	if b.touched == 0 {
		t.marks++
		t.put(expiryKey(m.dayEnd(now)+chain.Time(m.cfg.Params.MailboxMost), boxKey(id)), []byte{})
	}
	if b.touched == 0 || i.until == 0 {
		b.last, b.touched = m.cursor(t, b.last, now), m.dayEnd(now)
	} else { // a pair's: what comes after its day, as an answer does, does not show
		b.last++
	}
	b.count++
	key := itemKey(id, b.last)
	t.put(key, i.encode())
	if i.long() {
		t.put(contentKey(key), i.content)
	}
	t.put(expiryKey(i.expiry, key), []byte{})
	t.put(boxKey(id), b.encode())
	t.put(stateKey(id, i.id), state{state: i.state(), expiry: i.expiry, cursor: b.last}.encode())
	if i.until != 0 {
		t.put(indexKey(i.deleter, i.id), key[1:])
	}
	t.items++
}

// drop removes an item, as it was read, and all that points to it.
func (m *Mailbox) drop(t *txn, id mail.ID, cursor uint64, i item) {
	key := itemKey(id, cursor)
	t.delete(key)
	if len(i.content) == 0 {
		t.delete(contentKey(key))
	}
	t.delete(expiryKey(i.expiry, key))
	t.delete(stateKey(id, i.id))
	if i.until != 0 {
		t.delete(indexKey(i.deleter, i.id))
	}
	b := m.box(t, id)
	b.count = max(b.count, 1) - 1
	t.put(boxKey(id), b.encode())
	t.items--
}

// whole is the content of an item, as it stands in the item's row where it does;
// false where the item has gone since that was read.
func (m *Mailbox) whole(key, inRow []byte) (content []byte, ok bool, err error) {
	if len(inRow) > 0 {
		return inRow, true, nil
	}
	content, err = m.cfg.Store.Get(contentKey(key))
	if err != nil || len(content) > 0 {
		return content, err == nil, err
	}
	row, err := m.cfg.Store.Get(key)
	if err == nil && row != nil {
		err = fmt.Errorf("%w: item without content", ErrStore)
	}
	return nil, false, err
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
	var keys [][]byte
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
			keys = append(keys, bytes.Clone(k))
		default:
			behind++
		}
		return behind < CountLimit
	})
	for n := len(items) - 1; n >= 0 && err == nil; n-- {
		var ok bool
		if items[n].Content, ok, err = m.whole(keys[n], items[n].Content); !ok && err == nil {
			items = slices.Delete(items, n, n+1) // deleted since
		}
	}
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
