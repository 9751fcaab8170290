// Package deliver runs networks that lose a fifth of all packets, on every link in
// both directions, and one relay of ten for good, and holds every message of their
// messengers against its time to live: each has to come once, and be confirmed.
// docs/spec/messenger.md, section What is tested.
//
// A seed fixes the network, what is lost with it, and who writes what; it does not
// fix scheduling. Run in a bubble of testing/synctest, where minutes of waiting for
// answers take no time, or beside the machine's clock.
package deliver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client"
	"tunic/devnet"
	"tunic/onion/mail"
)

// Relays is how many a network has; one of them is lost.
const Relays = 10

// Lost is the share of packets that does not arrive, on each link.
const Lost chain.BasisPoints = 2_000

// Message is what became of one text.
type Message struct {
	From, To  string
	Parts     int
	Tries     int           // stores of its parts that left, each over a path of its own
	Came      time.Duration // from Send until its recipient had it, on the network's clock
	Confirmed time.Duration // likewise, until its sender knew
	Story     []string      // what became of each attempt
}

// Result is what became of one network.
type Result struct {
	Seed     uint64
	Steps    []string // what was done, in order
	Messages []Message
	// Violations are messages that did not come before their time was over, came
	// twice or changed, or stayed without confirmation.
	Violations []string
	Took       time.Duration // on the network's clock
}

// Options are how a network is run.
type Options struct {
	// Patience is how long all messages together may take, on the network's clock
	// (one hour). What is not there by then counts as not delivered, though it
	// has days.
	Patience time.Duration
	// Share of the packets that is lost (Lost); a hundred percent to see that it is
	// noticed.
	Share chain.BasisPoints
}

// afterwards is how long is looked for texts that are shown twice.
const afterwards = 20 * time.Second

// long is a text of four parts.
const long = 4_000

// Run runs the network of a seed. Its error says that the network could not be
// run; what it found stands in the result.
func Run(ctx context.Context, seed uint64, o Options) (*Result, error) {
	if o.Patience == 0 {
		o.Patience = time.Hour
	}
	if o.Share == 0 {
		o.Share = Lost
	}
	rnd := rand.New(rand.NewPCG(seed, 0x6465_6c69_76))
	r := &run{rnd: rnd, out: &Result{Seed: seed, Violations: []string{}}, opts: o, start: time.Now()}
	r.diary.start = r.start
	weather := &weather{share: o.Share, rnd: rand.New(rand.NewPCG(seed, 0x6c6f_7373))}
	prm := params()
	var err error
	r.net, err = devnet.Start(ctx, devnet.Spec{
		Relays: Relays, Clients: 2 + rnd.IntN(2), Seed: seed, Params: &prm, Live: true, Wrap: weather.wrap, Observe: r.diary.observe, Poll: 300 * time.Millisecond,
	})
	if err != nil {
		return nil, fmt.Errorf("deliver: seed %d: %w", seed, err)
	}
	err = r.live(ctx)
	if cerr := r.net.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return r.out, fmt.Errorf("deliver: seed %d: %w", seed, err)
	}
	return r.out, nil
}

// params are those of dev, but that nobody is put out for what links lose: where
// all lose as much as that, no relay would be left.
func params() genesis.Params {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		panic("deliver: internal error: " + err.Error())
	}
	p.ScoreLeast = 0
	return p
}

// run is one network at work.
type run struct {
	net   *devnet.Network
	rnd   *rand.Rand
	out   *Result
	opts  Options
	start time.Time
	diary diary
	wg    sync.WaitGroup

	mu   sync.Mutex // guards what follows, and out
	sent []sent
}

// sent is a text under way.
type sent struct {
	from, to int
	text     string
}

func (r *run) step(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Steps = append(r.out.Steps, fmt.Sprintf("%6.1fs: ", time.Since(r.start).Seconds())+fmt.Sprintf(format, args...))
}

func (r *run) violation(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Violations = append(r.out.Violations, fmt.Sprintf(format, args...))
}

// live loses a relay, lets everybody write to a neighbour and be written to, and
// reckons.
func (r *run) live(ctx context.Context) error {
	within, stop := context.WithTimeout(ctx, r.opts.Patience)
	defer stop()
	people := len(r.net.Clients)
	r.introduce()
	for i := 1; i < people; i++ {
		if err := r.meet(i-1, i); err != nil {
			return err
		}
	}
	lost := time.Duration(r.rnd.IntN(20)) * time.Second
	writing := 20 * time.Second
	var plan []func() error
	at := map[time.Duration]int{}
	add := func(d time.Duration, f func() error) {
		for at[d] != 0 {
			d += time.Millisecond
		}
		plan = append(plan, f)
		at[d] = len(plan)
	}
	add(lost, func() error { return r.lose(ctx) })
	for i := 1; i < people; i++ {
		for _, way := range [][2]int{{i - 1, i}, {i, i - 1}} {
			texts := 2 + r.rnd.IntN(2)
			for k := range texts {
				text := fmt.Sprintf("text %d from %s to %s", k, devnet.ClientName(way[0]), devnet.ClientName(way[1]))
				if k == 1 {
					text = strings.Repeat(text+". ", long/len(text))
				}
				add(time.Duration(r.rnd.Int64N(int64(writing))), func() error { return r.write(within, way[0], way[1], text) })
			}
		}
	}
	begin := time.Now()
	for len(at) > 0 {
		next := time.Duration(-1)
		for d := range at {
			if next < 0 || d < next {
				next = d
			}
		}
		sleep(ctx, time.Until(begin.Add(next)))
		if err := plan[at[next]-1](); err != nil {
			return err
		}
		delete(at, next)
	}
	r.wg.Wait()
	sleep(ctx, afterwards)
	r.reckon()
	r.out.Took = time.Since(r.start)
	return ctx.Err()
}

