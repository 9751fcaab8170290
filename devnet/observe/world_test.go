package observe

import (
	"context"
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/client"
	"tunic/devnet"
	"tunic/internal/flaw"
	"tunic/onion/mail"
)

// More of both makes the questions sharper; `go test ./devnet/observe -v -people 48 -days 4` asks for more.
var (
	people = flag.Int("people", 24, "how many accounts there are, a multiple of three")
	days   = flag.Int("days", 3, "how many days are watched")
)

const (
	day   = chain.Time(24 * genesis.Hour)
	steps = 8 // moments of a day at which people write
)

// crowd is people who know each other and nobody else. What their clients go without
// is what the observer is to find there, and not where they go without nothing.
type crowd struct {
	name        string
	flaws       flaw.Set
	first, size int   // its people
	asks        []int // how many others its people ask, in turn; each is asked by as many as the mean
	ends        int   // every so many-th conversation ends with the first contact; 0: none
	watched     bool  // each of its first contacts is made alone

	pairs []*pair
}

// pair is one direction of a conversation.
type pair struct {
	from, to int
	a, b     int // the conversation: who asked first, and whom
	ended    bool
	volume   float64 // texts a day, on average
	habit    int     // when in the day
	length   int     // of a text, on average
}

// world is a network, what its people do, and what its relays see.
type world struct {
	*devnet.Network
	t      *testing.T
	sight  *sight
	crowds []*crowd
	open   []text // not confirmed, as far as was looked
	rand   *rand.Rand

	mu    sync.Mutex
	boxes map[uint64]map[mail.ID]*pair // by day, in truth
	got   []map[int]int                // texts by recipient and sender, on the days watched
	where map[client.MessageID]bool    // those whose mailbox is known
}

// text is one that was sent.
type text struct {
	from, to int
	id       client.MessageID
}

// start runs a network of people. Each was asked by as many others as everybody else
// of its crowd, so that first contacts say nothing; it asked fewer or more.
func start(t *testing.T, epoch chain.Duration) *world {
	t.Helper()
	p, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	p.EpochLength, p.HeartbeatEvery, p.HeartbeatValid = epoch, epoch/2, 3*epoch
	p.UnlockDelay, p.DeregisterLock = epoch+20*genesis.Day, epoch+40*genesis.Day
	p.MixingMean, p.Cover, p.Subnets = 0, false, true
	p.SwarmTarget, p.SwarmLeast = 3, 2
	p.MailboxTTL = 36 * genesis.Hour // the mailboxes of two days are read
	r := rand.New(rand.NewPCG(7, 7))
	w := &world{t: t, sight: newSight(), boxes: map[uint64]map[mail.ID]*pair{}, where: map[client.MessageID]bool{}, rand: r,
		crowds: []*crowd{
			{name: "as they are", size: *people, asks: []int{0, 1, 5}, watched: true},
			{name: "without rotation", size: 9, asks: []int{1, 2, 3}, ends: 3, watched: true, flaws: flaw.Set{}.WithoutRotation()},
			{name: "without padding", size: 9, asks: []int{2}, flaws: flaw.Set{}.WithoutPadding()},
		}}
	var flaws []flaw.Set
	for _, c := range w.crowds {
		c.first = len(flaws)
		for range c.size {
			flaws, w.got = append(flaws, c.flaws), append(w.got, map[int]int{})
		}
		c.acquaint(r)
	}
	n, err := devnet.Start(t.Context(), devnet.Spec{Relays: 6, Clients: len(flaws), Hops: 2, Poll: time.Second, Resend: time.Hour,
		Seed: 7, Profile: genesis.Private, Params: &p, AtOnce: true, WrapStore: w.sight.wrap, Flaws: func(i int) flaw.Set { return flaws[i] }})
	if err != nil {
		t.Fatal(err)
	}
	w.Network = n
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	w.sight.mu.Lock()
	w.sight.clock = func() chain.Time { return n.Ledger.Head().Header.Time }
	w.sight.mu.Unlock()
	return w
}

