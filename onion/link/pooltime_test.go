package link_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/chain"
	"tunic/onion/link"
)

// The tests of this file run on synctest's clock, over the transport in memory.

func TestIdleLinksClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		alice, bob := n.pair(t, link.PoolConfig{IdleTimeout: time.Minute, AcceptIdleTimeout: time.Hour}, link.PoolConfig{IdleTimeout: time.Minute, AcceptIdleTimeout: time.Hour})
		for range 10 {
			alice.Send(bob.id, packet(1))
			time.Sleep(50 * time.Second)
		}
		if len(alice.opened()) != 1 || count(bob.Pool) != 1 {
			t.Fatal("a busy link was closed")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if count(alice.Pool) != 0 || count(bob.Pool) != 0 || bob.closed != 1 {
			t.Fatal("an idle link is open")
		}
		alice.Send(bob.id, packet(2))
		synctest.Wait()
		if len(bob.packets()) != 11 {
			t.Fatal("no new link on demand")
		}
	})
}

// An accepted link whose dialer never closes it ends too.
func TestIdleAcceptedLinksClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		var b book
		tb, idb := n.node(t)
		bob := join(t, tb, idb, &b, "", link.PoolConfig{})
		c, err := n.client(t).Dial(t.Context(), bob.l.Addr(), idb)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(13 * time.Minute)
		synctest.Wait()
		if count(bob.Pool) != 0 {
			t.Error("still open")
		}
		c.Close()
	})
}

// dials counts the dials of a transport, and may make them fail.
type dials struct {
	link.Transport
	n    atomic.Int64
	fail atomic.Bool
}

func (d *dials) Dial(ctx context.Context, endpoint string, peer chain.NodeID) (link.Conn, error) {
	d.n.Add(1)
	if d.fail.Load() {
		return nil, link.ErrUnreachable
	}
	return d.Transport.Dial(ctx, endpoint, peer)
}

func TestBackoffAndGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		var b book
		ta, ida := n.node(t)
		tb, idb := n.node(t)
		d := &dials{Transport: ta}
		alice := join(t, d, ida, &b, "", link.PoolConfig{})
		bob := join(t, tb, idb, &b, "", link.PoolConfig{})
		d.fail.Store(true)
		if err := alice.Send(idb, packet(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		// 250 ms doubling, each shortened by at most half: 5 to 8 tries in 15 s.
		if k := d.n.Load(); k < 5 || k > 8 {
			t.Errorf("%d dials in 15 s", k)
		}
		if alice.Stats().Dropped(link.DialFailed) != 1 {
			t.Error("the frame is not counted as dropped")
		}
		wantErr(t, alice.Send(idb, packet(2)), link.ErrUnreachable)
		// Once the pause is over, a frame starts one attempt at a time.
		time.Sleep(time.Minute)
		before := d.n.Load()
		if err := alice.Send(idb, packet(3)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d.n.Load() != before+1 {
			t.Errorf("%d dials, want one", d.n.Load()-before)
		}
		wantErr(t, alice.Send(idb, packet(4)), link.ErrUnreachable)
		// And when the peer is back, everything is.
		d.fail.Store(false)
		time.Sleep(2 * time.Minute)
		if err := alice.Send(idb, packet(5)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := bob.packets(); len(got) != 1 || got[0] != 5 {
			t.Errorf("bob has %v", got)
		}
	})
}

// A peer that accepts and hangs up at once is not dialed in a tight loop.
func TestShortLinksBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		var b book
		ta, ida := n.node(t)
		tb, idb := n.node(t)
		d := &dials{Transport: ta}
		alice := join(t, d, ida, &b, "", link.PoolConfig{})
		l := listen(t, tb, "")
		b.set(idb, l.Addr())
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		for range 6000 {
			alice.Send(idb, packet(1))
			time.Sleep(10 * time.Millisecond)
		}
		if k := d.n.Load(); k > 15 {
			t.Errorf("%d dials in a minute", k)
		}
		l.Close()
	})
}

// A peer that dials while it is being dialed takes the frames that wait.
func TestWaitingFramesTakeThePeersLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		var b book
		ta, ida := n.node(t)
		tb, idb := n.node(t)
		d := &dials{Transport: ta}
		d.fail.Store(true)
		alice := join(t, d, ida, &b, "", link.PoolConfig{})
		bob := join(t, tb, idb, &b, "", link.PoolConfig{})
		alice.Send(idb, packet(1))
		synctest.Wait()
		bob.Send(ida, packet(2))
		synctest.Wait()
		if len(alice.packets()) != 1 || len(bob.packets()) != 1 {
			t.Errorf("alice %v, bob %v", alice.packets(), bob.packets())
		}
		time.Sleep(time.Minute)
		if alice.Stats().Dropped(link.DialFailed) != 0 {
			t.Error("counted as failed")
		}
	})
}

func TestSimultaneousDialUsesOneLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		alice, bob := n.pair(t, link.PoolConfig{}, link.PoolConfig{})
		for range 100 {
			alice.Send(bob.id, packet(1))
			bob.Send(alice.id, packet(1))
			time.Sleep(10 * time.Second)
		}
		if k := count(alice.Pool); k != 1 || count(bob.Pool) != 1 {
			t.Errorf("%d links left, want the one in use", k)
		}
		if len(alice.packets()) != 100 || len(bob.packets()) != 100 {
			t.Error("frames lost:", len(alice.packets()), len(bob.packets()))
		}
	})
}

func TestPendingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		var b book
		ta, ida := n.node(t)
		d := &dials{Transport: ta}
		d.fail.Store(true)
		alice := join(t, d, ida, &b, "", link.PoolConfig{Pending: 3, PendingTotal: 5, MaxPeers: 3})
		var ids []chain.NodeID
		for range 4 {
			_, id := newKey()
			b.set(id, "nowhere")
			ids = append(ids, id)
		}
		send := func(peer int, want error) {
			t.Helper()
			if err := alice.Send(ids[peer], packet(0)); !errors.Is(err, want) {
				t.Errorf("peer %d: %v, want %v", peer, err, want)
			}
		}
		for range 3 {
			send(0, nil)
		}
		send(0, link.ErrQueueFull) // for one peer
		send(1, nil)
		send(2, nil)
		send(3, link.ErrLimit)     // peers
		send(2, link.ErrQueueFull) // for all peers
		alice.Close()
		if d := alice.Stats().Dropped(link.DialFailed); d != 5 {
			t.Errorf("%d waiting frames counted as dropped, want 5", d)
		}
	})
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{QueueFrames: 1000})
		var b book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &b, "", link.PoolConfig{AnonymousRate: 10, AnonymousBurst: 20, MaxExcess: 100})
		client := join(t, n.client(t), chain.NodeID{}, &b, "", link.PoolConfig{})
		client.Send(idg, packet(0)) // with the hello two of the burst
		synctest.Wait()
		for range 68 {
			client.Send(idg, packet(0))
		}
		synctest.Wait()
		if got := len(guard.packets()); got != 19 {
			t.Errorf("%d packets passed, want 19", got)
		}
		// After each eight that were dropped the link is not read for 10 ms.
		if k := guard.Stats().Dropped(link.RateLimited); k != 8 {
			t.Errorf("%d dropped at once, want 8", k)
		}
		time.Sleep(65 * time.Millisecond)
		synctest.Wait()
		if k := guard.Stats().Dropped(link.RateLimited); k != 50 || guard.opened()[0].Dropped() != 50 {
			t.Errorf("%d dropped, want 50", k)
		}
		time.Sleep(time.Second)
		client.Send(idg, packet(0))
		synctest.Wait()
		if got := len(guard.packets()); got != 20 {
			t.Error("no tokens after a second")
		}
		for range 200 {
			client.Send(idg, packet(0))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if count(guard.Pool) != 0 {
			t.Error("a flooding link is open")
		}
		// A listed node has no such limit.
		tr, idr := n.node(t)
		relay := join(t, tr, idr, &b, "", link.PoolConfig{})
		before := len(guard.packets())
		relay.Send(idg, packet(0))
		synctest.Wait()
		for range 500 {
			relay.Send(idg, packet(0))
		}
		synctest.Wait()
		if got := len(guard.packets()) - before; got != 501 {
			t.Errorf("guard has %d packets of a listed node", got)
		}
	})
}

// A node that the directory lists only after its link has opened is no longer
// held to the limits for clients.
func TestLateListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		var early, late book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &late, "", link.PoolConfig{AnonymousRate: 1, AnonymousBurst: 5, MaxAnonymous: 2, PuzzleAbove: 1, PuzzleBits: 8})
		early.set(idg, guard.l.Addr())
		var nodes []*member
		for range 2 {
			tr, id := n.node(t)
			m := join(t, tr, id, &early, "", link.PoolConfig{})
			if err := m.Send(idg, packet(0)); err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, m)
		}
		synctest.Wait()
		if _, anon := guard.Count(); anon != 2 {
			t.Fatal("unlisted nodes are not counted as anonymous")
		}
		for _, m := range nodes {
			late.set(m.id, "listed now")
			for range 100 {
				m.Send(idg, packet(0))
			}
		}
		synctest.Wait()
		if _, anon := guard.Count(); anon != 0 || len(guard.packets()) != 202 {
			t.Errorf("%d anonymous, %d packets", anon, len(guard.packets()))
		}
	})
}

