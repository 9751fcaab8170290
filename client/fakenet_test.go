package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay"
)

// fakeNet is a network in memory: a ledger that says what the test wants, and
// relays that forward packets and keep mailboxes.
type fakeNet struct {
	t       testing.TB
	core    genesis.Core
	genesis chain.Hash
	sealer  ed25519.PrivateKey
	mem     *link.Memory
	format  mail.Format
	relays  []*fakeRelay
	clock   interface{ Now() chain.Time } // of receipts; nil: the machine's

	mu      sync.Mutex
	lists   map[chain.Epoch]*directory.List
	newest  chain.Epoch
	head    chain.SealedHeader
	removed []chain.NodeID
	hello   *chain.SealedHeader // what relays show instead of the head
}

type fakeRelay struct {
	net    *fakeNet
	key    ed25519.PrivateKey
	id     chain.NodeID
	onion  *onion.Key
	keys   *onion.Keys
	entry  directory.Entry
	pool   *link.Pool
	served chan struct{}

	mu       sync.Mutex
	clients  map[onion.Token]*link.Link
	boxes    map[mail.ID][]*fakeItem
	bundles  map[mail.AccountID]mail.Bundle
	once     map[mail.AccountID][]mail.Bundle
	renewals int                     // bundles taken
	gone     map[chain.Hash][32]byte // tokens of what was deleted, by deleter
	asked    int                     // for the head
	requests int                     // taken
	brought  [][]byte                // answers that a meddling guard has kept
	history  map[mail.ID][][]byte    // all that was ever stored
	cursor   uint64
	lay      map[chain.Hash]mail.ID // in which mailbox an item lies, by deleter
	stores   int                    // stores coordinated
	held     int                    // stores held, also for another's
	polls    map[mail.ID]int        // how often it was asked
	dropped  int                    // packets swallowed
	deletes  int
	faults   fakeFaults
}

type fakeFaults struct {
	dropNext   int  // packets to swallow
	dead       bool // swallow all
	garble     bool // change all that goes to clients
	badReceipt bool
	full       bool
	forget     bool                // sign, but do not keep
	lie        mail.Code           // the answer to every store
	body       []byte              // its body
	head       *chain.SealedHeader // the answer to who asks for the head
	endless    bool                // polls always bring junk, with more behind it
	meddle     bool                // as a guard: answers twice, old ones, and under other ids
	replay     bool                // polls bring old items, read and deleted ones too, in any order
	alone      bool                // as a coordinator: reaches no other member
	unreached  bool                // no coordinator reaches it
	mute       bool                // swallows deletions
	deaf       bool                // swallows stores
	shy        bool                // takes contact requests, and does not say so
	lossy      bool                // of a poll's answers only the first gets through
	silent     bool                // swallows what is for its own mailboxes, and forwards all else
	twice      bool                // as a coordinator: shows its own receipt several times and copies nothing
	strangers  bool                // as a coordinator: shows receipts of others than members, and copies nothing
	forged     bool                // as a coordinator: makes up the others' receipts
}

type fakeItem struct {
	cursor  uint64
	content []byte
	deleter chain.Hash
}

var small = mail.FormatOf(onion.Small)

func newFakeNet(t testing.TB, relays int, change ...func(*fakeNet)) *fakeNet {
	t.Helper()
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	_, sealer, _ := ed25519.GenerateKey(rand.Reader)
	n := &fakeNet{t: t, sealer: sealer, lists: map[chain.Epoch]*directory.List{}, newest: 5}
	n.core = genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockReal, Engine: genesis.EngineSealer,
		Time:    chain.Time(time.Now().UnixMilli()) - 5*chain.Time(p.EpochLength),
		Sealers: []chain.NodeID{chain.NodeID(sealer.Public().(ed25519.PublicKey))}, Params: p}
	n.core.Params.EpochLength = genesis.Hour                                           // the test says when an epoch ends
	n.core.Params.UnlockDelay, n.core.Params.DeregisterLock = genesis.Day, genesis.Day // an hour and what a challenge takes fit in
	n.genesis = chain.SHA256([]byte("test network"))
	for _, f := range change {
		f(n)
	}
	n.format = mail.FormatOf(n.geometry())
	if n.mem, err = link.NewMemory(n.geometry().PacketSize(), link.Limits{}); err != nil {
		t.Fatal(err)
	}
	for i := range relays {
		n.addRelay(i)
	}
	n.seal(5, nil)
	t.Cleanup(func() {
		for _, r := range n.relays {
			r.pool.Close()
			<-r.served
		}
	})
	return n
}

