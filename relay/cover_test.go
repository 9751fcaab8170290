package relay_test

import (
	"crypto/rand"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/relay"
)

func covered(c *genesis.Core) {
	c.Params.Cover, c.Params.MixingMean, c.Params.StakingRequirement = true, 100, chain.TUN // which is what the test's ledger lists
}

// loops sums what relays have sent as cover, and what came back.
func (n *network) loops() (sent, back uint64) {
	for _, nd := range n.nodes {
		s := nd.Status().Cover
		sent, back = sent+s.Sent, back+s.Back
	}
	return sent, back
}

// TestCover: relays send loops at the rate that is stated, and all come back.
func TestCover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 6, covered, nil)
		n.epoch()
		before, _ := n.loops()
		const minutes = 3
		time.Sleep(minutes * time.Minute)
		sent, _ := n.loops()
		want := float64(6 * 60 * minutes)
		if got := float64(sent - before); math.Abs(got-want) > 6*math.Sqrt(want) {
			t.Errorf("%v loops, want %v", got, want)
		}
		// Each is under way for at most 3 s, and others leave meanwhile.
		if sent, back := n.loops(); sent-back > 100 {
			t.Errorf("%d of %d loops have not come back", sent-back, sent)
		}
		for _, nd := range n.nodes {
			c := nd.Counters()
			if !c.Balanced() || c.Lost() > 0 || c.Probes < 100 || c.Forwarded < 300 {
				t.Errorf("%+v", c)
			}
		}
	})
}

// TestCoverFindsLoss: what a link loses is missing from the loops.
func TestCoverFindsLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost atomic.Int64
		n := newNetwork(t, 6, covered, func(i int, c *relay.Config) {
			if i == 0 {
				c.Transport = &leaky{c.Transport, 10, &lost} // all that it sends
			}
		})
		n.epoch()
		time.Sleep(time.Minute)
		if s := n.nodes[0].Status().Cover; s.Sent < 30 || s.Back != 0 {
			t.Errorf("a relay with dead links: %+v", s)
		}
		s := n.nodes[1].Status().Cover
		if s.Sent < 30 || s.Back == 0 || s.Back > s.Sent-8 { // three in five go through the other
			t.Errorf("a relay beside one with dead links: %+v", s)
		}
	})
}

// TestAnswersAreDelayed: a guard holds what it has for its client for the delay
// that the client asked for, as it holds what comes from it.
func TestAnswersAreDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 5, nil, nil)
		n.epoch()
		c := n.client(0)
		ask := func(delay uint32) time.Duration {
			var id onion.SURBID
			rand.Read(id[:])
			hops := n.path(2, 0)
			hops[1].Delay = delay
			s, keys, err := onion.Small.NewSURB(rand.Reader, n.l.hash, onion.ExpiryOf(n.list().Epoch), hops, c.token, id)
			if err != nil {
				t.Fatal(err)
			}
			c.mu.Lock()
			c.keys[id] = &keys
			c.mu.Unlock()
			begin := time.Now()
			c.send(n.wrap(n.path(0, 1), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{s[:]}}.Encode()))
			c.reply()
			return time.Since(begin)
		}
		if d := ask(0); d > 100*time.Millisecond {
			t.Errorf("%v without delay", d)
		}
		if d := ask(700); d < 700*time.Millisecond || d > 800*time.Millisecond {
			t.Errorf("%v with a delay of 700 ms", d)
		}
		n.settled()
	})
}

// TestNoCover: none where genesis says so, none on a standing clock, none by a
// relay that was told so.
func TestNoCover(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*genesis.Core)
		tune   func(int, *relay.Config)
	}{
		"genesis":        {nil, nil},
		"standing clock": {covered, func(_ int, c *relay.Config) { c.StandingClock = true }},
		"told":           {covered, func(_ int, c *relay.Config) { c.Cover = -1 }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, 5, c.change, c.tune)
				n.epoch()
				time.Sleep(10 * time.Minute)
				if sent, _ := n.loops(); sent != 0 {
					t.Errorf("%d loops", sent)
				}
			})
		})
	}
}

// TestProbesLeaveAtTheirTimes: where the ledger is the clock and nobody moves it,
// probes leave between heads too; where it is moved, the last head takes the rest.
func TestProbesLeaveAtTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 5, func(c *genesis.Core) { c.Params.ProbesPerRelay = 20 }, nil)
		for range 3 {
			n.epoch()
		}
		sent := func() (s uint64) {
			for _, nd := range n.nodes {
				s += nd.Status().Probing.Sent
			}
			return s
		}
		before := sent()
		var at []uint64
		for range 15 { // the window is 7.5 s
			time.Sleep(500 * time.Millisecond)
			at = append(at, sent()-before)
		}
		all := at[len(at)-1]
		if all < 50 {
			t.Fatalf("%d probes in an epoch", all)
		}
		for i := 1; i < len(at)-1; i++ {
			if at[i] == at[i-1] { // by chance: once in 10,000
				t.Errorf("no probe in half second %d: %d", i, at)
			}
		}
		// Moved by hand, all leave before the last head of the epoch is over.
		n.epoch()
		before = sent()
		n.advance(4000)
		n.advance(4000)
		synctest.Wait()
		if got := sent() - before; got != all {
			t.Errorf("%d probes left in an epoch that was skipped through, want %d", got, all)
		}
	})
}

// TestAnswersOfOneCommandLeaveOneByOne: the answers to a poll do not leave their
// member at one moment.
func TestAnswersOfOneCommandLeaveOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 5, func(c *genesis.Core) { c.Params.MixingMean = 100 }, nil)
		n.epoch()
		c := n.client(0)
		poll := &mail.Poll{Kind: mail.KindPair, At: n.l.at().Time, Member: n.nodes[1].ID()} // unsigned: refused, and answered all the same
		var gaps []time.Duration
		for range 20 {
			c.send(n.wrap(n.path(0, 1), mail.Command{Poll: poll, Replies: [][]byte{c.surb(2, 0), c.surb(3, 0), c.surb(4, 0)}}.Encode()))
			c.reply()
			first := time.Now()
			for range 2 {
				c.reply()
				gaps = append(gaps, time.Since(first))
			}
		}
		var sum time.Duration
		together := 0
		for _, g := range gaps {
			sum += g
			if g < time.Millisecond {
				together++
			}
		}
		// One in a hundred is drawn below a millisecond.
		if mean := sum / time.Duration(len(gaps)); together > 5 || mean < 50*time.Millisecond || mean > 200*time.Millisecond {
			t.Errorf("%d of %d answers came with the first, %v after it on average", together, len(gaps), mean)
		}
		n.settled()
	})
}
