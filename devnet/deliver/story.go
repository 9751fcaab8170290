package deliver

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"tunic/chain"
	"tunic/client"
	"tunic/onion/mail"
)

// maxSteps bounds the steps that are kept of one network.
const maxSteps = 1 << 18

// diary keeps what the clients of one network did.
type diary struct {
	start time.Time

	mu    sync.Mutex // guards what follows
	steps []step
	// Set when the network stands.
	people map[mail.AccountID]string
	relays map[chain.NodeID]string
	lost   string        // the relay
	since  time.Duration // it was lost
}

// step is one of a client's; at is when it ended.
type step struct {
	who string
	at  time.Duration
	client.Step
}

// observe is devnet's hook.
func (d *diary) observe(who string, s client.Step) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.steps) < maxSteps {
		d.steps = append(d.steps, step{who, time.Since(d.start), s})
	}
}

// introduce says who is who.
func (d *diary) introduce(people map[mail.AccountID]string, relays map[chain.NodeID]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people, d.relays = people, relays
}

func (d *diary) lose(relay string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost, d.since = relay, time.Since(d.start)
}

// story says what became of each attempt at a message of from to to that was written
// at one time and confirmed at another: what both did for each other's bundles,
// requests and session from the start, and for the message. Polls are counted up to
// the next line that somebody's poll brought.
func (d *diary) story(id client.MessageID, from, to string, written, confirmed time.Duration) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	type polled struct {
		who string
		own bool
	}
	asked, answered := map[polled]int{}, map[polled]int{}
	polls := func() {
		for _, who := range []string{from, to} {
			for _, own := range []bool{true, false} {
				k := polled{who, own}
				if n := asked[k]; n > 0 {
					box := "the pair's mailbox"
					if own {
						box = "the own mailbox"
					}
					out = append(out, fmt.Sprintf("         %s: %d polls of %s before that, %d answered", who, n, box, answered[k]))
				}
			}
		}
		clear(asked)
		clear(answered)
	}
	none := mail.AccountID{}
	ends := false
	for _, s := range d.steps {
		between := s.who == from && d.people[s.Contact] == to || s.who == to && d.people[s.Contact] == from
		own := s.Contact == none && (s.who == from || s.who == to)
		if s.at > confirmed || !between && !own || s.Message != (client.MessageID{}) && s.Message != id {
			continue
		}
		if s.at > written && !ends {
			out = append(out, fmt.Sprintf("%7.1fs: %s WRITES", written.Seconds(), from))
			ends = true
		}
		if s.Kind == client.StepPoll {
			if k := (polled{s.who, own}); s.at > written {
				asked[k]++
				if s.Code == mail.CodeItem.String() || s.Code == mail.CodeNone.String() {
					answered[k]++
				}
			}
			continue
		}
		if s.Kind == client.StepCame || s.Kind == client.StepMet {
			polls()
		}
		out = append(out, fmt.Sprintf("%7.1fs: %s %s", s.at.Seconds(), s.who, d.words(s)))
	}
	polls()
	return out
}

// words tells a step.
func (d *diary) words(s step) string {
	name := func(id chain.NodeID) string {
		if x := d.relays[id]; x != d.lost || s.at < d.since {
			return x
		}
		return d.lost + " (lost)"
	}
	member := name(s.Member)
	answer := fmt.Sprintf("%s: %s after %.1fs", member, s.Code, s.Took.Seconds())
	switch s.Kind {
	case client.StepPublish:
		return "brings its bundle to " + answer
	case client.StepBundle:
		return "asks for the bundle of " + d.people[s.Contact] + " at " + answer
	case client.StepBegin:
		return "begins a session with " + d.people[s.Contact]
	case client.StepAsk:
		return "brings its request to " + answer
	case client.StepMet:
		return "has the request of " + d.people[s.Contact]
	case client.StepStore:
		return fmt.Sprintf("stores part %d, signed by %d, at %s", s.Part, s.Count, answer)
	case client.StepPause:
		return fmt.Sprintf("pauses for %.1fs: %s", s.Took.Seconds(), s.Code)
	case client.StepWay:
		var way []string
		for _, id := range s.Way {
			way = append(way, name(id))
		}
		return "sends to " + member + " over " + strings.Join(way, ", ")
	case client.StepShun:
		return "avoids its guard, " + member
	case client.StepCame:
		return fmt.Sprintf("polls part %d from %s: %s", s.Part, member, s.Code)
	}
	return fmt.Sprintf("does %d", s.Kind)
}