func (n *fakeNet) geometry() onion.Geometry { return onion.Geometry(0x10 | n.core.Params.Geometry) }

func (n *fakeNet) addRelay(i int) {
	seed := sha256.Sum256([]byte(fmt.Sprint("relay", i)))
	r := &fakeRelay{net: n, key: ed25519.NewKeyFromSeed(seed[:]), served: make(chan struct{}),
		clients: map[onion.Token]*link.Link{}, boxes: map[mail.ID][]*fakeItem{}, bundles: map[mail.AccountID]mail.Bundle{}, once: map[mail.AccountID][]mail.Bundle{}, gone: map[chain.Hash][32]byte{}, history: map[mail.ID][][]byte{}, lay: map[chain.Hash]mail.ID{}, polls: map[mail.ID]int{}}
	r.id = chain.NodeID(r.key.Public().(ed25519.PublicKey))
	var err error
	if r.onion, err = onion.NewKey(rand.Reader, 1); err != nil {
		n.t.Fatal(err)
	}
	if r.keys, err = onion.NewKeys(n.geometry(), n.genesis, r.onion); err != nil {
		n.t.Fatal(err)
	}
	endpoint := fmt.Sprintf("127.%d.0.1:9000", i+1)
	r.entry = directory.Entry{Node: r.id, Operator: chain.Address{byte(i + 1)}, Endpoints: []string{endpoint}, Version: "1",
		Stake: n.core.Params.StakingRequirement, Performance: 1000,
		Onion: directory.Key{First: 1, Key: r.onion.Public()}, OnionNext: directory.Key{First: 1, Key: r.onion.Public()}}
	tr := n.mem.Transport(r.id)
	l, err := tr.Listen(endpoint)
	if err != nil {
		n.t.Fatal(err)
	}
	r.pool = link.NewPool(tr, n.endpoint, link.PoolConfig{Self: r.id, OnOpen: r.opened, OnFrame: r.frame, AnonymousRate: 1e6, AnonymousBurst: 1e6})
	go func() {
		defer close(r.served)
		r.pool.Serve(context.Background(), l)
	}()
	n.relays = append(n.relays, r)
}

func (n *fakeNet) endpoint(id chain.NodeID) (string, bool) {
	for _, r := range n.relays {
		if r.id == id {
			return r.entry.Endpoints[0], true
		}
	}
	return "", false
}

// swarm is who keeps a mailbox.
func (n *fakeNet) swarm(id mail.ID) directory.Swarm {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lists[n.newest].Swarm(id, n.removed)
}

// others are the relays beside r that r reaches of those that keep a mailbox.
func (r *fakeRelay) others(id mail.ID) (out []*fakeRelay) {
	if r.faulty(func(f *fakeFaults) bool { return f.alone }) {
		return nil
	}
	for _, id := range r.net.swarm(id).All() {
		if o := r.net.relay(id); o != r && !o.faulty(func(f *fakeFaults) bool { return f.dead || f.silent || f.unreached }) {
			out = append(out, o)
		}
	}
	return out
}

func (r *fakeRelay) faulty(is func(*fakeFaults) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return is(&r.faults)
}

func (n *fakeNet) relay(id chain.NodeID) *fakeRelay {
	for _, r := range n.relays {
		if r.id == id {
			return r
		}
	}
	n.t.Fatal("no such relay")
	return nil
}

// seal makes the next block, in the given epoch, whose list leaves some out.
func (n *fakeNet) seal(epoch chain.Epoch, unlisted []chain.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lists[epoch] == nil {
		var entries []directory.Entry
		for _, r := range n.relays {
			if !slices.Contains(unlisted, r.id) {
				entries = append(entries, r.entry)
			}
		}
		l, err := directory.NewList(epoch, entries)
		if err != nil {
			n.t.Fatal(err)
		}
		n.lists[epoch] = l
		for _, r := range n.relays {
			r.entry.PreviousSwarm = r.entry.Swarm
		}
	}
	n.newest = epoch
	l := n.lists[epoch]
	n.head = n.header(n.head.Header.Height+1, l, 0)
}

func (n *fakeNet) header(height chain.Height, l *directory.List, salt byte) chain.SealedHeader {
	h := chain.Header{Genesis: n.genesis, Height: height, Time: chain.Time(time.Now().UnixMilli()), Directory: l.Root(),
		DirCount: uint32(len(l.Entries)), DirEpoch: l.Epoch, Removals: n.removed, Proposer: n.core.Sealers[0], Beacon: chain.Hash{salt}}
	hash := h.Hash()
	return chain.SealedHeader{Header: h, Seal: statement.Domain{Genesis: n.genesis}.SignRaw(n.sealer, statement.LabelSeal, hash[:])}
}

