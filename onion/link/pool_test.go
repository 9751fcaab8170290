package link_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/chain"
	"tunic/onion/link"
)

// book is the directory of a test.
type book struct {
	mu sync.Mutex
	m  map[chain.NodeID]string
}

func (b *book) set(id chain.NodeID, endpoint string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = make(map[chain.NodeID]string)
	}
	b.m[id] = endpoint
}

func (b *book) resolve(id chain.NodeID) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.m[id]
	return e, ok
}

// member is a pool with what it received.
type member struct {
	*link.Pool
	id     chain.NodeID
	tr     link.Transport
	l      link.Listener
	served chan struct{}
	mu     sync.Mutex
	got    []int // numbers of the packets received
	hellos []string
	open   []*link.Link
	closed int
}

// join starts a pool, listening and listed in b unless it is a client.
func join(t testing.TB, tr link.Transport, id chain.NodeID, b *book, endpoint string, cfg link.PoolConfig) *member {
	t.Helper()
	m := &member{id: id, tr: tr, served: make(chan struct{})}
	cfg.Self = id
	cfg.OnOpen = func(l *link.Link) {
		l.Send(hello("from " + id.Short()))
		m.mu.Lock()
		defer m.mu.Unlock()
		m.open = append(m.open, l)
	}
	cfg.OnFrame = func(l *link.Link, f link.Frame) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if f.Type == link.Packet {
			m.got = append(m.got, number(f))
			return
		}
		if len(m.got) > 0 && len(m.hellos) == 0 {
			t.Error("a packet came before the hello")
		}
		m.hellos = append(m.hellos, string(f.Data))
	}
	cfg.OnClose = func(*link.Link) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.closed++
	}
	m.Pool = link.NewPool(tr, b.resolve, cfg)
	if id == (chain.NodeID{}) {
		close(m.served)
	} else {
		l, err := tr.Listen(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		m.l = l
		b.set(id, l.Addr())
		go func() {
			defer close(m.served)
			if err := m.Serve(context.Background(), l); err != nil && !errors.Is(err, link.ErrClosed) {
				t.Error(err)
			}
		}()
	}
	t.Cleanup(m.end)
	return m
}

// pair joins two relays that know each other.
func (n *network) pair(t testing.TB, a, b link.PoolConfig) (alice, bob *member) {
	t.Helper()
	var known book
	ta, ida := n.node(t)
	tb, idb := n.node(t)
	return join(t, ta, ida, &known, n.any, a), join(t, tb, idb, &known, n.any, b)
}

func (m *member) end() { m.Close(); <-m.served }

func (m *member) packets() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]int(nil), m.got...)
}

func (m *member) opened() []*link.Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]*link.Link(nil), m.open...)
}

func count(p *link.Pool) int { n, _ := p.Count(); return n }

func TestPoolOpensOnDemandAndAnswersOnTheSameLink(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		alice, bob := n.pair(t, link.PoolConfig{}, link.PoolConfig{})
		for i := range 50 {
			if err := alice.Send(bob.id, packet(i)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "bob has all", func() bool { return len(bob.packets()) == 50 })
		for i, x := range bob.packets() {
			if i != x {
				t.Fatalf("out of order: %v", bob.packets())
			}
		}
		if err := bob.Send(alice.id, packet(1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "alice has one", func() bool { return len(alice.packets()) == 1 })
		if count(alice.Pool) != 1 || count(bob.Pool) != 1 {
			t.Errorf("%d and %d links, want one", count(alice.Pool), count(bob.Pool))
		}
		if in, out := bob.Stats().FramesIn(), bob.Stats().FramesOut(); in != 51 || out != 2 {
			t.Errorf("bob counts %d in, %d out", in, out)
		}
		if bob.hellos[0] != "from "+alice.id.Short() || alice.hellos[0] != "from "+bob.id.Short() {
			t.Error("hellos:", alice.hellos, bob.hellos)
		}
	})
}

func TestPoolAnswersAClient(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		var b book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &b, n.any, link.PoolConfig{})
		client := join(t, n.client(t), chain.NodeID{}, &b, "", link.PoolConfig{})
		if err := client.Send(idg, packet(1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "guard has it", func() bool { return len(guard.packets()) == 1 })
		l := guard.opened()[0]
		if _, ok := l.Peer(); ok || l.Dialed() {
			t.Error("client has an identity")
		}
		if err := l.Send(packet(2)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "client has it", func() bool { return len(client.packets()) == 1 })
		if _, anon := guard.Count(); anon != 1 {
			t.Error("client not counted as anonymous")
		}
	})
}

