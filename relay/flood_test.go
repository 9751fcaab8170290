package relay_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/chain/genesis"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/relay"
)

// TestEveryPacketOfAFloodIsAccountedFor floods a relay with small queues from
// relays and strangers, with junk, packets to pass on, to hold, to answer and
// seen before, and stops it in the midst: what came in is what went out, was
// delivered, or was dropped for a reason, nothing is left, and its neighbours
// account for theirs too.
func TestEveryPacketOfAFloodIsAccountedFor(t *testing.T) {
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		c.Links.AnonymousRate, c.Links.AnonymousBurst = 1e9, 1<<30
		c.Greet = -1
		if i == 0 {
			c.Queue, c.Delayed, c.Mailers, c.ReplayTags = 16, 8, 2, 400
		}
	})
	n.epoch()
	c := n.client(0)
	message := func() []byte {
		return mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(2, 0)}}.Encode()
	}
	slow := n.path(0, 1)
	slow[0].Delay = 900
	junk := n.wrap(n.path(0, 1), []byte("x"))
	junk[50] ^= 1
	var kinds [][]byte
	for range 40 {
		kinds = append(kinds, junk, n.wrap(n.path(0, 1), []byte("no command")), n.wrap(slow, message()), n.wrap(n.path(0), message()), n.wrap(n.path(0), nil))
	}
	// Through a relay, whose link waits where those of strangers lose.
	var through [][]byte
	for range 200 {
		through = append(through, n.wrap(n.path(1, 0, 2), []byte("no command")))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	flood := func(p *link.Pool, to int, packets [][]byte) {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if errors.Is(p.Send(n.nodes[to].ID(), packetFrame(packets[i%len(packets)])), link.ErrQueueFull) {
					time.Sleep(100 * time.Microsecond)
				}
			}
		})
	}
	for k := range byte(3) {
		flood(n.hubPool(90+k), 0, kinds)
	}
	flood(n.hubPool(99), 1, through)
	until(t, "much has come in", func() bool { return n.nodes[0].Counters().In > 20_000 })
	if err := n.nodes[0].stop(); err != nil {
		t.Fatal(err)
	}
	got := n.nodes[0].Counters()
	cancel()
	wg.Wait()
	if !got.Balanced() || got.Waiting != 0 {
		t.Fatalf("%+v", got)
	}
	for _, why := range []string{"overload", "header", "replay", "stopped"} {
		if got.Dropped[why] == 0 {
			t.Errorf("nothing was dropped for %s: %v", why, got.Dropped)
		}
	}
	if got.Forwarded == 0 || got.Delivered == 0 || got.Probes == 0 {
		t.Errorf("%+v", got)
	}
	n.nodes = n.nodes[1:]
	n.settled()
}

// TestQuietLinkDuringAFlood: what a link sends now and then is not lost while
// others send far more than the relay takes, one of them junk.
func TestQuietLinkDuringAFlood(t *testing.T) {
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		c.Links.AnonymousRate, c.Links.AnonymousBurst = 1e9, 1<<30
		c.Greet = -1
		if i == 0 {
			c.Workers, c.Queue = 1, 64
		}
	})
	n.epoch()
	good := n.wrap(n.path(0, 1), []byte("no command"))
	junk := bytes.Clone(good)
	junk[50] ^= 1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var refused atomic.Int64
	for k := range byte(3) {
		p, packet := n.hubPool(90+k), [][]byte{good, junk, junk}[k]
		wg.Go(func() {
			for ctx.Err() == nil {
				if p.Send(n.nodes[0].ID(), packetFrame(packet)) != nil {
					refused.Add(1)
					time.Sleep(50 * time.Microsecond)
				}
			}
		})
	}
	until(t, "the flood overflows", func() bool { return n.nodes[0].Counters().Dropped["overload"] > 1000 })
	c := n.client(0)
	for range 50 {
		c.send(n.wrap(n.path(0), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(1, 0)}}.Encode()))
		if r := c.reply(); r.Code != mail.CodeNone {
			t.Fatal(r.Code)
		}
	}
	before := n.nodes[0].Counters()
	until(t, "and still does", func() bool { return n.nodes[0].Counters().Dropped["overload"] > before.Dropped["overload"] })
}

// TestRelayWithThreadsOfItsOwn carries traffic and stops like any other.
func TestRelayWithThreadsOfItsOwn(t *testing.T) {
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) { c.OwnThreads, c.Workers = true, 2 })
	n.epoch()
	c := n.client(0)
	s, _, _ := storeCommand(n, genesis.Hour, 7)
	for range 3 {
		c.send(n.wrap(n.path(0, 1, 2, 3), mail.Command{Store: s, Replies: [][]byte{c.surb(4, 1, 0)}}.Encode()))
		if r := c.reply(); r.Code != mail.CodeStored {
			t.Fatal(r.Code)
		}
	}
	n.settled()
	for _, nd := range n.nodes {
		if err := nd.stop(); err != nil {
			t.Fatal(err)
		}
	}
}