func (n *fakeNet) Head(context.Context) (chain.SealedHeader, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.head, nil
}

func (n *fakeNet) Directory(_ context.Context, e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e == 0 {
		e = n.newest
	}
	return n.lists[e], n.head, nil
}

func (r *fakeRelay) fault(f func(*fakeFaults)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.faults)
}

func (r *fakeRelay) count(f func(*fakeRelay) int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return f(r)
}

func (r *fakeRelay) opened(l *link.Link) {
	if _, node := l.Peer(); node {
		return
	}
	r.net.mu.Lock()
	head := r.net.head
	if r.net.hello != nil {
		head = *r.net.hello
	}
	r.net.mu.Unlock()
	hello := relay.Hello{Descriptor: []byte("a descriptor"), Header: head.Encode(), Votes: [][]byte{[]byte("a vote"), []byte("another")}}
	l.Send(link.Frame{Type: link.Hello, Data: hello.Encode()}) // as relays say it
}

func (r *fakeRelay) frame(l *link.Link, f link.Frame) {
	switch f.Type {
	case link.Control:
		if len(f.Data) == 17 && f.Data[0] == 1 {
			r.mu.Lock()
			r.clients[onion.Token(f.Data[1:])] = l
			r.mu.Unlock()
		}
	case link.Packet:
		r.packet(bytes.Clone(f.Data))
	}
}

func (r *fakeRelay) packet(b []byte) {
	r.mu.Lock()
	meddle := r.faults.meddle
	drop := r.faults.dead || r.faults.dropNext > 0
	r.faults.dropNext = max(0, r.faults.dropNext-1)
	if drop {
		r.dropped++
	}
	garble := r.faults.garble
	r.mu.Unlock()
	if drop {
		return
	}
	o, err := r.keys.OpenHeader(b)
	if err != nil {
		r.net.t.Error("relay:", err)
		return
	}
	out, err := o.Finish()
	if err != nil {
		r.net.t.Error("relay:", err)
		return
	}
	switch o.Kind {
	case onion.Forward:
		r.forward(o.Directory(), o.NextIndex, out)
	case onion.Client:
		r.mu.Lock()
		l := r.clients[o.Token]
		r.mu.Unlock()
		if garble {
			out[100] ^= 1
		}
		if l != nil {
			b := append(append(bytes.Clone(o.SURB[:]), make([]byte, onion.HeaderSize-16)...), out...)
			if meddle {
				bad := bytes.Clone(b)
				bad[0] ^= 1 // another reply block's id
				l.Send(link.Frame{Type: link.Packet, Data: bad})
				r.mu.Lock()
				for _, old := range r.brought[max(0, len(r.brought)-4):] { // what it brought before
					l.Send(link.Frame{Type: link.Packet, Data: old})
				}
				r.brought = append(r.brought, b)
				r.mu.Unlock()
				defer l.Send(link.Frame{Type: link.Packet, Data: b})
			}
			l.Send(link.Frame{Type: link.Packet, Data: b})
		}
	case onion.Deliver:
		cmd, err := r.net.format.Decode(out)
		if err != nil {
			r.net.t.Error("member:", err)
			return
		}
		for i, reply := range r.deliver(cmd) {
			s, err := onion.ParseSURB(cmd.Replies[i])
			if err != nil {
				r.net.t.Error("member:", err)
				return
			}
			first, p, err := s.Reply(reply.Encode())
			if err != nil {
				r.net.t.Error("member:", err)
				return
			}
			r.forward(o.Directory(), first, p)
		}
	}
}

func (r *fakeRelay) forward(epoch chain.Epoch, index uint32, packet []byte) {
	r.net.mu.Lock()
	next := r.net.lists[epoch].Entries[index].Node
	r.net.mu.Unlock()
	if next == r.id {
		r.net.t.Error("a path has one relay twice in a row")
	}
	r.pool.Send(next, link.Frame{Type: link.Packet, Data: packet})
}

