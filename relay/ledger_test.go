package relay_test

import (
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/relay"
)

func TestLedgerThatGoesAwayIsAskedAgain(t *testing.T) {
	n := newNetwork(t, 5, nil, func(_ int, c *relay.Config) { c.Greet = -1 })
	const twin = 77
	n.epoch()
	n.l.leave()
	// What stands in blocks meanwhile is not missed.
	seq := statement.NewSequence(2, 3)
	n.l.Submit(t.Context(), n.descriptorOf(twin, seq, "1.0.0").Encode())
	n.l.seal(n.l.at().Time+chain.Time(n.l.core.Params.EpochLength), nil)
	n.l.seal(n.l.at().Time+1000, nil)
	// Packets still go by the lists that relays have.
	n.l.mu.Lock()
	list := n.l.lists[2]
	n.l.lists[2] = n.l.lists[1]
	n.l.mu.Unlock()
	c := n.client(0)
	c.send(n.wrap(n.path(0, 1), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(1, 0)}}.Encode()))
	if r := c.reply(); r.Code != mail.CodeNone {
		t.Fatal(r.Code)
	}
	n.l.mu.Lock()
	n.l.lists[2], n.l.away = list, false
	n.l.mu.Unlock()
	for _, nd := range n.nodes {
		nd.reaches(t, n.l.at().Height)
	}
	p := n.hubPool(twin)
	p.Send(n.nodes[0].ID(), helloFrame(n.descriptorOf(twin, seq, "1.0.1").Encode(), nil))
	until(t, "report", func() bool { return len(n.l.submitted(statement.LabelProof, n.nodes[0].ID())) == 1 })
}

func TestListThatIsMissingIsFetchedAtTheNextHead(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	n.l.mu.Lock()
	n.l.away = true // of calls alone: the streams go on
	n.l.mu.Unlock()
	n.epoch()
	if s := n.nodes[0].Status(); s.Relays != 0 || s.Epoch != 2 || s.State != "waiting for the directory" {
		t.Fatalf("%+v", s)
	}
	n.l.mu.Lock()
	n.l.away = false
	n.l.mu.Unlock()
	n.advance(1000)
	if s := n.nodes[0].Status(); s.Relays != 5 {
		t.Fatalf("%+v", s)
	}
}

func TestGreetingsFindAnEquivocationWithoutTraffic(t *testing.T) {
	n := newNetwork(t, 5, nil, func(_ int, c *relay.Config) { c.Greet = 4 })
	n.epoch()
	for range 3 {
		n.epoch()
	}
	until(t, "links", func() bool {
		for _, nd := range n.nodes {
			if nd.Status().Links == 0 || nd.Counters().BadHello != 0 {
				return false
			}
		}
		return true
	})
}

// TestRealClockOverTLS runs relays as daemons do: TLS links, endpoints with
// ports that the system chose, and the machine's clock.
func TestRealClockOverTLS(t *testing.T) {
	n := newNetwork(t, 4, func(c *genesis.Core) {
		c.Clock, c.Time = genesis.ClockReal, chain.Time(time.Now().UnixMilli())
		c.Params.EpochLength, c.Params.HeartbeatEvery = genesis.Hour, 300
	}, func(i int, c *relay.Config) {
		tr, err := link.NewTLS(link.Config{Identity: c.Identity, BodySize: relay.BodySize(c.Core)})
		if err != nil {
			t.Fatal(err)
		}
		c.Transport, c.Endpoints, c.Listen = tr, nil, []string{"127.0.0.1:0"}
	})
	// Between heads the clock makes heartbeats due.
	id := n.nodes[0].ID()
	until(t, "heartbeats", func() bool { return len(n.l.submitted(statement.LabelHeartbeat, id)) >= 3 })
	for _, s := range n.l.submitted(statement.LabelHeartbeat, id) {
		if s.Sequence.Epoch() != 1 {
			t.Fatalf("heartbeat for epoch %d", s.Sequence.Epoch())
		}
	}
	n.epoch()
	c := n.tlsClient(0)
	c.send(n.wrap(n.path(0, 1, 2, 3), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(2, 1, 0)}}.Encode()))
	if r := c.reply(); r.Code != mail.CodeNone {
		t.Fatal(r.Code)
	}
	n.settled()
}
