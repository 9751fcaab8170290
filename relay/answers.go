package relay

import (
	"bytes"
	"context"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// How much of the answerer's time one member may have.
const (
	answerShare = 10               // a tenth of the time that passes
	answerSaved = 60 * time.Second // as much as that may be saved up
)

// asking is who has asked what: one question each, a second while the answer to
// the first is on its way, and no more time than its share.
type asking struct {
	queue chan *copied

	mu   sync.Mutex
	by   map[chain.NodeID]*asker
	open int // of all
}

type asker struct {
	open int           // questions that wait or are being answered
	left time.Duration // that it may still take
	at   time.Time     // when left was reckoned
}

const maxAskers = 1024

func newAsking() *asking {
	return &asking{queue: make(chan *copied, 2*maxAskers), by: make(map[chain.NodeID]*asker)}
}

// begin takes a question; false where the member has too many open, or has used up
// its time.
func (a *asking) begin(id chain.NodeID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	x := a.by[id]
	if x == nil {
		if len(a.by) >= maxAskers {
			a.forget(now)
		}
		if len(a.by) >= maxAskers {
			return false
		}
		x = &asker{left: answerSaved, at: now}
		a.by[id] = x
	}
	x.left = min(answerSaved, x.left+now.Sub(x.at)/answerShare)
	x.at = now
	if x.open == 2 || x.left <= 0 {
		return false
	}
	x.open++
	a.open++
	return true
}

// forget drops those whose share is whole again. Called with mu held.
func (a *asking) forget(now time.Time) {
	for id, x := range a.by {
		if x.open == 0 && x.left+now.Sub(x.at)/answerShare >= answerSaved {
			delete(a.by, id)
		}
	}
}

func (a *asking) end(id chain.NodeID, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	if x := a.by[id]; x != nil {
		x.open--
		x.left -= took
	}
}

func (a *asking) busy() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

// answerer answers the questions of members, one after the other, until ctx
// ends. It may read for long.
func (r *Relay) answerer(ctx context.Context) {
	for {
		select {
		case c := <-r.asking.queue:
			start := time.Now()
			r.tellRows(c)
			r.buffers.Put(c.buf)
			r.asking.end(c.from, time.Since(start))
		case <-ctx.Done():
			return
		}
	}
}

// tellRows answers one question. Contents go to present members alone; sums and
// lists, which say how many rows there are, also to those that were members a
// few epochs ago, so that they can see whether their successors have all.
func (r *Relay) tellRows(c *copied) {
	m, err := r.format.DecodeSwarm(c.data)
	if err != nil {
		r.count.refuse(CopyMalformed)
		return
	}
	now := r.now()
	// Where the clock stands still between blocks, who asks may know a block that is
	// hours later.
	if skew := chain.Time(mailbox.PollSkew); m.Scope.At > now+skew && !r.cfg.StandingClock || m.Scope.At+skew < now {
		r.count.refuse(CopyStale)
		return
	}
	allowed := r.mayAsk(c.from, &m.Scope, m.Kind == mail.SwarmWant)
	answer := mail.SwarmMessage{ID: m.ID}
	switch m.Kind {
	case mail.SwarmAsk:
		answer.Kind = mail.SwarmSums
		if allowed {
			answer.Sums, err = r.mail.Sums(&m.Scope, m.Upper)
		}
	case mail.SwarmList:
		answer.Kind = mail.SwarmListing
		if allowed {
			var rows []mailbox.Entry
			rows, answer.Next, err = r.mail.List(&m.Scope, mail.MaxShorts)
			for _, e := range rows {
				answer.Shorts = append(answer.Shorts, e.Short)
			}
		}
	case mail.SwarmWant:
		if allowed {
			r.giveRows(c.from, m)
			return
		}
		answer.Kind = mail.SwarmGive
	}
	if !allowed {
		r.count.refuse(CopyOutsider)
	}
	if err == nil {
		_ = r.tell(c.from, answer.Encode()) // a failed store says nothing; the member asks again another time
	}
}

// giveRows sends the rows that a member asks for.
func (r *Relay) giveRows(to chain.NodeID, m mail.SwarmMessage) {
	copies, err := r.mail.Rows(&m.Scope, m.Shorts, 4*mail.MaxShorts)
	if err != nil {
		return
	}
	frames := r.pack(copies)
	if len(frames) == 0 {
		frames = [][]mail.Copy{nil}
	}
	for i, f := range frames {
		answer := mail.SwarmMessage{Kind: mail.SwarmGive, ID: m.ID, Left: uint8(len(frames) - 1 - i), Copies: f}
		if r.tell(to, answer.Encode()) != nil {
			return
		}
	}
}

// mayAsk reports whether a scope lies in what the swarm of a node keeps: for
// contents now or in the list before, for all else in any list that is kept.
func (r *Relay) mayAsk(id chain.NodeID, s *mail.Scope, contents bool) bool {
	v := r.view.Load()
	for n, rs := range v.past {
		if contents && n > 1 {
			break
		}
		rings := []*ring{rs.now}
		if !contents {
			rings = append(rings, rs.before)
		}
		for _, g := range rings {
			if i := g.of(id); i >= 0 && covers(g.spans(i), s) {
				return true
			}
		}
	}
	return false
}

// covers reports whether a scope lies within one of spans.
func covers(spans []span, s *mail.Scope) bool {
	for _, x := range spans {
		if bytes.Compare(s.Lower, x.lower) >= 0 && (x.upper == nil || len(s.Upper) > 0 && bytes.Compare(s.Upper, x.upper) <= 0) {
			return true
		}
	}
	return false
}
