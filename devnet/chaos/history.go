package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tunic/chain"
	"tunic/client"
)

// message is one that was sent.
type message struct {
	id     client.MessageID
	from   int
	to     int
	text   string
	expiry chain.Time
	stored bool
	step   int // after so many steps
}

// received counts what came to the applications, over all lives of the clients.
type received struct {
	mu    sync.Mutex
	times map[client.MessageID]int
	texts map[client.MessageID]string
}

func newReceived() *received {
	return &received{times: map[client.MessageID]int{}, texts: map[client.MessageID]string{}}
}

func (g *received) listen(events <-chan client.Event) {
	for e := range events {
		if e.Kind == client.EventMessage {
			g.mu.Lock()
			g.times[e.Message.ID]++
			g.texts[e.Message.ID] = e.Message.Text
			g.mu.Unlock()
		}
	}
}

func (g *received) of(id client.MessageID) (int, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.times[id], g.texts[id]
}

// write lets the writer of a round send some messages, waits for what the
// mailboxes say, and ends it for good.
func (r *run) write(ctx context.Context, round int) error {
	w := readers + round
	if err := r.net.StartClient(w); err != nil {
		return err
	}
	c := r.net.Clients[w]
	var burst []*message
	for n := range 1 + r.rnd.IntN(mostBurst) {
		to := r.rnd.IntN(readers)
		text := fmt.Sprintf("%d-%d-%d %s", r.out.Seed, round, n, strings.Repeat("x", r.rnd.IntN(3000)))
		id, err := c.Send(ctx, r.net.Clients[to].Account.ID(), text)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		burst = append(burst, &message{id: id, from: w, to: to, text: text})
	}
	until := time.Now().Add(ackWait)
	for waiting := true; waiting && time.Now().Before(until); {
		waiting = false
		for _, m := range burst {
			s, _ := c.Status(m.id)
			m.expiry = s.Expiry
			m.stored = s.State == client.Stored || s.State == client.Delivered
			waiting = waiting || !m.stored && !s.State.Final()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := r.net.StopClient(w); err != nil {
		return err
	}
	stored := 0
	for _, m := range burst {
		if s, _ := c.Status(m.id); s.State == client.Stored || s.State == client.Delivered {
			m.stored = true
		}
		if m.stored {
			stored++
		}
		m.step = len(r.out.Steps)
	}
	r.sent = append(r.sent, burst...)
	r.step("%s sent %d messages, %d stored, and is gone", c.Name, len(burst), stored)
	return nil
}

// someoneReads lets a reader come for a moment, or both, or nobody.
func (r *run) someoneReads(ctx context.Context) error {
	for i := range readers {
		if r.rnd.IntN(3) > 0 {
			continue
		}
		if err := r.read(i); err != nil {
			return err
		}
		r.step("%s reads for a moment", r.net.Clients[i].Name)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(50+r.rnd.IntN(400)) * time.Millisecond):
		}
		if err := r.net.StopClient(i); err != nil {
			return err
		}
	}
	return nil
}

// read starts a reader.
func (r *run) read(i int) error {
	if err := r.net.StartClient(i); err != nil {
		return err
	}
	// Run has begun to work, and what it brings before this is told nobody: the
	// inbox is asked as well in the end.
	go r.got.listen(r.net.Clients[i].Subscribe(context.Background()))
	return nil
}

// reckon heals the network, lets the readers read, and holds what they have
// against what was stored.
func (r *run) reckon(ctx context.Context) error {
	if err := r.heal(ctx); err != nil {
		return err
	}
	for range 3 {
		if err := r.advance(ctx); err != nil {
			return err
		}
	}
	for i := range readers {
		if err := r.read(i); err != nil {
			return err
		}
	}
	until := time.Now().Add(r.opts.Patience)
	for round := 1; ; round++ {
		missing := r.missing()
		if len(missing) == 0 || time.Now().After(until) {
			break
		}
		for i := range readers {
			ask, stop := context.WithTimeout(ctx, 10*time.Second)
			_ = r.net.Clients[i].PollNow(ask) // what does not answer is asked again
			stop()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if round%3 == 0 && len(r.missing()) > 0 {
			if err := r.advance(ctx); err != nil {
				return err
			}
		}
	}
	for i := range readers {
		if err := r.net.StopClient(i); err != nil {
			return err
		}
	}
	r.judge()
	return nil
}

// missing are the stored messages that are in no inbox and have not expired.
func (r *run) missing() (out []*message) {
	now := r.net.Ledger.Head().Header.Time
	have := map[client.MessageID]bool{}
	for i := range readers {
		for _, m := range r.net.Clients[i].Inbox() {
			have[m.ID] = true
		}
	}
	for _, m := range r.sent {
		if m.stored && !have[m.id] && m.expiry > now {
			out = append(out, m)
		}
	}
	return out
}

// judge fills in the result.
func (r *run) judge() {
	now := r.net.Ledger.Head().Header.Time
	inbox := make([]map[client.MessageID][]string, readers)
	for i := range readers {
		inbox[i] = map[client.MessageID][]string{}
		for _, m := range r.net.Clients[i].Inbox() {
			inbox[i][m.ID] = append(inbox[i][m.ID], m.Text)
		}
	}
	bad := func(m *message, format string, args ...any) {
		r.out.Violations = append(r.out.Violations, fmt.Sprintf("a message of %s to %s, sent after step %d, ", r.net.Clients[m.from].Name,
			r.net.Clients[m.to].Name, m.step)+fmt.Sprintf(format, args...))
	}
	for _, m := range r.sent {
		r.out.Sent++
		if m.stored {
			r.out.Stored++
		}
		texts := inbox[m.to][m.id]
		times, shown := r.got.of(m.id)
		switch {
		case len(texts) > 1 || times > 1:
			bad(m, "was shown %d times and stands in the inbox %d times", times, len(texts))
		case len(texts) == 1 && texts[0] != m.text, times == 1 && shown != m.text:
			bad(m, "came changed")
		case len(texts) == 1:
			r.out.Delivered++
		case !m.stored:
		case m.expiry <= now:
			r.out.Expired++
		default:
			bad(m, "was stored and did not come")
		}
	}
	if i := slices.IndexFunc(inbox, func(of map[client.MessageID][]string) bool { return r.strangers(of) > 0 }); i >= 0 {
		r.out.Violations = append(r.out.Violations, fmt.Sprintf("%s has messages that nobody sent", r.net.Clients[i].Name))
	}
}

// strangers counts messages that were not sent here; each writer's hello was.
func (r *run) strangers(inbox map[client.MessageID][]string) (n int) {
	for id, texts := range inbox {
		known := slices.ContainsFunc(r.sent, func(m *message) bool { return m.id == id })
		if !known && !slices.Equal(texts, []string{"hello"}) {
			n++
		}
	}
	return n
}
