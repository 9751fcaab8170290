package relay_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay"
)

var small = mail.FormatOf(onion.Small)

func TestMain(m *testing.M) {
	if c := testenv.Crashing(); c != nil {
		crash(c)
		return
	}
	// goleveldb's pool of buffers outlives Close by up to a second.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"))
}

const patience = 10 * time.Second

func keyOf(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32))
}

func idOf(k ed25519.PrivateKey) chain.NodeID { return chain.NodeID(k.Public().(ed25519.PublicKey)) }

// ledger is the chain as relays see it: a test's own sealer, which lists every
// node whose descriptor it was given.
type ledger struct {
	core   genesis.Core
	hash   chain.Hash
	sealer ed25519.PrivateKey

	mu      sync.Mutex
	head    chain.SealedHeader
	lists   map[chain.Epoch]*directory.List
	headers map[chain.Epoch]chain.SealedHeader
	latest  map[chain.NodeID]statement.Descriptor
	pool    [][]byte
	seen    []statement.Statement
	refuse  func(statement.Statement) error
	subs    map[chan relay.Event]chain.Height
	past    []relay.Event
	away    bool             // cannot be asked
	params  *genesis.InForce // for the next block's event
	vrf     map[chain.NodeID][32]byte
	judged  []relay.Unlisted                     // in every epoch
	asks    []relay.Challenge                    // in every epoch
	passed  [][]byte                             // transactions
	place   func(chain.Epoch, []directory.Entry) // into swarms; all are in one
}

func newLedger(t testing.TB, change func(*genesis.Core)) *ledger {
	t.Helper()
	params, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	params.ScoreWindow, params.ScoreForgiven = 8, 2
	sealer := keyOf(250)
	core := genesis.Core{
		ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger, Engine: genesis.EngineSealer,
		Time: 1_700_000_000_000, Sealers: []chain.NodeID{idOf(sealer)}, Params: params,
	}
	if change != nil {
		change(&core)
	}
	l := &ledger{
		core: core, hash: core.HashWith(chain.Hash{}), sealer: sealer,
		lists: map[chain.Epoch]*directory.List{}, headers: map[chain.Epoch]chain.SealedHeader{},
		latest: map[chain.NodeID]statement.Descriptor{}, subs: map[chan relay.Event]chain.Height{},
		vrf: map[chain.NodeID][32]byte{},
	}
	l.lists[0], _ = directory.NewList(0, nil)
	l.seal(l.core.Time, nil)
	return l
}

// sign seals a header.
func (l *ledger) sign(h chain.Header) chain.SealedHeader {
	hash := h.Hash()
	d := statement.Domain{Genesis: h.Genesis, Fork: h.Fork}
	return chain.SealedHeader{Header: h, Seal: d.SignRaw(l.sealer, statement.LabelSeal, hash[:])}
}

// seal makes the next block at time now, with what waits in the pool.
func (l *ledger) seal(now chain.Time, change func(*chain.Header)) chain.SealedHeader {
	l.mu.Lock()
	defer l.mu.Unlock()
	epoch := l.core.EpochAt(now)
	for _, b := range l.pool {
		if s, err := statement.Decode(b); err == nil && s.Label == statement.LabelDescriptor {
			l.latest[s.Node], _ = statement.DecodeDescriptor(s.Body)
		}
	}
	if l.lists[epoch] == nil {
		var entries []directory.Entry
		for id, d := range l.latest {
			key, ok := d.KeyFor(epoch)
			next, ok2 := d.KeyFor(epoch + 1)
			if ok && ok2 {
				entries = append(entries, directory.Entry{
					Node: id, VRF: l.vrf[id], Operator: chain.Address(id[:20]), Endpoints: d.Endpoints, Version: d.Version, Stake: chain.TUN,
					Onion: directory.Key{First: key.First, Key: key.Key}, OnionNext: directory.Key{First: next.First, Key: next.Key}, Performance: 1000,
				})
			}
		}
		if l.place != nil {
			l.place(epoch, entries)
		}
		l.lists[epoch], _ = directory.NewList(epoch, entries)
	}
	list := l.lists[epoch]
	h := chain.Header{
		Genesis: l.hash, Fork: l.head.Header.Fork, Height: l.head.Header.Height + 1, Time: now, Parent: l.head.Header.Hash(),
		Directory: list.Root(), DirCount: uint32(len(list.Entries)), DirEpoch: epoch, Proposer: idOf(l.sealer),
		Beacon: chain.SHA256(fmt.Appendf(nil, "beacon %d", epoch)),
	}
	if change != nil {
		change(&h)
	}
	s := l.sign(h)
	l.head = s
	if _, ok := l.headers[epoch]; !ok {
		l.headers[epoch] = s
	}
	e := relay.Event{Header: s, Published: slices.Clone(l.pool), Params: l.params}
	l.params = nil
	if first := len(l.past) == 0 || l.past[len(l.past)-1].Header.Header.DirEpoch != epoch; first {
		e.Unlisted, e.Challenges = l.judged, append([]relay.Challenge{}, l.asks...)
	}
	l.past = append(l.past, e)
	for ch, since := range l.subs {
		if h.Height > since {
			ch <- e
		}
	}
	l.pool = nil
	return s
}

