package feed_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/httpx"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start chain.Time = 1_750_000_000_000

func key(n byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return ed25519.NewKeyFromSeed(seed)
}

func id(k ed25519.PrivateKey) chain.NodeID { return chain.NodeID(k.Public().(ed25519.PublicKey)) }

// world is a ledger's history: one block a minute, epochs of ten minutes, and a
// list of three nodes that changes a little with each epoch.
type world struct {
	core    genesis.Core
	net     genesis.Network
	sealer  ed25519.PrivateKey
	headers []chain.SealedHeader // height 1 first
	lists   map[chain.Epoch]*directory.List
	said    map[chain.Height][][]byte // published in a block
	inForce genesis.InForce           // after the last block
}

func newWorld(t testing.TB, clock genesis.Clock, blocks int) *world {
	t.Helper()
	prm, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	prm.BlockInterval = genesis.Minute
	w := &world{sealer: key(1), lists: map[chain.Epoch]*directory.List{}, said: map[chain.Height][][]byte{}}
	w.core = genesis.Core{ChainID: 7, Profile: genesis.Private, Dev: clock == genesis.ClockLedger, Clock: clock,
		Engine: genesis.EngineSealer, Time: start, Sealers: []chain.NodeID{id(w.sealer)}, Params: prm}
	w.net = genesis.Genesis{Core: w.core}.Network()
	w.inForce = genesis.InForce{Params: prm}
	w.grow(t, blocks)
	return w
}

func entries(e chain.Epoch) []directory.Entry {
	var all []directory.Entry
	for i := range byte(3) {
		all = append(all, directory.Entry{Node: id(key(10 + i)), Endpoints: []string{"127.1.2.3:1"}, Version: "1",
			Stake: 2000e9, Onion: directory.Key{First: e}, Performance: 1000})
	}
	return all
}