func TestPoolReconnectsAfterARestart(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		var b book
		ta, ida := n.node(t)
		tb, idb := n.node(t)
		alice := join(t, ta, ida, &b, n.any, link.PoolConfig{BackoffMin: time.Millisecond})
		bob := join(t, tb, idb, &b, n.any, link.PoolConfig{})
		alice.Send(idb, packet(1))
		eventually(t, "first", func() bool { return len(bob.packets()) == 1 })
		endpoint := bob.l.Addr()
		bob.end()
		eventually(t, "alice notices", func() bool { return count(alice.Pool) == 0 })
		if err := alice.Send(idb, packet(2)); err != nil { // waits for bob
			t.Fatal(err)
		}
		bob = join(t, tb, idb, &b, endpoint, link.PoolConfig{})
		eventually(t, "second", func() bool { return len(bob.packets()) == 1 })
	})
}

// Both dial at once, many times over: nothing is lost, and both end up sending
// on the link that the smaller identity dialed.
func TestPoolSimultaneousDial(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		for range 10 {
			alice, bob := n.pair(t, link.PoolConfig{}, link.PoolConfig{})
			var wg sync.WaitGroup
			for _, x := range []struct {
				m  *member
				to chain.NodeID
			}{{alice, bob.id}, {bob, alice.id}} {
				wg.Go(func() {
					for i := range 20 {
						if err := x.m.Send(x.to, packet(i)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			eventually(t, "all arrive", func() bool { return len(alice.packets()) == 20 && len(bob.packets()) == 20 })
			alice.end()
			bob.end()
		}
	})
}

func TestPoolWrongIdentityIsNotRetried(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		var b book
		ta, ida := n.node(t)
		tb, idb := n.node(t)
		_, stranger := n.node(t)
		alice := join(t, ta, ida, &b, n.any, link.PoolConfig{BackoffMin: time.Hour, BackoffMax: time.Hour})
		bob := join(t, tb, idb, &b, n.any, link.PoolConfig{})
		b.set(stranger, bob.l.Addr())
		if err := alice.Send(stranger, packet(1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "dropped", func() bool { return alice.Stats().Dropped(link.DialFailed) == 1 })
		wantErr(t, alice.Send(stranger, packet(2)), link.ErrUnreachable)
		_, nobody := newKey()
		wantErr(t, alice.Send(nobody, packet(2)), link.ErrNoEndpoint)
	})
}

func TestPoolOutsideTheLimits(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		var b book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &b, n.any, link.PoolConfig{MaxAnonymous: 2, PuzzleAbove: -1})
		// A node that is not listed is a client like any other.
		var other book
		other.set(idg, guard.l.Addr())
		ts, ids := n.node(t)
		stranger := join(t, ts, ids, &other, n.any, link.PoolConfig{})
		stranger.Send(idg, packet(1))
		eventually(t, "stranger in", func() bool { _, a := guard.Count(); return a == 1 })
		for i := range 3 {
			c := join(t, n.client(t), chain.NodeID{}, &b, "", link.PoolConfig{BackoffMin: time.Hour, BackoffMax: time.Hour})
			c.Send(idg, packet(2))
			if i > 0 {
				eventually(t, "refused", func() bool { return guard.Stats().Dropped(link.OverLimit) == uint64(i) })
			} else {
				eventually(t, "client in", func() bool { _, a := guard.Count(); return a == 2 })
			}
		}
		// A listed node still gets in.
		tr, idr := n.node(t)
		relay := join(t, tr, idr, &b, n.any, link.PoolConfig{})
		relay.Send(idg, packet(3))
		eventually(t, "relay in", func() bool { return count(guard.Pool) == 3 })
		eventually(t, "its packet", func() bool { return len(guard.packets()) == 3 })
	})
}

// Where there is no room for one more link, that with a listed node on which
// nothing has passed for longest makes room; clients make none.
func TestPoolMakesRoom(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		var b book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &b, n.any, link.PoolConfig{MaxLinks: 3, PuzzleAbove: -1})
		client := join(t, n.client(t), chain.NodeID{}, &b, "", link.PoolConfig{})
		client.Send(idg, packet(0))
		eventually(t, "client in", func() bool { _, a := guard.Count(); return a == 1 })
		const relays = 6
		var others []*member
		for i := range relays {
			tr, id := n.node(t)
			others = append(others, join(t, tr, id, &b, n.any, link.PoolConfig{}))
			if i%2 == 0 { // either side may open it
				others[i].Send(idg, packet(1))
			} else {
				guard.Send(id, packet(1))
			}
			eventually(t, "link to the new one", func() bool { return guard.Connected(id) })
			eventually(t, "and to one before", func() bool { return count(guard.Pool) == min(3, 2+i) })
		}
		if !guard.Connected(others[relays-1].id) || !guard.Connected(others[relays-2].id) || guard.Connected(others[0].id) {
			t.Error("another than the oldest of the quiet links made room")
		}
		eventually(t, "packets", func() bool { return len(guard.packets()) == 1+relays/2 })
		if _, a := guard.Count(); a != 1 || guard.Stats().Dropped(link.OverLimit) != 0 {
			t.Errorf("%d clients left, %d links refused", a, guard.Stats().Dropped(link.OverLimit))
		}
		more := join(t, n.client(t), chain.NodeID{}, &b, "", link.PoolConfig{BackoffMin: time.Hour, BackoffMax: time.Hour})
		more.Send(idg, packet(2))
		eventually(t, "another client is refused", func() bool { return guard.Stats().Dropped(link.OverLimit) == 1 })
	})
}