func (l *ledger) Directory(_ context.Context, e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return nil, chain.SealedHeader{}, errors.New("connection refused by 192.0.2.1")
	}
	if e == 0 {
		return l.lists[l.head.Header.DirEpoch], l.head, nil
	}
	if l.lists[e] == nil {
		return nil, chain.SealedHeader{}, errors.New("no such list")
	}
	return l.lists[e], l.headers[e], nil
}

func (l *ledger) Submit(_ context.Context, b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := statement.Decode(b)
	if err != nil {
		if len(l.passed) == 1 {
			return chain.Refuse("nonce_used", "")
		}
		l.passed = append(l.passed, bytes.Clone(b))
		return nil
	}
	if l.refuse != nil {
		if err := l.refuse(s); err != nil {
			return err
		}
	}
	if err := s.Verify(statement.Domain{Genesis: l.hash, Fork: l.head.Header.Fork}); err != nil {
		return chain.Refuse("bad_signature", "")
	}
	l.seen = append(l.seen, s)
	l.pool = append(l.pool, bytes.Clone(b))
	return nil
}

func (l *ledger) Events(ctx context.Context, since chain.Height) (<-chan relay.Event, error) {
	ch := make(chan relay.Event, 256)
	l.mu.Lock()
	var inForce *genesis.InForce
	for _, e := range l.past {
		if e.Params != nil {
			inForce = e.Params
		}
	}
	for _, e := range l.past {
		if e.Header.Header.Height > since && e.Header.Header.Fork == l.head.Header.Fork {
			if e.Params == nil {
				e.Params = inForce // in a stream's first event, whatever the block
			}
			inForce = nil
			ch <- e
		}
	}
	l.subs[ch] = since
	l.mu.Unlock()
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.subs, ch)
	})
	return ch, nil
}

// leave cuts all streams off and refuses calls until away is false again.
func (l *ledger) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = true
	for ch := range l.subs {
		close(ch)
		delete(l.subs, ch)
	}
}

// submitted are the statements of one label and node, in order.
func (l *ledger) submitted(label statement.Label, node chain.NodeID) (out []statement.Statement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.seen {
		if s.Label == label && s.Node == node {
			out = append(out, s)
		}
	}
	return out
}

func (l *ledger) at() chain.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.Header
}

// node is a relay under test.
type node struct {
	*relay.Relay
	cfg    relay.Config
	cancel context.CancelFunc
	done   chan error

	mu     sync.Mutex
	height chain.Height
	moved  chan struct{}
}

// network is a ledger, a hub of links in memory, and relays.
type network struct {
	t     testing.TB
	l     *ledger
	hub   *link.Memory
	nodes []*node
}

func newNetwork(t testing.TB, relays int, change func(*genesis.Core), tune func(int, *relay.Config)) *network {
	t.Helper()
	n := &network{t: t, l: newLedger(t, change)}
	var err error
	if n.hub, err = link.NewMemory(relay.BodySize(n.l.core), link.Limits{}); err != nil {
		t.Fatal(err)
	}
	for i := range relays {
		n.add(i, tune)
	}
	return n
}

func (n *network) config(i int) relay.Config {
	key := keyOf(byte(i + 1))
	n.l.mu.Lock()
	n.l.vrf[idOf(key)] = beacon.NewKey([32]byte{byte(i + 1)}).Public()
	n.l.mu.Unlock()
	return relay.Config{
		Identity: key, VRF: [32]byte{byte(i + 1)}, Core: n.l.core, Genesis: n.l.hash, Ledger: n.l,
		Transport: n.hub.Transport(idOf(key)), Endpoints: []string{fmt.Sprintf("127.%d.0.1:4000", i+1)}, Version: "1.0.0",
	}
}