// A challenged node that is listed before it answers is admitted, and its late
// answer is no offence; a second one is.
func TestListedWhileChallenged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memNetwork(t, link.Limits{})
		var b book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &b, "", link.PoolConfig{MaxAnonymous: 10, PuzzleAbove: 1, PuzzleBits: 20})
		first, err := n.client(t).Dial(t.Context(), guard.l.Addr(), idg)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		tr, id := n.node(t)
		c, err := tr.Dial(t.Context(), guard.l.Addr(), idg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Send(packet(1))
		synctest.Wait()
		if len(guard.packets()) != 0 {
			t.Fatal("not held")
		}
		b.set(id, "listed now")
		late := link.Frame{Type: 5, Data: make([]byte, 8)}
		c.Send(packet(2))
		c.Send(late)
		c.Send(packet(3))
		synctest.Wait()
		if got := guard.packets(); len(got) != 3 || got[0] != 1 || got[2] != 3 {
			t.Errorf("packets %v", got)
		}
		c.Send(late)
		synctest.Wait()
		if count(guard.Pool) != 1 {
			t.Error("a second answer is taken")
		}
	})
}

func TestPuzzleRefusals(t *testing.T) {
	answer := func(x uint64) link.Frame {
		return link.Frame{Type: 5, Data: binary.BigEndian.AppendUint64(nil, x)}
	}
	open := func(t *testing.T, above int) (*member, link.Conn) {
		n := memNetwork(t, link.Limits{})
		var b book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &b, "", link.PoolConfig{MaxAnonymous: 10, PuzzleAbove: above, PuzzleBits: 20})
		c, err := n.client(t).Dial(t.Context(), guard.l.Addr(), idg)
		if err != nil {
			t.Fatal(err)
		}
		first, err := c.Recv(t.Context())
		if err != nil || above >= 0 && first.Type == link.Hello {
			t.Fatal("no challenge:", first.Type, err)
		}
		t.Cleanup(func() { c.Close() })
		return guard, c
	}
	// Above 0 links every newcomer is asked: set by a first link that stays.
	full := func(t *testing.T) (*member, link.Conn) {
		n := memNetwork(t, link.Limits{})
		var b book
		tg, idg := n.node(t)
		guard := join(t, tg, idg, &b, "", link.PoolConfig{MaxAnonymous: 10, PuzzleAbove: 1, PuzzleBits: 20})
		var c link.Conn
		for range 2 {
			var err error
			if c, err = n.client(t).Dial(t.Context(), guard.l.Addr(), idg); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
		if f, err := c.Recv(t.Context()); err != nil || f.Type != 4 {
			t.Fatal("no challenge:", f.Type, err)
		}
		return guard, c
	}
	closed := func(t *testing.T, guard *member, want int) {
		t.Helper()
		synctest.Wait()
		if count(guard.Pool) != want {
			t.Errorf("%d links, want %d", count(guard.Pool), want)
		}
	}
	t.Run("wrong answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			guard, c := full(t)
			c.Send(answer(0))
			closed(t, guard, 1)
		})
	})
	t.Run("no answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			guard, c := full(t)
			for range 10 {
				c.Send(packet(1))
			}
			synctest.Wait()
			if d := guard.Stats().Dropped(link.Unadmitted); d != 2 {
				t.Errorf("%d dropped over the eight held", d)
			}
			time.Sleep(16 * time.Second)
			closed(t, guard, 1)
			if len(guard.packets()) != 0 || guard.Stats().Dropped(link.Unadmitted) != 10 {
				t.Error("packets passed or were not counted")
			}
		})
	})
	t.Run("answer nobody asked for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			guard, c := open(t, -1)
			c.Send(answer(0))
			closed(t, guard, 0)
		})
	})
	t.Run("challenge to a guard", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			guard, c := open(t, -1)
			c.Send(link.Frame{Type: 4, Data: make([]byte, 17)})
			closed(t, guard, 0)
		})
	})
	t.Run("too hard for a client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := memNetwork(t, link.Limits{})
			var b book
			tg, idg := n.node(t)
			l := listen(t, tg, "")
			b.set(idg, l.Addr())
			client := join(t, n.client(t), chain.NodeID{}, &b, "", link.PoolConfig{})
			client.Send(idg, packet(1))
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Send(link.Frame{Type: 4, Data: append([]byte{link.MaxPuzzleBits + 1}, make([]byte, 16)...)})
			closed(t, client, 0)
			c.Close()
		})
	})
}
