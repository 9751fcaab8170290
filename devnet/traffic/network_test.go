package traffic

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/internal/durable"
	"tunic/internal/httpx"
	"tunic/internal/wire"
	"tunic/node"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/registry/path"
	"tunic/registry/probe"
	"tunic/relay"
)

// world is a running network with everything on loopback, its wire, and its keys:
// a test is told what no relay is.
type world struct {
	*devnet.Network
	t      testing.TB
	tap    *tap
	ledger relay.Ledger
	dir    string
	hands  []*hand
	stop   func()       // ends the network
	ahead  chain.Time   // how far the ledger's clock is before the machine's
	rand   *path.Reader // of the test's own senders
}

// start runs a network whose parameters change alters.
func start(t testing.TB, relays, clients int, change func(*genesis.Params)) *world {
	t.Helper()
	p, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	// Mixing and cover of a private network, on a clock for tests. Who is late
	// under load stays in the list.
	mixing, cover := p.MixingMean, p.Cover
	p = dev
	p.MixingMean, p.Cover = mixing, cover
	p.HeartbeatValid = 5 * genesis.Minute
	change(&p)
	w := &world{t: t, tap: newTap(t), dir: t.TempDir(), rand: path.FromReader(rand.Reader)}
	n, err := devnet.Start(t.Context(), devnet.Spec{
		Relays: relays, Clients: clients, Profile: genesis.Private, Params: &p, Links: devnet.LinksTLS, Live: true, Dir: w.dir,
		Wrap: w.tap.wrap,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Network = n
	w.stop = sync.OnceFunc(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		for _, h := range w.hands {
			h.pool.Close()
		}
		w.tap.wg.Wait()
	})
	t.Cleanup(w.stop)
	f, err := feed.New(feed.Config{Network: n.Genesis.Network("http://ledger.internal"), HTTP: &http.Client{Transport: httpx.InMemory(n.Handler)}})
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = node.RelayLedger(f)
	return w
}

// list is the list of an epoch and a header of it; 0 is the newest.
func (w *world) list(e chain.Epoch) (*directory.List, chain.Header) {
	w.t.Helper()
	l, h, err := w.ledger.Directory(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return l, h.Header
}

func (w *world) geometry() onion.Geometry { return relay.Geometry(w.Genesis.Core) }

// folder is where a relay keeps its keys.
func (w *world) folder(r *devnet.Relay) string { return filepath.Join(w.dir, r.Name()) }

// openers are the relays' onion keys, as their disks have them, with those that
// are known: what their operators can open.
func (w *world) openers(known map[string][]*onion.Key) map[string][]*onion.Key {
	w.t.Helper()
	out := map[string][]*onion.Key{}
	for _, r := range w.Relays {
		b, err := durable.ReadFile(filepath.Join(w.folder(r), "onion.keys"), 1<<16)
		if err != nil {
			w.t.Fatal(err)
		}
		in := wire.NewReader(b)
		in.Fixed(1 + 32)
		keys := known[r.Name()]
		for range in.Count(64, 48) {
			first := chain.Epoch(in.Uint64())
			in.Uint64()
			var private [32]byte
			in.Copy(private[:])
			if !slices.ContainsFunc(keys, func(k *onion.Key) bool { return k.FirstEpoch() == first }) {
				keys = append(keys, onion.LoadKey(private, first))
			}
		}
		if err := in.Done(); err != nil {
			w.t.Fatal(err)
		}
		out[r.Name()] = keys
	}
	return out
}

// past are the epochs of a run: what is needed of them when it is over.
type past map[chain.Epoch]struct {
	list   *directory.List
	beacon chain.Hash
}

// note takes an epoch in.
func (p past) note(w *world, e chain.Epoch) {
	w.t.Helper()
	x := p[e]
	list, head := w.list(e)
	x.list, x.beacon = list, head.Beacon
	p[e] = x
}

// probes are the tags of all probes of an epoch, by which their layers are known:
// they follow from the relays' keys.
func (w *world) probes(p past, e chain.Epoch) map[onion.Tag]bool {
	w.t.Helper()
	list := p[e].list
	net := probe.NewNet(&w.Genesis.Core, &w.Genesis.Params, w.File.Genesis, list, p[e-1].beacon, p[e].beacon)
	out := map[onion.Tag]bool{}
	for _, r := range w.Relays {
		at, listed := list.Index(r.ID)
		if !listed {
			continue
		}
		k, _, err := relay.LoadOrCreateKeys(w.folder(r), rand.Reader)
		if err != nil {
			w.t.Fatal(err)
		}
		output, err := beacon.Output(beacon.NewKey(k.VRF).Prove(net.Alpha()))
		if err != nil {
			w.t.Fatal(err)
		}
		seed := net.Seed(&output)
		for i, p := range net.Plans(seed, at, net.Drawn(&output)) {
			tags, err := net.Tags(seed, i, p.Route)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, tag := range tags {
				out[tag] = true
			}
		}
	}
	return out
}

// hops are the layers of a way over a list; the last is asked for no delay.
func (w *world) hops(list *directory.List, way []int, delay func() uint32) []onion.Hop {
	out := make([]onion.Hop, len(way))
	for i, k := range way {
		e := &list.Entries[k]
		out[i] = onion.Hop{Index: uint32(k), Key: e.Onion.Key, KeyEpoch: e.Onion.First}
		if i < len(way)-1 {
			out[i].Delay = delay()
		}
	}
	return out
}

func (w *world) delay() uint32 { return path.Delay(w.rand.Uint64(), w.Genesis.Params.MixingMean) }

// hand is a client without polls and cover of its own: it sends what a test asks.
type hand struct {
	w     *world
	token onion.Token
	pool  *link.Pool

	mu   sync.Mutex
	keys map[onion.SURBID]*onion.SURBKeys
	got  []mail.Code // of answers
}

func (w *world) hand(name string) *hand {
	w.t.Helper()
	t, err := link.NewTLS(link.Config{BodySize: relay.BodySize(w.Genesis.Core)})
	if err != nil {
		w.t.Fatal(err)
	}
	h := &hand{w: w, keys: map[onion.SURBID]*onion.SURBKeys{}}
	rand.Read(h.token[:])
	resolve := func(id chain.NodeID) (string, bool) {
		for _, r := range w.Relays {
			if r.ID == id {
				return r.Endpoint, true
			}
		}
		return "", false
	}
	h.pool = link.NewPool(w.tap.wrap(name, chain.NodeID{}, t), resolve, link.PoolConfig{
		OnOpen: func(l *link.Link) { _ = l.Send(relay.AttachFrame(h.token)) }, // fails where the link closes
		OnFrame: func(_ *link.Link, f link.Frame) {
			if f.Type == link.Packet {
				h.answered(f.Data)
			}
		},
	})
	w.hands = append(w.hands, h)
	return h
}

func (h *hand) answered(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, payload, ok := relay.ParseAnswer(b)
	keys := h.keys[id]
	delete(h.keys, id)
	if !ok || keys == nil {
		return
	}
	message, err := keys.Open(bytes.Clone(payload))
	if err != nil {
		return
	}
	if r, err := mail.FormatOf(h.w.geometry()).DecodeReply(message); err == nil {
		h.got = append(h.got, r.Code)
	}
}

func (h *hand) codes() []mail.Code {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

// block is a reply block over a way whose last is the guard.
func (h *hand) block(list *directory.List, way []int, random io.Reader) onion.SURB {
	h.w.t.Helper()
	var id onion.SURBID
	rand.Read(id[:])
	hops := h.w.hops(list, way, h.w.delay)
	hops[len(hops)-1].Delay = h.w.delay()
	s, keys, err := h.w.geometry().NewSURB(random, h.w.File.Genesis, onion.ExpiryOf(list.Epoch), hops, h.token, id)
	if err != nil {
		h.w.t.Fatal(err)
	}
	h.mu.Lock()
	h.keys[id] = &keys
	h.mu.Unlock()
	return s
}

// wrap makes a command's packet.
func (w *world) wrap(list *directory.List, way []int, delay func() uint32, message []byte) []byte {
	w.t.Helper()
	p, err := w.geometry().Wrap(rand.Reader, w.File.Genesis, onion.ExpiryOf(list.Epoch), w.hops(list, way, delay), message)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// send gives a packet to a guard; false where it does not take it.
func (h *hand) send(guard chain.NodeID, packet []byte) bool {
	return h.pool.Send(guard, link.Frame{Type: link.Packet, Data: packet}) == nil
}

// pair is a mailbox of two people that nobody else knows.
type pair struct{ read, write ed25519.PrivateKey }

func newPair() pair {
	_, read, _ := ed25519.GenerateKey(rand.Reader)
	_, write, _ := ed25519.GenerateKey(rand.Reader)
	return pair{read, write}
}

func public(k ed25519.PrivateKey) [32]byte { return [32]byte(k.Public().(ed25519.PublicKey)) }

func (p pair) store(w *world, now chain.Time) *mail.Store {
	s := &mail.Store{ReadHash: mail.KeyHash(public(p.read)), Write: public(p.write), Expiry: now + chain.Time(genesis.Hour),
		Deleter: mail.Deleter([32]byte{1}), Content: make([]byte, mail.FormatOf(w.geometry()).Item())}
	rand.Read(s.Content)
	s.Sign(w.File.Genesis, p.write)
	return s
}

func (p pair) poll(w *world, now chain.Time, member chain.NodeID) *mail.Poll {
	q := &mail.Poll{Kind: mail.KindPair, A: public(p.read), B: mail.KeyHash(public(p.write)), At: now, Member: member}
	q.Sign(w.File.Genesis, p.read)
	return q
}

// await waits for something that takes as long as the machine needs.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}
