package relay

import (
	"errors"
	"fmt"
	"sync/atomic"

	"tunic/onion"
	"tunic/relay/replay"
)

// Drop says why a packet went no further.
type Drop uint8

// The reasons. Each packet that arrives ends in one of them, or is forwarded,
// delivered or handed to a client.
const (
	DropOverload    Drop = iota // the queue to the workers is full
	DropMalformed               // wrong size, version or geometry
	DropUnknownKey              // no onion key with the packet's selector
	DropHeader                  // header not authentic, or a key of low order
	DropRouting                 // authentic header, malformed slot
	DropExpired                 // after its expiry epoch
	DropNoList                  // made from a directory that this relay does not hold
	DropReplay                  // seen before
	DropReplayFull              // the replay set is full
	DropReplayWrite             // the tag could not be written
	DropDelayFull               // too many packets are held
	DropDelayBound              // a delay longer than any sender may ask for
	DropNextHop                 // the list has no node at that index
	DropLink                    // the link to the next node did not take it
	DropPayload                 // payload not authentic at the end of its path
	DropCommand                 // an authentic payload that is no mailbox command
	DropMailboxBusy             // too many mailbox commands under way
	DropClient                  // no client attached under that token
	DropClientLink              // the client's link did not take it
	DropStopped                 // the relay stopped while it held the packet, or before it came
	drops
)

var dropNames = [drops]string{
	"overload", "malformed", "unknown-key", "header", "routing", "expired", "no-list", "replay", "replay-full",
	"replay-write", "delay-full", "delay-bound", "next-hop", "link", "payload", "command", "mailbox-busy",
	"client", "client-link", "stopped",
}

func (d Drop) String() string {
	if d < drops {
		return dropNames[d]
	}
	return fmt.Sprintf("drop %d", uint8(d))
}

// Drops lists every reason, in order.
func Drops() []Drop {
	out := make([]Drop, drops)
	for i := range out {
		out[i] = Drop(i)
	}
	return out
}

// Counters are totals. At any moment when no packet is being worked on,
//
//	In = Forwarded + Delivered + ToClient + Probes + Waiting + all of Dropped
type Counters struct {
	In        uint64            `json:"in"`
	Forwarded uint64            `json:"forwarded"`
	Delivered uint64            `json:"delivered"`
	ToClient  uint64            `json:"to_client"`
	Probes    uint64            `json:"probes"`  // loops that ended here: own probes, and cover
	Waiting   uint64            `json:"waiting"` // in the delay queue now
	Dropped   map[string]uint64 `json:"dropped"` // by reason; those that are zero are left out

	// Beside the packets that arrive.
	Answers     uint64 `json:"answers"`      // reply packets that this node's mailboxes sent
	AnswersLost uint64 `json:"answers_lost"` // and those that could not be sent
	BadHello    uint64 `json:"bad_hello"`
	BadControl  uint64 `json:"bad_control"`

	// Between the members of swarms.
	CopiesOut     uint64            `json:"copies_out"` // of commands, one for each member
	CopiesIn      uint64            `json:"copies_in"`
	AcksOut       uint64            `json:"acks_out"`
	AcksIn        uint64            `json:"acks_in"`
	Syncs         uint64            `json:"syncs"`          // sessions of anti-entropy that this node led
	SyncsFailed   uint64            `json:"syncs_failed"`   // of these, those that did not come to their end
	SyncGained    uint64            `json:"sync_gained"`    // rows that this node lacked
	SyncGiven     uint64            `json:"sync_given"`     // and that others lacked
	CopiesRefused map[string]uint64 `json:"copies_refused"` // frames, copies and acks, by reason; those that are zero are left out
}

// Lost is the sum over all reasons of Dropped.
func (c Counters) Lost() (n uint64) {
	for _, v := range c.Dropped {
		n += v
	}
	return n
}

// Balanced reports whether the equation of Counters holds.
func (c Counters) Balanced() bool {
	return c.In == c.Forwarded+c.Delivered+c.ToClient+c.Probes+c.Waiting+c.Lost()
}

type counters struct {
	in, forwarded, delivered, toClient atomic.Uint64
	probes                             atomic.Uint64
	probesSent, probesBack, votes      atomic.Uint64
	coverSent, coverBack               atomic.Uint64
	waiting                            atomic.Int64
	answers, answersLost               atomic.Uint64
	badHello, badControl               atomic.Uint64
	dropped                            [drops]atomic.Uint64

	copiesOut, copiesIn, acksOut, acksIn atomic.Uint64
	syncs, syncsFailed                   atomic.Uint64
	syncGained, syncGiven                atomic.Uint64
	refused                              [refusedCopies]atomic.Uint64
}

func (c *counters) refuse(why RefusedCopy) { c.refused[why].Add(1) }

func (c *counters) drop(d Drop) { c.dropped[d].Add(1) }

func (c *counters) snapshot() Counters {
	s := Counters{
		In: c.in.Load(), Forwarded: c.forwarded.Load(), Delivered: c.delivered.Load(), ToClient: c.toClient.Load(),
		Probes: c.probes.Load(), Waiting: uint64(max(0, c.waiting.Load())), Dropped: map[string]uint64{},
		Answers: c.answers.Load(), AnswersLost: c.answersLost.Load(),
		BadHello: c.badHello.Load(), BadControl: c.badControl.Load(),
		CopiesOut: c.copiesOut.Load(), CopiesIn: c.copiesIn.Load(), AcksOut: c.acksOut.Load(), AcksIn: c.acksIn.Load(),
		Syncs: c.syncs.Load(), SyncsFailed: c.syncsFailed.Load(), SyncGained: c.syncGained.Load(), SyncGiven: c.syncGiven.Load(),
		CopiesRefused: map[string]uint64{},
	}
	for why := range refusedCopies {
		if n := c.refused[why].Load(); n > 0 {
			s.CopiesRefused[why.String()] = n
		}
	}
	for d := range drops {
		if n := c.dropped[d].Load(); n > 0 {
			s.Dropped[d.String()] = n
		}
	}
	return s
}

// reason maps an error of a packet or its tag to the one counter that it raises.
func reason(err error) Drop {
	switch {
	case errors.Is(err, onion.ErrUnknownKey):
		return DropUnknownKey
	case errors.Is(err, onion.ErrMAC), errors.Is(err, onion.ErrZeroSecret):
		return DropHeader
	case errors.Is(err, onion.ErrRouting):
		return DropRouting
	case errors.Is(err, onion.ErrExpired):
		return DropExpired
	case errors.Is(err, onion.ErrPayload):
		return DropPayload
	case errors.Is(err, replay.ErrSeen):
		return DropReplay
	case errors.Is(err, replay.ErrFull):
		return DropReplayFull
	case errors.Is(err, replay.ErrWrite):
		return DropReplayWrite
	case errors.Is(err, replay.ErrNoKey):
		return DropUnknownKey
	}
	return DropMalformed
}