func TestPoolPuzzle(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		var b book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &b, n.any, link.PoolConfig{MaxAnonymous: 10, PuzzleAbove: 1, PuzzleBits: 8})
		for i := range 4 {
			c := join(t, n.client(t), chain.NodeID{}, &b, "", link.PoolConfig{})
			for range 3 {
				if err := c.Send(idg, packet(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		eventually(t, "all admitted", func() bool { return len(guard.packets()) == 12 })
		if d := guard.Stats().Dropped(link.Unadmitted); d != 0 {
			t.Errorf("%d frames of honest clients dropped", d)
		}
	})
}

func TestPoolClosed(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		var b book
		ta, ida := n.node(t)
		alice := join(t, ta, ida, &b, n.any, link.PoolConfig{})
		_, gone := newKey()
		b.set(gone, n.nobody)
		if err := alice.Send(gone, packet(1)); err != nil {
			t.Fatal(err)
		}
		alice.end()
		wantErr(t, alice.Send(gone, packet(1)), link.ErrClosed)
		l, err := ta.Listen(n.any)
		if err != nil {
			t.Fatal(err)
		}
		wantErr(t, alice.Serve(context.Background(), l), link.ErrClosed)
	})
}

func TestServeEndsWithItsContext(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		tr, _ := n.node(t)
		p := link.NewPool(tr, new(book).resolve, link.PoolConfig{})
		defer p.Close()
		l := listen(t, tr, n.any)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := p.Serve(ctx, l); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(); !errors.Is(err, link.ErrClosed) {
			t.Error("listener still open:", err)
		}
	})
}

// A hundred nodes talk to each other in one process.
func TestPoolManyNodes(t *testing.T) {
	const nodes = 100
	n := memNetwork(t, link.Limits{})
	var b book
	var all []*member
	for range nodes {
		tr, id := n.node(t)
		all = append(all, join(t, tr, id, &b, n.any, link.PoolConfig{}))
	}
	for i, m := range all {
		for j := 1; j <= 5; j++ {
			if err := m.Send(all[(i+j*j)%nodes].id, packet(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, m := range all {
		eventually(t, fmt.Sprint("node ", i), func() bool { return len(m.packets()) == 5 })
	}
}

func TestPoolDisconnect(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		alice, bob := n.pair(t, link.PoolConfig{}, link.PoolConfig{})
		alice.Send(bob.id, packet(1))
		eventually(t, "linked", func() bool { return len(bob.packets()) == 1 && len(alice.Links()) == 1 })
		alice.Disconnect(bob.id)
		eventually(t, "parted", func() bool { return count(alice.Pool) == 0 && count(bob.Pool) == 0 })
		if opened, closed := alice.Stats().Links(); opened != 1 || closed != 1 {
			t.Errorf("%d opened, %d closed", opened, closed)
		}
	})
}

// What waits for a removed node is dropped and it is no longer dialed.
func TestPoolDisconnectWhileDialing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		var b book
		ta, ida := n.node(t)
		d := &dials{Transport: ta}
		d.fail.Store(true)
		alice := join(t, d, ida, &b, "", link.PoolConfig{})
		_, idb := n.node(t)
		b.set(idb, "nowhere")
		alice.Send(idb, packet(1))
		synctest.Wait()
		alice.Disconnect(idb)
		time.Sleep(time.Minute)
		if alice.Stats().Dropped(link.Unsent) != 1 || d.n.Load() != 1 {
			t.Errorf("%d dials", d.n.Load())
		}
	})
}

// A listed peer that dials again replaces its former link.
func TestPoolNewestAcceptedLinkWins(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		var b book
		ta, ida := n.node(t)
		tb, idb := n.node(t)
		b.set(ida, "unused")
		bob := join(t, tb, idb, &b, n.any, link.PoolConfig{})
		var conns []link.Conn
		for range 3 {
			c, err := ta.Dial(background(t), bob.l.Addr(), idb)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Recv(background(t)); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		for _, c := range conns[:2] {
			_, err := c.Recv(background(t))
			wantErr(t, err, link.ErrClosed)
		}
		eventually(t, "one left", func() bool { return count(bob.Pool) == 1 })
		if err := bob.Send(ida, packet(4)); err != nil {
			t.Fatal(err)
		}
		if f, err := conns[2].Recv(background(t)); err != nil || number(f) != 4 {
			t.Error("newest link not used:", err)
		}
	})
}

func TestReasonsHaveNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range link.Reasons() {
		if s := r.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("reason %d is called %q", r, s)
		}
		seen[r.String()] = true
	}
	if link.Reason(200).String() != "unknown" || new(link.Stats).Dropped(200) != 0 {
		t.Error("a reason that does not exist")
	}
}
