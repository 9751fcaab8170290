package relay

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
)

var (
	errNoAnswer = errors.New("relay: a member does not answer")
	errRefused  = errors.New("relay: a member answers no questions of this node about these mailboxes")
	errNonsense = errors.New("relay: a member's answers do not fit each other")
)

// answerWait is how long a question to a member waits: it may have to read a
// million rows from a slow disk.
const answerWait = 20 * time.Second

// patience is answerWait, or less where a network waits for this to come to rest.
func (r *Relay) patience() time.Duration {
	if r.cfg.StandingClock {
		return answerWait / 10
	}
	return answerWait
}

// talk is the one conversation that this node leads: it asks one member one
// question after the other.
type talk struct {
	mu     sync.Mutex
	peer   chain.NodeID
	on     bool
	id     uint64           // of the question
	in     chan []byte      // answers to it, encoded
	serial map[uint64]int   // of what was pushed
	acks   chan numberedAck // of them
	gone   chan struct{}    // a token where the member was lost
}

type numberedAck struct {
	n   int
	ack mail.Ack
}

func newTalk() *talk {
	return &talk{
		in: make(chan []byte, mail.MaxWant+1), serial: make(map[uint64]int), acks: make(chan numberedAck, mail.MaxWant),
		gone: make(chan struct{}, 1),
	}
}

// begin turns to a member.
func (t *talk) begin(peer chain.NodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peer, t.on = peer, true
	t.reset()
}

func (t *talk) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on = false
	t.reset()
}

// reset forgets what is under way. Called with mu held.
func (t *talk) reset() {
	t.id = rand.Uint64()
	clear(t.serial)
	for {
		select {
		case <-t.in:
		case <-t.acks:
		case <-t.gone:
		default:
			return
		}
	}
}

// question begins a question and returns its id.
func (t *talk) question() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reset()
	return t.id
}

// pushes begins n pushes and returns their serials.
func (t *talk) pushes(n int, serial func() uint64) (out []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reset()
	for i := range n {
		s := serial()
		t.serial[s] = i
		out = append(out, s)
	}
	return out
}

// answered takes an answer, copying it; false where nobody asked.
func (t *talk) answered(from chain.NodeID, id uint64, data []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on || from != t.peer || id != t.id {
		return false
	}
	select {
	case t.in <- bytes.Clone(data):
		return true
	default:
		return false // more than was asked for
	}
}

// ack takes an ack of a push; false where it is of none.
func (t *talk) ack(from chain.NodeID, a mail.Ack) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.serial[a.Serial]
	if !t.on || from != t.peer || !ok {
		return false
	}
	delete(t.serial, a.Serial)
	t.acks <- numberedAck{n, a} // has room for all
	return true
}

// lost ends the wait for a member that does not answer.
func (t *talk) lost(id chain.NodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on && t.peer == id {
		select {
		case t.gone <- struct{}{}:
		default:
		}
	}
}

// await waits for the next thing on ch.
func await[T any](ctx context.Context, t *talk, timer *time.Timer, ch <-chan T) (x T, err error) {
	select {
	case x = <-ch:
		return x, nil
	case <-t.gone:
	case <-timer.C:
	case <-ctx.Done():
	}
	return x, errNoAnswer
}