func (n *network) add(i int, tune func(int, *relay.Config)) *node {
	n.t.Helper()
	cfg := n.config(i)
	if tune != nil {
		tune(i, &cfg)
	}
	nd := n.start(cfg)
	n.nodes = append(n.nodes, nd)
	nd.reaches(n.t, n.l.at().Height)
	return nd
}

func (n *network) start(cfg relay.Config) *node {
	n.t.Helper()
	nd := &node{moved: make(chan struct{}, 1), done: make(chan error, 1)}
	cfg.OnSynced = func(h chain.Height) {
		nd.mu.Lock()
		nd.height = h
		nd.mu.Unlock()
		select {
		case nd.moved <- struct{}{}:
		default:
		}
	}
	nd.cfg = cfg
	var err error
	if nd.Relay, err = relay.New(cfg); err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	nd.cancel = cancel
	go func() { nd.done <- nd.Run(ctx) }()
	n.t.Cleanup(func() { nd.stop() })
	return nd
}

// stop ends a relay and returns what Run did.
func (nd *node) stop() error {
	nd.cancel()
	err := <-nd.done
	nd.done <- err
	return err
}

// reaches waits until the relay has acted on the head at h.
func (nd *node) reaches(t testing.TB, h chain.Height) {
	t.Helper()
	for {
		nd.mu.Lock()
		at := nd.height
		nd.mu.Unlock()
		if at >= h {
			return
		}
		select {
		case <-nd.moved:
		case err := <-nd.done:
			nd.done <- err
			t.Fatalf("relay stopped: %v", err)
		case <-time.After(patience):
			t.Fatalf("relay is at height %d, not %d", at, h)
		}
	}
}

// advance seals a block d later and waits for all relays.
func (n *network) advance(d chain.Duration) chain.Header {
	n.t.Helper()
	h := n.l.seal(n.l.at().Time+chain.Time(d), nil).Header
	for _, nd := range n.nodes {
		nd.reaches(n.t, h.Height)
	}
	return h
}

func (n *network) epoch() chain.Header { return n.advance(n.l.core.Params.EpochLength) }

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// client is a sender without identity behind one guard.
type client struct {
	n     *network
	pool  *link.Pool
	guard chain.NodeID
	token onion.Token

	mu   sync.Mutex
	keys map[onion.SURBID]*onion.SURBKeys
	got  chan mail.Reply
}

func (n *network) client(guard int) *client { return n.clientOver(n.hub.Client(), guard) }

func (n *network) tlsClient(guard int) *client {
	tr, err := link.NewTLS(link.Config{BodySize: relay.BodySize(n.l.core)})
	if err != nil {
		n.t.Fatal(err)
	}
	return n.clientOver(tr, guard)
}

func (n *network) clientOver(tr link.Transport, guard int) *client {
	n.t.Helper()
	c := &client{n: n, guard: n.nodes[guard].ID(), keys: map[onion.SURBID]*onion.SURBKeys{}, got: make(chan mail.Reply, 64)}
	rand.Read(c.token[:])
	resolve := func(id chain.NodeID) (string, bool) {
		e, ok := n.list().Find(id)
		if !ok {
			return "", false
		}
		return e.Endpoints[0], true
	}
	c.pool = link.NewPool(tr, resolve, link.PoolConfig{OnFrame: func(_ *link.Link, f link.Frame) {
		if f.Type == link.Packet {
			c.receive(f.Data)
		}
	}})
	n.t.Cleanup(func() { c.pool.Close() })
	before := n.nodes[guard].Status().Clients
	if err := c.pool.Send(c.guard, relay.AttachFrame(c.token)); err != nil {
		n.t.Fatal(err)
	}
	until(n.t, "attached", func() bool { return n.nodes[guard].Status().Clients > before })
	return c
}