// acquaint draws who asks whom, and how they will write.
func (c *crowd) acquaint(r *rand.Rand) {
	var askers []int // one for each contact that somebody asks
	sum := 0
	for _, n := range c.asks {
		sum += n
	}
	each := sum / len(c.asks)
	for i := range c.size {
		for range c.asks[i%len(c.asks)] {
			askers = append(askers, c.first+i)
		}
	}
	known := map[[2]int]bool{}
	for try := 0; len(known) < len(askers) && try < 1000; try++ {
		clear(known)
		r.Shuffle(len(askers), func(i, j int) { askers[i], askers[j] = askers[j], askers[i] })
		for i, a := range askers {
			b := c.first + i/each
			if a == b || known[[2]int{a, b}] || known[[2]int{b, a}] {
				break
			}
			known[[2]int{a, b}] = true
		}
	}
	for i := range len(known) {
		a, b := askers[i], c.first+i/each
		ended := c.ends > 0 && r.IntN(c.ends) == 0
		habit := r.IntN(steps)
		for _, x := range [][2]int{{a, b}, {b, a}} {
			c.pairs = append(c.pairs, &pair{from: x[0], to: x[1], a: a, b: b, ended: ended, habit: habit, length: 10 + r.IntN(700),
				volume: math.Pow(8, r.Float64())}) // 1 to 8, small numbers more often
		}
	}
}

// live are the pairs that write on after the first contact.
func (c *crowd) live() (out []*pair) {
	for _, p := range c.pairs {
		if !p.ended {
			out = append(out, p)
		}
	}
	return out
}

// listen learns in which mailboxes the texts of an account lie, from its receipts.
func (w *world) listen(ctx context.Context, c *crowd, i int) {
	of := map[mail.AccountID]*pair{}
	for _, p := range c.pairs {
		if p.from == i {
			of[w.Clients[p.to].ID()] = p
		}
	}
	events := w.Clients[i].Subscribe(ctx)
	go func() {
		for e := range events {
			if e.Kind != client.EventStatus || len(e.Status.Receipts) == 0 {
				continue
			}
			s, err := statement.Decode(e.Status.Receipts[0])
			if err != nil {
				continue
			}
			x, err := statement.DecodeReceipt(s.Body)
			if err != nil {
				continue
			}
			w.sight.mu.Lock()
			box, ok := w.sight.of[x.Deleter]
			w.sight.mu.Unlock()
			if !ok {
				continue
			}
			w.mu.Lock()
			if !w.where[e.Status.ID] {
				w.where[e.Status.ID] = true
				n := uint64((e.Status.Sent - w.Genesis.Time) / day)
				if w.boxes[n] == nil {
					w.boxes[n] = map[mail.ID]*pair{}
				}
				w.boxes[n][box] = of[e.Status.Contact]
			}
			w.mu.Unlock()
		}
	}()
}

