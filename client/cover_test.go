package client_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/chain"
	"tunic/client"
	"tunic/onion/link"
)

// watched is a client's transport with somebody at the wire: when packets leave
// and come, and by which guard.
type watched struct {
	link.Transport
	mu     sync.Mutex
	left   []time.Time
	guards map[chain.NodeID]int
	came   int
}

func (w *watched) Dial(ctx context.Context, at string, peer chain.NodeID) (link.Conn, error) {
	c, err := w.Transport.Dial(ctx, at, peer)
	if err != nil {
		return nil, err
	}
	return &watchedConn{c, w, peer}, nil
}

type watchedConn struct {
	link.Conn
	w    *watched
	peer chain.NodeID
}

func (c *watchedConn) Send(f link.Frame) error {
	if f.Type == link.Packet {
		c.w.mu.Lock()
		c.w.left = append(c.w.left, time.Now())
		c.w.guards[c.peer]++
		c.w.mu.Unlock()
	}
	return c.Conn.Send(f)
}

func (c *watchedConn) Recv(ctx context.Context) (link.Frame, error) {
	f, err := c.Conn.Recv(ctx)
	if err == nil && f.Type == link.Packet {
		c.w.mu.Lock()
		c.w.came++
		c.w.mu.Unlock()
	}
	return f, err
}

// gaps are the times between what left, in seconds, ascending, of the part of the
// capture that is given.
func (w *watched) gaps(from, to int) []float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []float64
	for i := from + 1; i < min(to, len(w.left)); i++ {
		out = append(out, w.left[i].Sub(w.left[i-1]).Seconds())
	}
	slices.Sort(out)
	return out
}

func (w *watched) count() (left, came int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.left), w.came
}

// used reports whether packets have left by a guard.
func (w *watched) used(guard chain.NodeID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.guards[guard] > 0
}

const pace = 200 * time.Millisecond

// covers makes a client send cover, with the pace and polls of a network in
// earnest; seed fixes its draws.
func covers(w *watched, seed byte) func(*client.Config) {
	w.guards = map[chain.NodeID]int{}
	return func(c *client.Config) {
		w.Transport, c.Transport = c.Transport, w
		c.Core.Params.Cover = true
		c.Pace, c.Poll, c.Resend, c.Timeout, c.Rate = pace, 10*time.Second, 5*time.Minute, 3*time.Second, 0
		c.Rand = rand.NewChaCha8([32]byte{seed})
	}
}

// reaches waits for as long as polls of a network in earnest may take.
func (p *person) reaches(id client.MessageID, want client.State) {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if s, _ := p.Status(id); s.State == want {
			return
		}
	}
	p.t.Fatalf("the message is not %s", want)
}

// chance is what the greatest distance between two distributions, or of one from
// its law, times the root of the number of draws, exceeds three times in a
// million (Kolmogorov and Smirnov).
const chance = 2.6

func fromLaw(sorted []float64, mean time.Duration) (most float64) {
	n := float64(len(sorted))
	for i, x := range sorted {
		law := 1 - math.Exp(-x/mean.Seconds())
		most = max(most, law-float64(i)/n, float64(i+1)/n-law)
	}
	return most * math.Sqrt(n)
}

func apart(a, b []float64) (most float64) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if a[i] <= b[j] {
			i++
		} else {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	n, m := float64(len(a)), float64(len(b))
	return most * math.Sqrt(n*m/(n+m))
}

// TestOneClock: what leaves a client is one Poisson process, whether its user
// writes or not, and without cover it is not.
func TestOneClock(t *testing.T) {
	const packets = 1000
	// capture is a client's link while its user does nothing, and then while he
	// writes every few seconds.
	capture := func(t *testing.T, cover client.Cover) (idle, busy []float64) {
		synctest.Test(t, func(t *testing.T) {
			n := newFakeNet(t, 8)
			var w, w2 watched
			alice := n.person("alice", covers(&w, 1), func(c *client.Config) { c.Cover = cover }).ready()
			bob := n.person("bob", covers(&w2, 2), func(c *client.Config) { c.Cover = client.CoverOff }).ready()
			alice.add(bob)
			alice.reaches(alice.send(bob, "the first"), client.Delivered)
			begin, _ := w.count()
			left := begin
			for end := time.Now().Add(30 * time.Minute); left-begin < packets && time.Now().Before(end); {
				time.Sleep(time.Second)
				left, _ = w.count()
			}
			idle = w.gaps(begin, left)
			begin = left
			for i := 0; left-begin < packets; i++ {
				alice.send(bob, "a text of one part")
				time.Sleep(time.Duration(1+i%4) * time.Second)
				left, _ = w.count()
			}
			busy = w.gaps(begin, left)
		})
		return idle, busy
	}
	idle, busy := capture(t, client.CoverOn)
	for what, got := range map[string]float64{
		"idle, from an exponential": fromLaw(idle, pace),
		"busy, from an exponential": fromLaw(busy, pace),
		"idle from busy":            apart(idle, busy),
	} {
		t.Logf("%s: %.2f", what, got)
		if got > chance {
			t.Errorf("gaps of %s: %.2f, which is no chance", what, got)
		}
	}
	idle, busy = capture(t, client.CoverOff)
	if a, b := apart(idle, busy), fromLaw(busy, pace); a < 2*chance || b < 2*chance {
		t.Errorf("without cover: idle from busy %.2f, busy from an exponential %.2f: the same test finds nothing", a, b)
	}
}