func list(t testing.TB, e chain.Epoch, all []directory.Entry) *directory.List {
	t.Helper()
	l, err := directory.NewList(e, all)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// next is the header of the block after the last, one minute later.
func (w *world) next(t testing.TB) chain.Header {
	t.Helper()
	h := chain.Header{Genesis: w.net.Genesis, Height: 1, Time: start + chain.Time(genesis.Minute), Parent: w.net.Genesis, Proposer: id(w.sealer)}
	if n := len(w.headers); n > 0 {
		last := w.headers[n-1].Header
		h.Fork, h.Height, h.Time, h.Parent = last.Fork, last.Height+1, last.Time+chain.Time(genesis.Minute), last.Hash()
	}
	return w.in(t, h)
}

// in fills in what the epoch of a header's time decides.
func (w *world) in(t testing.TB, h chain.Header) chain.Header {
	t.Helper()
	h.DirEpoch = w.core.EpochAt(h.Time)
	l, ok := w.lists[h.DirEpoch]
	if !ok {
		var all []directory.Entry
		if h.DirEpoch > 0 {
			all = entries(h.DirEpoch)
		}
		l = list(t, h.DirEpoch, all)
		w.lists[h.DirEpoch] = l
	}
	h.Directory, h.DirCount = l.Root(), uint32(len(l.Entries))
	h.State = light.StateRoot(stateOf(w.inForce).Roots)
	return h
}

// stateOf shows the parameters in force in a state that holds nothing else.
func stateOf(f genesis.InForce) light.StateProof {
	var part table.Part
	rows := table.New(&part, table.Codec[uint8, []byte]{Prefix: 1,
		AppendKey: func(b []byte, k uint8) []byte { return append(b, k) }, ReadKey: (*wire.Reader).Uint8,
		AppendValue: func(b, v []byte) []byte { return append(b, v...) },
		ReadValue:   func(r *wire.Reader) []byte { return r.Fixed(r.Len()) }})
	rows.Set(1, f.Encode())
	part.Commit()
	p := light.StateProof{Part: light.PartParams, Row: part.Prove(light.InForceKey())}
	for i := range p.Roots {
		p.Roots[i].Root = new(table.Part).Root()
	}
	p.Roots[light.PartParams] = light.PartRoot{Root: part.Root(), Count: 1}
	return p
}

// change brings other parameters into force in the first block of the epoch
// after the head's, and adds that block.
func (w *world) change(t testing.TB, f func(*genesis.Params)) {
	t.Helper()
	for e := w.head().Header.DirEpoch; w.core.EpochAt(w.head().Header.Time+chain.Time(genesis.Minute)) == e; {
		w.grow(t, 1)
	}
	next := genesis.Change{Number: w.inForce.Number + 1, Params: w.inForce.Params}
	f(&next.Params)
	w.inForce = w.inForce.After(next, w.head().Header.DirEpoch+1)
	w.grow(t, 1)
}

func (w *world) grow(t testing.TB, blocks int) {
	t.Helper()
	for range blocks {
		w.headers = append(w.headers, light.Seal(w.sealer, w.next(t)))
	}
}

func (w *world) at(h chain.Height) chain.SealedHeader { return w.headers[h-1] }
func (w *world) head() chain.SealedHeader             { return w.headers[len(w.headers)-1] }

// branch is the same history up to a height and another one after it.
func (w *world) branch(t testing.TB, height chain.Height, blocks int) *world {
	t.Helper()
	c := *w
	c.headers = append([]chain.SealedHeader(nil), w.headers[:height]...)
	for range blocks {
		h := c.next(t)
		h.Results = chain.Hash{1}
		c.headers = append(c.headers, light.Seal(c.sealer, h))
	}
	return &c
}

// now is a clock one second after the head.
func (w *world) now() chain.Time { return w.head().Header.Time + 1000 }

// statement is one that node n signs.
func (w *world) statement(n byte, body string) []byte {
	d := statement.Domain{Genesis: w.net.Genesis}
	return statement.Sign(d, key(n), statement.LabelReceipt, statement.NewSequence(1, uint32(n)), []byte(body)).Encode()
}

// ledger serves a world, and lies where a hook says so.
type ledger struct {
	*httptest.Server
	mu     sync.Mutex
	world  *world
	asked  map[string]int // by path
	posted [][]byte
	grown  chan struct{} // closed and replaced by change

	hook  func(w http.ResponseWriter, r *http.Request) bool                       // answers instead
	dir   func(h chain.SealedHeader, l *directory.List) []byte                    // bytes of a directory
	event func(h chain.SealedHeader, said [][]byte, send func(name, data string)) // one event

	params func(h chain.SealedHeader, f genesis.InForce) []byte // bytes of the parameters in force
	number func(honest uint32) uint32                           // what events say is in force
}

func serve(t testing.TB, w *world) *ledger {
	t.Helper()
	l := &ledger{world: w, asked: map[string]int{}, grown: make(chan struct{})}
	l.Server = httptest.NewServer(l)
	t.Cleanup(func() {
		l.CloseClientConnections()
		l.Close()
	})
	return l
}

// change swaps what is served, and wakes the streams.
func (l *ledger) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *ledger) count(path string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[path]
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.asked[r.URL.Path]++
	hook, world := l.hook, *l.world
	l.mu.Unlock()
	if hook != nil && hook(w, r) {
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/headers/{block}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("block"))
		if r.PathValue("block") == "latest" {
			n = len(world.headers)
		}
		if n < 1 || n > len(world.headers) {
			httpx.WriteProblem(w, r, httpx.Problem{Status: 404, Code: "not_found", Detail: "no such block"})
			return
		}
		octets(w, world.headers[n-1].Encode())
	})
	mux.HandleFunc("GET /v1/directory", func(w http.ResponseWriter, r *http.Request) {
		e, _ := strconv.Atoi(r.URL.Query().Get("epoch"))
		for i := len(world.headers) - 1; i >= 0; i-- {
			if h := world.headers[i]; h.Header.DirEpoch == chain.Epoch(e) {
				make := l.dir
				if make == nil {
					make = honest
				}
				octets(w, make(h, world.lists[h.Header.DirEpoch]))
				return
			}
		}
		httpx.WriteProblem(w, r, httpx.Problem{Status: 404, Code: "unknown_epoch"})
	})
	mux.HandleFunc("GET /v1/params", func(w http.ResponseWriter, r *http.Request) {
		make := l.params
		if make == nil {
			make = honestParams
		}
		octets(w, make(world.head(), world.inForce))
	})
	take := func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 1<<16)
		n, _ := r.Body.Read(b)
		l.mu.Lock()
		l.posted = append(l.posted, b[:n])
		l.mu.Unlock()
		w.WriteHeader(202)
	}
	mux.HandleFunc("POST /v1/statements", take)
	mux.HandleFunc("POST /v1/transactions", take)
	mux.HandleFunc("GET /v1/events", l.stream)
	httpx.ProblemMux(mux).ServeHTTP(w, r)
}

