package relay

import (
	"bytes"
	"context"

	"tunic/chain"
	"tunic/chain/statement"
)

// asked is a challenge of a receipt that this node signed.
type asked struct {
	Challenge
	promise statement.Receipt
	looked  bool      // in the mailboxes, since the ledger last said that it is open
	answer  *outgoing // nil: nothing found yet
}

// maxAsked bounds the challenges that are answered: more of one node are not open.
const maxAsked = statement.MaxChallenges

// challenged takes down which challenges of this node's receipts are open, as the
// first block of an epoch says. One that is answered keeps its answer, whatever
// chunk is asked for next, unless a ledger has refused it: as not what was drawn, or
// because there was no such challenge, of which this is the denial.
func (o *owner) challenged(e Event) {
	if e.Challenges == nil {
		return
	}
	open := make(map[chain.Hash]*asked)
	for _, c := range e.Challenges {
		s, err := statement.Decode(c.Receipt)
		if err != nil || s.Label != statement.LabelReceipt || s.Node != o.id || len(open) >= maxAsked {
			continue
		}
		if old := o.asked[c.ID]; old != nil && old.Height == c.Height && bytes.Equal(old.Receipt, c.Receipt) {
			old.looked = false
			if old.answer != nil && old.answer.stale {
				old.answer, old.Chunk = nil, c.Chunk
			}
			open[c.ID] = old
			continue
		}
		promise, err := statement.DecodeReceipt(s.Body)
		if err != nil || s.Verify(o.domain()) != nil {
			continue
		}
		open[c.ID] = &asked{Challenge: c, promise: promise}
	}
	o.asked = open
	// What ended before this block is asked for by none that is not among these.
	o.sweepTo = max(o.sweepTo, e.Header.Header.Time-1)
}

// answerChallenges looks up what is asked for and offers the answers until each
// stands in a block.
func (o *owner) answerChallenges(ctx context.Context) {
	for _, a := range o.asked {
		if a.answer == nil && !a.looked {
			a.answer = o.lookUp(a)
		}
		if a.answer != nil {
			o.offer(ctx, a.answer)
		}
	}
}

func (o *owner) lookUp(a *asked) *outgoing {
	x, found, err := o.mail.Find(a.promise, a.Chunk)
	if err != nil {
		return nil // counted; it is looked for again
	}
	a.looked = true
	if !found {
		o.log.Error("a storage receipt of this node is challenged and what it promises is not there; unless it is brought back this costs stake",
			"challenge", a.ID.String(), "window_ms", uint64(o.inForce.Params.ChallengeWindow))
		return nil
	}
	x.Challenge, x.Height = a.ID, a.Height
	// An answer names no epoch and contradicts no other, so that it may be signed
	// at once, whatever a former life has signed.
	s := o.cfg.Signer.Sign(o.domain(), statement.LabelAnswer, 0, x.Encode())
	return &outgoing{Statement: s, encoded: s.Encode(), signed: 1}
}

// answers are the statements that answer challenges.
func (o *owner) answers() (all []*outgoing) {
	for _, a := range o.asked {
		all = append(all, a.answer)
	}
	return all
}

// owes reports whether an answer is not in a block yet, or could not be looked
// for. What it is made of stays until then, so that a relay that starts again can
// make it again.
func (o *owner) owes() bool {
	for _, a := range o.asked {
		if a.answer == nil && !a.looked || a.answer != nil && !a.answer.done {
			return true
		}
	}
	return false
}