// introduce tells the diary who is who.
func (r *run) introduce() {
	people, relays := map[mail.AccountID]string{}, map[chain.NodeID]string{}
	for _, c := range r.net.Clients {
		people[c.Account.ID()] = c.Name
	}
	for _, x := range r.net.Relays {
		relays[x.ID] = x.Name()
	}
	r.diary.introduce(people, relays)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// meet makes one of two know the other, or both each other, whose requests then
// cross.
func (r *run) meet(i, k int) error {
	a, b := r.net.Clients[i], r.net.Clients[k]
	if err := a.AddContact(b.Account.ID(), b.Name); err != nil {
		return err
	}
	return b.AddContact(a.Account.ID(), a.Name)
}

// lose takes a relay away for good: it ends, lives on where nobody hears it, or
// takes what it is sent and throws it away, in the list all along.
func (r *run) lose(ctx context.Context) error {
	i := r.rnd.IntN(Relays)
	name := r.net.Relays[i].Name()
	r.diary.lose(name)
	switch r.rnd.IntN(3) {
	case 0:
		r.step("%s stops", name)
		return r.net.StopRelay(ctx, i)
	case 1:
		r.step("%s is cut off", name)
		r.net.Silence(i)
	default:
		r.step("%s throws packets away", name)
		r.net.Relays[i].Twin.Drop(10_000)
	}
	return nil
}

// write sends a text and looks what becomes of it; ctx ends with all patience.
func (r *run) write(ctx context.Context, from, to int, text string) error {
	a, b := r.net.Clients[from], r.net.Clients[to]
	began := time.Now()
	id, err := a.Send(ctx, b.Account.ID(), text)
	if err != nil {
		return err
	}
	r.step("%s writes %d bytes to %s", a.Name, len(text), b.Name)
	r.mu.Lock()
	r.sent = append(r.sent, sent{from, to, text})
	r.mu.Unlock()
	r.wg.Go(func() {
		err := a.WaitDelivered(ctx, id)
		took := time.Since(began)
		s, _ := a.Status(id)
		if err != nil {
			r.violation("%s to %s, after %s: %s (%s): %v\n%s", a.Name, b.Name, took, s.State, s.Reason, err,
				strings.Join(r.diary.story(id, a.Name, b.Name, began.Sub(r.start), time.Since(r.start)), "\n"))
			return
		}
		if ttl := time.Duration(s.Expiry-s.Sent) * time.Millisecond; took > ttl {
			r.violation("%s to %s: delivered after %s, its time was %s", a.Name, b.Name, took, ttl)
		}
		m := Message{From: a.Name, To: b.Name, Parts: s.Parts, Tries: s.Tries, Confirmed: took}
		for _, x := range b.Inbox() {
			if x.ID == id {
				m.Came = max(0, time.Duration(x.Received-s.Sent)*time.Millisecond)
			}
		}
		m.Story = r.diary.story(id, a.Name, b.Name, began.Sub(r.start), time.Since(r.start))
		r.step("%s knows that %s has %d parts, after %s and %d stores", a.Name, b.Name, m.Parts, took.Round(time.Millisecond), m.Tries)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.out.Messages = append(r.out.Messages, m)
	})
	return nil
}

// reckon looks for every text in its recipient's inbox, once, and for nothing else.
func (r *run) reckon() {
	for i, c := range r.net.Clients {
		times := map[string]int{}
		for _, m := range c.Inbox() {
			times[m.Text]++
		}
		for _, x := range r.sent {
			if x.to != i {
				continue
			}
			if times[x.text] != 1 {
				r.violation("%s has a text of %d bytes from %s %d times", c.Name, len(x.text), devnet.ClientName(x.from), times[x.text])
			}
			delete(times, x.text)
		}
		for range times {
			r.violation("%s has a text that nobody wrote", c.Name)
		}
		for _, s := range c.Outbox() {
			if s.State != client.Delivered {
				r.violation("a text of %s is %s", c.Name, s.State)
			}
		}
	}
}