// deliver is a mailbox member that passes on to the others what it takes.
func (r *fakeRelay) deliver(cmd mail.Command) []mail.Reply {
	if r.faulty(func(f *fakeFaults) bool {
		return cmd.Head == nil && f.silent || cmd.Delete != nil && f.mute || cmd.Store != nil && f.deaf
	}) {
		return nil
	}
	if cmd.Store != nil {
		return []mail.Reply{r.coordinate(cmd.Store)}
	}
	out := r.handle(cmd)
	if cmd.Poll != nil && r.faulty(func(f *fakeFaults) bool { return f.lossy }) {
		out = out[:1]
	}
	var box mail.ID
	switch {
	case r.faulty(func(f *fakeFaults) bool { return f.forget }):
		return out
	case out[0].Code != mail.CodeAccepted && out[0].Code != mail.CodeDeleted:
		return out
	case cmd.Request != nil:
		box = mail.AccountMailbox(cmd.Request.Account)
	case cmd.PutBundle != nil:
		b, _ := mail.DecodeBundle(cmd.PutBundle.Bundle)
		box = mail.AccountMailbox(b.Account())
	case cmd.Delete != nil:
		r.mu.Lock()
		box = r.lay[mail.Deleter(cmd.Delete.Token)]
		r.mu.Unlock()
	}
	for _, o := range r.others(box) {
		o.handle(cmd)
	}
	if cmd.Request != nil && r.faulty(func(f *fakeFaults) bool { return f.shy }) {
		return nil
	}
	return out
}

// coordinate stores at r and at the others, and shows all their receipts.
func (r *fakeRelay) coordinate(s *mail.Store) mail.Reply {
	own := r.hold(s)
	if own.Code != mail.CodeStored {
		return own
	}
	r.mu.Lock()
	r.stores++
	f := r.faults
	r.mu.Unlock()
	receipts := [][]byte{own.Body}
	switch {
	case f.twice:
		for range 4 {
			receipts = append(receipts, own.Body)
		}
	case f.strangers:
		keepers := r.net.swarm(s.Mailbox()).All()
		for _, o := range r.net.relays {
			if !slices.Contains(keepers, o.id) && len(receipts) < mail.MaxReceipts {
				o.mu.Lock()
				receipts = append(receipts, o.sign(s))
				o.mu.Unlock()
			}
		}
	default:
		for _, o := range r.others(s.Mailbox()) {
			b := o.hold(s)
			switch {
			case b.Code == mail.CodeDeleted:
				return b
			case b.Code != mail.CodeStored || len(receipts) == mail.MaxReceipts:
				continue
			case f.forged:
				b.Body[len(b.Body)-1] ^= 1
			}
			receipts = append(receipts, b.Body)
		}
	}
	return mail.Reply{Code: mail.CodeStored, Body: mail.EncodeReceipts(receipts)}
}

// hold keeps an item and answers with one signed receipt.
func (r *fakeRelay) hold(s *mail.Store) mail.Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Verify(r.net.genesis) != nil {
		return mail.Reply{Code: mail.CodeSignature}
	}
	if r.faults.full {
		return mail.Reply{Code: mail.CodeFull}
	}
	if r.faults.lie != 0 {
		return mail.Reply{Code: r.faults.lie, Body: r.faults.body}
	}
	if token, ok := r.gone[s.Deleter]; ok {
		return mail.Reply{Code: mail.CodeDeleted, Body: token[:]}
	}
	r.held++
	r.put(s.Mailbox(), &fakeItem{content: bytes.Clone(s.Content), deleter: s.Deleter})
	r.lay[s.Deleter] = s.Mailbox()
	return mail.Reply{Code: mail.CodeStored, Body: r.sign(s)}
}

func (r *fakeRelay) sign(s *mail.Store) []byte {
	now := chain.Time(time.Now().UnixMilli())
	if r.net.clock != nil {
		now = r.net.clock.Now()
	}
	until := min(s.Expiry, now+chain.Time(r.net.core.Params.ReceiptHorizon))
	x := statement.Receipt{Chunks: mail.ChunkRoot(s.Content), Class: uint8(r.net.format.Chunks), Until: until, Deleter: s.Deleter}
	if r.faults.badReceipt {
		x.Chunks[0] ^= 1
	}
	return statement.Sign(statement.Domain{Genesis: r.net.genesis}, r.key, statement.LabelReceipt, 0, x.Encode()).Encode()
}