// TestBurstDrains: what is too much for the clock waits and leaves in its turn,
// one packet a tick, and is delivered.
func TestBurstDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 8)
		var w, w2 watched
		alice, bob := n.person("alice", covers(&w, 3)).ready(), n.person("bob", covers(&w2, 4)).ready()
		alice.add(bob)
		alice.reaches(alice.send(bob, "the first"), client.Delivered)
		before, _ := w.count()
		begin := time.Now()
		id := alice.send(bob, string(slices.Repeat([]byte("x"), 60_000)))
		alice.reaches(id, client.Stored)
		took := time.Since(begin)
		left, _ := w.count()
		parts := 54 // of 1,113 bytes
		if left-before < parts {
			t.Errorf("%d parts in %d packets", parts, left-before)
		}
		want := took.Seconds() / pace.Seconds()
		if got := float64(left - before); math.Abs(got-want) > 6*math.Sqrt(want) {
			t.Errorf("%v packets in %v, not about %.0f", got, took, want)
		}
		// As fast as the clock allows: what is stored is most of what leaves.
		if left-before > 3*parts {
			t.Errorf("%d packets until %d parts were stored", left-before, parts)
		}
	})
}

// TestLoopsFindBadHops: with nobody to write to, a client finds a relay that
// drops packets by its loops, keeps away from it, and leaves a guard that does.
func TestLoopsFindBadHops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 9)
		var w watched
		alice := n.person("alice", covers(&w, 5)).ready()
		guard, ok := alice.Guard()
		if !ok {
			t.Fatal("no guard")
		}
		time.Sleep(time.Minute)
		left, came := w.count()
		if left < 200 || came < left-30 {
			t.Fatalf("%d packets left, %d came", left, came)
		}
		var bad *fakeRelay
		for _, r := range n.relays {
			if !w.used(r.id) {
				bad = r
			}
		}
		bad.fault(func(f *fakeFaults) { f.dead = true })
		time.Sleep(time.Minute)
		dropped := bad.count(func(r *fakeRelay) int { return r.dropped })
		if dropped == 0 || dropped > 60 {
			t.Errorf("%d packets went through a relay that drops all", dropped)
		}
		time.Sleep(5 * time.Minute) // of the ten for which it is avoided
		if more := bad.count(func(r *fakeRelay) int { return r.dropped }) - dropped; more > 5 {
			t.Errorf("%d more went there", more) // polls and heads that are addressed to it
		}
		n.relay(guard).fault(func(f *fakeFaults) { f.dead = true })
		time.Sleep(time.Minute)
		if now, _ := alice.Guard(); now == guard {
			t.Error("the guard drops all, and is still used")
		}
		before, _ := w.count()
		time.Sleep(time.Minute)
		if after, _ := w.count(); after-before < 200 {
			t.Errorf("%d packets in a minute behind another guard", after-before)
		}
	})
}

// TestChangedLoopIsLost: a loop whose payload comes back changed counts as lost.
func TestChangedLoopIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 9)
		var w watched
		alice := n.person("alice", covers(&w, 6)).ready()
		guard, _ := alice.Guard()
		n.relay(guard).fault(func(f *fakeFaults) { f.garble = true })
		time.Sleep(time.Minute)
		if now, _ := alice.Guard(); now == guard {
			t.Error("the guard changes all, and is still used")
		}
	})
}

// TestSmallNetworkLoops: where there are too few relays for a long loop, shorter
// ones are sent.
func TestSmallNetworkLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 4)
		var w watched
		n.person("alice", covers(&w, 7)).ready()
		time.Sleep(time.Minute)
		if left, came := w.count(); left < 200 || came < left-30 {
			t.Errorf("%d packets left, %d came", left, came)
		}
	})
}

// TestPollsAreDrawn: with cover polls have their rate, drawn from the ticks of the
// one clock, and the time before one is like any other.
func TestPollsAreDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 8)
		var w watched
		n.person("alice", covers(&w, 8), func(c *client.Config) { c.Pace = time.Second }).ready()
		before, cameBefore := w.count()
		time.Sleep(30 * time.Minute)
		left, came := w.count()
		// A poll brings two answers more than anything else.
		polls := float64((came-cameBefore)-(left-before)) / 2
		if want := 180.; math.Abs(polls-want) > 6*math.Sqrt(want) {
			t.Errorf("%v polls in half an hour, want about %v", polls, want)
		}
		if got := fromLaw(w.gaps(before, left), time.Second); got > chance {
			t.Errorf("gaps: %.2f from an exponential, which is no chance", got)
		}
	})
}