func octets(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(b)
}

func honest(h chain.SealedHeader, l *directory.List) []byte {
	return append(wire.AppendBytes(nil, h.Encode()), l.Encode()...)
}

func honestParams(h chain.SealedHeader, f genesis.InForce) []byte {
	return append(wire.AppendBytes(nil, h.Encode()), stateOf(f).Encode()...)
}

func (l *ledger) stream(w http.ResponseWriter, r *http.Request) {
	s, err := httpx.NewEventStream(w, time.Minute)
	if err != nil {
		return
	}
	send := func(name, data string) { s.Send(httpx.Event{Name: name, Data: []byte(data)}) }
	next, _ := strconv.Atoi(r.URL.Query().Get("since"))
	for r.Context().Err() == nil {
		l.mu.Lock()
		grown, event := l.grown, l.event
		var todo []chain.SealedHeader
		if next >= 1 && next <= len(l.world.headers) {
			todo = l.world.headers[next-1:]
		}
		said, number := l.world.said, l.world.inForce.Number
		if l.number != nil {
			number = l.number(number)
		}
		l.mu.Unlock()
		for _, h := range todo {
			if event == nil {
				send("block", eventJSON(h, said[h.Header.Height], number))
			} else {
				event(h, said[h.Header.Height], send)
			}
			next++
		}
		select {
		case <-grown:
		case <-r.Context().Done():
		}
	}
}

func eventJSON(h chain.SealedHeader, said [][]byte, params ...uint32) string {
	v := map[string]any{"header": base64.StdEncoding.EncodeToString(h.Encode()), "published": said}
	if len(params) > 0 {
		v["params"] = params[0]
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// client makes a feed that asks the ledgers in order, at the time of the first
// one's head unless c says otherwise.
func client(t testing.TB, c feed.Config, ledgers ...*ledger) (*feed.Feed, error) {
	t.Helper()
	if c.Network.Core.Engine == "" {
		c.Network = ledgers[0].world.net
	}
	for _, l := range ledgers {
		c.Network.URLs = append(c.Network.URLs, l.URL)
	}
	if c.HTTP == nil {
		tr := &http.Transport{}
		t.Cleanup(tr.CloseIdleConnections)
		c.HTTP = &http.Client{Transport: tr}
	}
	if c.Now == nil {
		c.Now = ledgers[0].world.now
	}
	if c.Retry == 0 {
		c.Retry = time.Millisecond
	}
	return feed.New(c)
}

func open(t testing.TB, c feed.Config, ledgers ...*ledger) *feed.Feed {
	t.Helper()
	f, err := client(t, c, ledgers...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// take reads n events.
func take(t testing.TB, in <-chan feed.Event, n int) []feed.Event {
	t.Helper()
	var all []feed.Event
	timeout := time.After(20 * time.Second)
	for range n {
		select {
		case e, ok := <-in:
			if !ok {
				t.Fatalf("stream closed after %d events", len(all))
			}
			all = append(all, e)
		case <-timeout:
			t.Fatalf("%d events of %d came", len(all), n)
		}
	}
	return all
}

// closes waits for a stream's end.
func closes(t testing.TB, in <-chan feed.Event) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case _, ok := <-in:
			if !ok {
				return
			}
		case <-timeout:
			t.Fatal("stream is still open")
		}
	}
}

func follow(t testing.TB, f *feed.Feed, since chain.Height) <-chan feed.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, err := f.Events(ctx, since)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); closes(t, in) })
	return in
}

func heights(all []feed.Event) string {
	var s string
	for _, e := range all {
		s += fmt.Sprint(e.Header.Header.Height, " ")
	}
	return s
}
