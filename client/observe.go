package client

import (
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
)

// Step is one thing that a client did for its messages, or that came of it.
type Step struct {
	Kind    StepKind
	Contact mail.AccountID // whom it concerns; zero: the account itself
	Message MessageID      // zero where it concerns none
	Part    int            // of the message, from 0
	Member  chain.NodeID   // that was asked; zero where nobody was
	Way     []chain.NodeID // to it, the guard first
	Code    string         // of the answer (mail.md), or why there is none
	// Count is how many members had signed for a part before, or how many items a
	// poll brought.
	Count int
	// Took is how long a command was under way, on all paths that were tried, or
	// how long a pause will be.
	Took time.Duration
}

// StepKind says what a client did.
type StepKind uint8

// The kinds of steps.
const (
	StepPublish StepKind = 1  // a bundle was brought to a member
	StepBundle  StepKind = 2  // a contact's bundle was asked for
	StepBegin   StepKind = 3  // a session was begun
	StepAsk     StepKind = 4  // a contact request was brought to a member, over one path
	StepMet     StepKind = 5  // a contact's request came
	StepStore   StepKind = 6  // a part, or a confirmation, was brought to a member, over one path
	StepPause   StepKind = 7  // a round is over; the next one begins after a pause
	StepPoll    StepKind = 8  // a mailbox of a contact, or the own one, was polled
	StepCame    StepKind = 9  // an item came; Code is text, confirmation, read, again or does_not_open
	StepShun    StepKind = 10 // a guard is avoided, since it answers nothing
	StepWay     StepKind = 11 // a command other than a poll left over a path
)

// observe tells Config.Observe.
func (c *Client) observe(s Step) {
	if c.cfg.Observe != nil {
		c.cfg.Observe(s)
	}
}

// codeFor is what an answer or its lack is called.
func codeFor(code mail.Code, err error) string {
	if err != nil {
		return codeOf(err)
	}
	return code.String()
}

// codeOfFirst is codeFor of the first of a command's answers that came.
func codeOfFirst(replies []mail.Reply, err error) string {
	var code mail.Code
	for _, r := range slices.Backward(replies) {
		if !lost(r) {
			code = r.Code
		}
	}
	return codeFor(code, err)
}