// meet lets everybody write once to whom it asks, and waits for the answers. Members
// hold back what was sent until all have written: so the observer sees of each first
// contact that is watched, alone, whose request came and which mailbox was begun.
func (w *world) meet() {
	w.t.Helper()
	ctx := w.t.Context()
	for _, c := range w.crowds {
		for i := c.first; i < c.first+c.size; i++ {
			w.listen(ctx, c, i)
			if err := w.Clients[i].Ready(ctx); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.sight.hold(true)
	for _, c := range w.crowds {
		for _, p := range c.pairs {
			if p.from != p.a {
				continue
			}
			if err := w.Clients[p.from].AddContact(w.Clients[p.to].ID(), ""); err != nil {
				w.t.Fatal(err)
			}
			w.sight.look()
			w.send(p, false)
			if c.watched {
				w.settle(client.Stored)
				w.sight.tie()
			}
		}
	}
	w.settle(client.Stored)
	w.sight.hold(false)
	w.readAll()
}

// readAll lets everybody read everything.
func (w *world) readAll() {
	w.t.Helper()
	for range 50 {
		if w.open = w.short(client.Delivered); len(w.open) == 0 {
			return
		}
		readers := map[int]bool{} // who has something to read: a text, or a confirmation
		for _, x := range w.open {
			readers[x.from], readers[x.to] = true, true
		}
		w.read(func(i int) bool { return readers[i] })
	}
	w.t.Fatalf("%d texts are not confirmed, whatever their readers ask", len(w.open))
}

// read lets some read, whatever the clock of polls says, and waits until their answers
// are stored.
func (w *world) read(who func(i int) bool) {
	w.t.Helper()
	w.sight.hush(true)
	defer w.sight.hush(false)
	var wg sync.WaitGroup
	for i, c := range w.Clients {
		if !who(i) {
			continue
		}
		wg.Go(func() {
			err := c.PollNow(w.t.Context())
			if err == nil || errors.Is(err, client.ErrTimeout) { // a slow machine: they are asked again
				err = c.Flush(w.t.Context())
			}
			if err != nil {
				w.t.Error(err)
			}
		})
	}
	if wg.Wait(); w.t.Failed() {
		w.t.FailNow()
	}
}

// short are the texts that have not come so far.
func (w *world) short(state client.State) (out []text) {
	for _, x := range w.open {
		if !w.came(x, state) {
			out = append(out, x)
		}
	}
	return out
}

func (w *world) came(x text, state client.State) bool {
	s, _ := w.Clients[x.from].Status(x.id)
	if s.State == client.Expired || s.State == client.Failed {
		w.t.Fatalf("a text is %s: %s", s.State, s.Reason)
	}
	return s.State >= state
}

// settle waits until all texts have come so far.
func (w *world) settle(state client.State) {
	w.t.Helper()
	for i := len(w.open) - 1; i >= 0; { // the last is the last to come
		if w.came(w.open[i], state) {
			i--
			continue
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-w.t.Context().Done():
			w.t.Fatal("the test ended before all texts had come")
		}
	}
}

func (w *world) send(p *pair, counts bool) {
	w.t.Helper()
	n := p.length*3/4 + w.rand.IntN(p.length/2+1)
	id, err := w.Clients[p.from].Send(w.t.Context(), w.Clients[p.to].ID(), strings.Repeat("a", n))
	if err != nil {
		w.t.Fatal(err)
	}
	w.open = append(w.open, text{p.from, p.to, id})
	if counts {
		w.got[p.to][p.from]++
	}
}

// live lets people write for a day, most of it around their habitual time. Members
// hold back what comes, so that it does not depend on the machine how much of it is
// read when evening is called. Then every other one reads, and the rest do so the next
// morning.
func (w *world) live(evening func()) {
	w.t.Helper()
	w.sight.hold(true)
	for step := range steps {
		for _, c := range w.crowds {
			for _, p := range c.live() {
				mean := p.volume * 0.1 / (steps - 1)
				if step == p.habit {
					mean = p.volume * 0.9
				}
				n := poisson(w.rand, mean)
				if step == p.habit {
					n = max(1, n)
				}
				for range n {
					w.send(p, true)
				}
			}
		}
		w.settle(client.Stored)
		if step == steps-1 {
			evening()
			w.sight.hold(false)
			w.read(func(i int) bool { return i%2 == 0 })
		}
		if err := w.Advance(w.t.Context(), time.Duration(day/steps)*time.Millisecond); err != nil {
			w.t.Fatal(err)
		}
	}
	w.readAll()
}

// poisson draws from the distribution of that mean (Knuth).
func poisson(r *rand.Rand, mean float64) (n int) {
	for p := r.Float64(); p > math.Exp(-mean); p *= r.Float64() {
		n++
	}
	return n
}