// handle is a mailbox member, without bounds and without disk.
func (r *fakeRelay) handle(cmd mail.Command) []mail.Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := func(c mail.Code) []mail.Reply { return []mail.Reply{{Code: c}} }
	switch {
	case cmd.Request != nil:
		if cmd.Request.Bits() < mail.DefaultWork {
			return one(mail.CodeWork)
		}
		r.requests++
		r.put(mail.AccountMailbox(cmd.Request.Account), &fakeItem{content: bytes.Clone(cmd.Request.Content)})
		return one(mail.CodeAccepted)
	case cmd.PutBundle != nil:
		b, err := mail.DecodeBundle(cmd.PutBundle.Bundle)
		if err != nil || b.Verify(r.net.genesis) != nil {
			return one(mail.CodeSignature)
		}
		id := b.Account()
		old := r.bundles[id]
		switch {
		case b.Once && old.Since > b.Since:
			return one(mail.CodeOutdated)
		case b.Once:
			r.once[id] = append(r.once[id], b)
		case b.Serial < old.Serial, b.Serial == old.Serial && b != old:
			return one(mail.CodeOutdated)
		case b != old:
			r.bundles[id] = b
			r.renewals++
			r.once[id] = slices.DeleteFunc(r.once[id], func(o mail.Bundle) bool { return o.Since < b.Since })
		}
		return []mail.Reply{{Code: mail.CodeAccepted, Body: binary.BigEndian.AppendUint16(nil, uint16(len(r.once[id])))}}
	case cmd.GetBundle != nil:
		if all := r.once[cmd.GetBundle.Account]; cmd.GetBundle.Once && len(all) > 0 {
			r.once[cmd.GetBundle.Account] = all[1:]
			return []mail.Reply{{Code: mail.CodeFound, Body: all[0].Encode()}}
		}
		if b, ok := r.bundles[cmd.GetBundle.Account]; ok {
			return []mail.Reply{{Code: mail.CodeFound, Body: b.Encode()}}
		}
		return one(mail.CodeNone)
	case cmd.Delete != nil:
		return one(r.remove(cmd.Delete.Token))
	case cmd.Head != nil:
		r.asked++
		r.net.mu.Lock()
		defer r.net.mu.Unlock()
		if r.faults.head != nil {
			return []mail.Reply{{Code: mail.CodeHead, Body: r.faults.head.Encode()}}
		}
		return []mail.Reply{{Code: mail.CodeHead, Body: r.net.head.Encode()}}
	}
	p := cmd.Poll
	r.polls[p.Mailbox()]++
	if p.Verify(r.net.genesis) != nil || p.Member != r.id {
		return []mail.Reply{{Code: mail.CodeSignature}, {Code: mail.CodeSignature}, {Code: mail.CodeSignature}}
	}
	if r.faults.endless {
		var out []mail.Reply
		for range mail.PollReplies {
			r.cursor++
			out = append(out, mail.Reply{Code: mail.CodeItem, Body: mail.Item{Cursor: max(r.cursor, p.After+r.cursor), More: 9, Content: make([]byte, r.net.format.Item())}.Encode()})
		}
		return out
	}
	if old := r.history[p.Mailbox()]; r.faults.replay && len(old) > 0 {
		var out []mail.Reply
		for n := range mail.PollReplies {
			r.cursor++
			item := mail.Item{Cursor: p.After + uint64(mail.PollReplies-n), More: 3, Content: old[(int(r.cursor)*7)%len(old)]}
			out = append(out, mail.Reply{Code: mail.CodeItem, Body: item.Encode()})
		}
		return out
	}
	var found []*fakeItem
	for _, it := range r.boxes[p.Mailbox()] {
		if it.cursor > p.After {
			found = append(found, it)
		}
	}
	var out []mail.Reply
	for i := range mail.PollReplies {
		if i >= len(found) {
			out = append(out, mail.Reply{Code: mail.CodeNone})
			continue
		}
		it := mail.Item{Cursor: found[i].cursor, More: uint16(len(found) - i - 1), Content: found[i].content}
		out = append(out, mail.Reply{Code: mail.CodeItem, Body: it.Encode()})
	}
	return out
}

func (r *fakeRelay) put(id mail.ID, it *fakeItem) {
	if r.faults.forget {
		return
	}
	for _, old := range r.boxes[id] {
		if bytes.Equal(old.content, it.content) {
			return
		}
	}
	r.cursor++
	it.cursor = r.cursor
	r.history[id] = append(r.history[id], it.content)
	r.boxes[id] = append(r.boxes[id], it)
}

func (r *fakeRelay) remove(token [32]byte) mail.Code {
	deleter := mail.Deleter(token)
	r.gone[deleter] = token
	for id, list := range r.boxes {
		for i, it := range list {
			if it.deleter == deleter {
				r.boxes[id] = slices.Delete(list, i, i+1)
				r.deletes++
				return mail.CodeDeleted
			}
		}
	}
	return mail.CodeNone
}
