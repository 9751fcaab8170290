package observe

import (
	"context"
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

// pair is one direction of a conversation.
type pair struct {
	from, to int
	a, b     int     // the conversation: who asked first, and whom
	volume   float64 // texts a day, on average
	habit    int     // when in the day
	length   int     // of a text, on average
}

// world is a network, what its people do, and what its relays see.
type world struct {
	*devnet.Network
	t     *testing.T
	sight *sight
	pairs []*pair

	mu    sync.Mutex
	boxes map[uint64]map[mail.ID]*pair // by bucket, in truth
	sent  map[mail.ID][]int            // lengths of texts
	texts map[client.MessageID]int     // their lengths, as sent
	got   []map[int]int                // by recipient and sender, on the days watched
	where map[client.MessageID]bool    // those whose mailbox is known
}

// start runs a network of people who know each other. Each was asked by two others,
// so that first contacts say nothing; it asked none, one or five.
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
	w := &world{t: t, sight: newSight(), boxes: map[uint64]map[mail.ID]*pair{}, sent: map[mail.ID][]int{}, texts: map[client.MessageID]int{}, where: map[client.MessageID]bool{}}
	n, err := devnet.Start(t.Context(), devnet.Spec{Relays: 6, Clients: *people, Poll: 500 * time.Millisecond, Seed: 7, Profile: genesis.Private, Params: &p, AtOnce: true, WrapStore: w.sight.wrap})
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
	w.got = make([]map[int]int, *people)
	r := rand.New(rand.NewPCG(7, 7))
	var asks []int // one for each contact that somebody asks
	for i := range *people {
		w.got[i] = map[int]int{}
		for range []int{0, 1, 5}[i%3] {
			asks = append(asks, i)
		}
	}
	known := map[[2]int]bool{}
	for try := 0; len(known) < len(asks) && try < 1000; try++ {
		clear(known)
		r.Shuffle(len(asks), func(i, j int) { asks[i], asks[j] = asks[j], asks[i] })
		for i, a := range asks {
			b := i / 2
			if a == b || known[[2]int{a, b}] || known[[2]int{b, a}] {
				break
			}
			known[[2]int{a, b}] = true
		}
	}
	for i := range len(known) {
		a, b := asks[i], i/2
		habit := r.IntN(steps)
		for _, x := range [][2]int{{a, b}, {b, a}} {
			w.pairs = append(w.pairs, &pair{from: x[0], to: x[1], a: a, b: b, habit: habit, length: 10 + r.IntN(900),
				volume: math.Pow(8, r.Float64())}) // 1 to 8, small numbers more often
		}
	}
	return w
}

// listen learns in which mailboxes the texts of an account lie, from its receipts.
func (w *world) listen(ctx context.Context, i int) {
	of := map[mail.AccountID]*pair{}
	for _, p := range w.pairs {
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
				w.sent[box] = append(w.sent[box], len(e.Status.Text))
				w.place(box, of[e.Status.Contact])
			}
			w.mu.Unlock()
		}
	}()
}

// place notes whose mailbox it is, and of which day, by what it got first.
func (w *world) place(box mail.ID, p *pair) {
	w.sight.mu.Lock()
	at := chain.Time(math.MaxInt64)
	for _, m := range w.sight.box(box).stored {
		at = min(at, m.at)
	}
	w.sight.mu.Unlock()
	n := uint64((at - w.Genesis.Time) / day)
	if w.boxes[n] == nil {
		w.boxes[n] = map[mail.ID]*pair{}
	}
	w.boxes[n][box] = p
}

// meet lets everybody write once to whom it asks, and waits for the answers.
func (w *world) meet() {
	w.t.Helper()
	ctx := w.t.Context()
	for i := range *people {
		w.listen(ctx, i)
	}
	for _, p := range w.pairs {
		if p.from != p.a {
			continue
		}
		if err := w.Clients[p.from].AddContact(w.Clients[p.to].ID(), ""); err != nil {
			w.t.Fatal(err)
		}
		w.send(p, false)
	}
	w.readAll()
}

// readAll lets everybody read everything, whatever the clock of polls says.
func (w *world) readAll() {
	w.t.Helper()
	w.sight.hush(true)
	defer w.sight.hush(false)
	for {
		w.settle(client.Stored)
		if w.came(client.Delivered) {
			break
		}
		var wg sync.WaitGroup
		for _, c := range w.Clients {
			wg.Go(func() {
				if err := c.PollNow(w.t.Context()); err != nil {
					w.t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, c := range w.Clients {
			if err := c.Flush(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// came reports whether all texts have come so far.
func (w *world) came(state client.State) bool {
	for _, c := range w.Clients {
		for _, s := range c.Outbox() {
			if s.State == client.Expired || s.State == client.Failed {
				w.t.Fatalf("a text is %s: %s", s.State, s.Reason)
			}
			if s.State < state {
				return false
			}
		}
	}
	return true
}

// settle waits until all texts have come so far.
func (w *world) settle(state client.State) {
	w.t.Helper()
	for !w.came(state) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-w.t.Context().Done():
			w.t.Fatal("the test ended before all texts had come")
		}
	}
}

func (w *world) send(p *pair, counts bool) {
	w.t.Helper()
	n := max(1, p.length/2+rand.IntN(p.length+1))
	if _, err := w.Clients[p.from].Send(w.t.Context(), w.Clients[p.to].ID(), strings.Repeat("a", n)); err != nil {
		w.t.Fatal(err)
	}
	if counts {
		w.got[p.to][p.from]++
	}
}

// live lets people write for a day, most of it around their habitual time, and calls
// last at its end.
func (w *world) live(r *rand.Rand, last func()) {
	w.t.Helper()
	for step := range steps {
		for _, p := range w.pairs {
			mean := p.volume * 0.1 / (steps - 1)
			if step == p.habit {
				mean = p.volume * 0.9
			}
			n := poisson(r, mean)
			if step == p.habit {
				n = max(1, n)
			}
			for range n {
				w.send(p, true)
			}
		}
		w.settle(client.Stored)
		if step == steps-1 {
			last()
		}
		if err := w.Advance(w.t.Context(), time.Duration(day/steps)*time.Millisecond); err != nil {
			w.t.Fatal(err)
		}
	}
}

// poisson draws from the distribution of that mean (Knuth).
func poisson(r *rand.Rand, mean float64) (n int) {
	for p := r.Float64(); p > math.Exp(-mean); p *= r.Float64() {
		n++
	}
	return n
}