func (c *client) receive(body []byte) {
	id, payload, ok := relay.ParseAnswer(body)
	c.mu.Lock()
	keys := c.keys[id]
	delete(c.keys, id)
	c.mu.Unlock()
	if !ok || keys == nil {
		return
	}
	message, err := keys.Open(bytes.Clone(payload))
	if err != nil {
		return
	}
	if r, err := mail.FormatOf(relay.Geometry(c.n.l.core)).DecodeReply(message); err == nil {
		c.got <- mail.Reply{Code: r.Code, Body: bytes.Clone(r.Body)}
	}
}

func (n *network) list() *directory.List {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	return n.l.lists[n.l.head.Header.DirEpoch]
}

// path names relays by their number in the network.
func (n *network) path(numbers ...int) (out []onion.Hop) {
	n.t.Helper()
	list := n.list()
	for _, i := range numbers {
		at, ok := list.Index(n.nodes[i].ID())
		if !ok {
			n.t.Fatalf("relay %d is not listed", i)
		}
		e := list.Entries[at]
		out = append(out, onion.Hop{Index: uint32(at), Key: e.Onion.Key, KeyEpoch: e.Onion.First})
	}
	return out
}

// surb makes a reply block over the given relays, which must end at the guard.
func (c *client) surb(numbers ...int) []byte {
	c.n.t.Helper()
	var id onion.SURBID
	rand.Read(id[:])
	s, keys, err := relay.Geometry(c.n.l.core).NewSURB(rand.Reader, c.n.l.hash, onion.ExpiryOf(c.n.list().Epoch), c.n.path(numbers...), c.token, id)
	if err != nil {
		c.n.t.Fatal(err)
	}
	c.mu.Lock()
	c.keys[id] = &keys
	c.mu.Unlock()
	return s[:]
}

// wrap makes a packet for a path.
func (n *network) wrap(hops []onion.Hop, message []byte) []byte {
	n.t.Helper()
	p, err := relay.Geometry(n.l.core).Wrap(rand.Reader, n.l.hash, onion.ExpiryOf(n.list().Epoch), hops, message)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

func (c *client) send(packet []byte) {
	c.n.t.Helper()
	if err := c.pool.Send(c.guard, link.Frame{Type: link.Packet, Data: packet}); err != nil {
		c.n.t.Fatal(err)
	}
}

func (c *client) reply() mail.Reply {
	c.n.t.Helper()
	select {
	case r := <-c.got:
		return r
	case <-time.After(patience):
		for i, nd := range c.n.nodes {
			c.n.t.Logf("relay %d: %+v", i, nd.Counters())
		}
		c.n.t.Fatal("no answer")
		return mail.Reply{}
	}
}

// settled waits until the relays' counts of arrivals stand still and balance.
func (n *network) settled() {
	n.t.Helper()
	until(n.t, "counts balance", func() bool {
		for _, nd := range n.nodes {
			if !nd.Counters().Balanced() {
				return false
			}
		}
		return true
	})
}

func storeCommand(n *network, expiry chain.Duration, fill byte) (*mail.Store, [32]byte, ed25519.PrivateKey) {
	write, read := keyOf(200), keyOf(201)
	var token [32]byte
	rand.Read(token[:])
	s := &mail.Store{
		ReadHash: mail.KeyHash([32]byte(idOf(read))), Write: [32]byte(idOf(write)), Expiry: n.l.at().Time + chain.Time(expiry),
		Deleter: mail.Deleter(token), Content: bytes.Repeat([]byte{fill}, small.Item()),
	}
	s.Sign(n.l.hash, write)
	return s, token, read
}

func debugLogger(w *bytes.Buffer, mu *sync.Mutex) *slog.Logger {
	return slog.New(slog.NewTextHandler(lockedWriter{w, mu}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type lockedWriter struct {
	w  *bytes.Buffer
	mu *sync.Mutex
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func packetFrame(p []byte) link.Frame { return link.Frame{Type: link.Packet, Data: p} }

// hubPool is a pool of links under an identity that is no running relay's.
func (n *network) hubPool(key byte) *link.Pool {
	p := link.NewPool(n.hub.Transport(idOf(keyOf(key))), func(id chain.NodeID) (string, bool) {
		e, ok := n.list().Find(id)
		if !ok {
			return "", false
		}
		return e.Endpoints[0], true
	}, link.PoolConfig{Self: idOf(keyOf(key)), BackoffMin: time.Millisecond, BackoffMax: 2 * time.Millisecond, MinUptime: time.Nanosecond})
	n.t.Cleanup(func() { p.Close() })
	return p
}
