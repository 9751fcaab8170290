package fault

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
)

// keptVotes is for how many epochs a twin remembers what it signed.
const keptVotes = 4

// vote names what a quorum member may sign once.
type vote struct {
	fork    uint32
	subject chain.NodeID
	epoch   chain.Epoch
}

// verdict is what the relay says of a subject whatever it knows.
type verdict struct {
	reasons statement.Reasons
	score   chain.Permille
	always  bool // also where an honest member would not vote
}

// Lie lets the relay vote the subject unfit in each epoch in which it has a seat.
func (t *Twin) Lie(subject chain.NodeID, reasons statement.Reasons) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts[subject] = verdict{reasons: reasons, always: true}
}

// Shield lets the relay call the subject fit whatever it does.
func (t *Twin) Shield(subject chain.NodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts[subject] = verdict{score: 1000}
}

// signVote signs what it is told to where the relay would sign what it knows.
// One vote is one statement, whoever of the two signs first: the lie is no
// equivocation. Called with mu held.
func (t *Twin) signVote(d statement.Domain, seq statement.Sequence, body []byte) statement.Statement {
	v, err := statement.DecodeVote(body)
	if err != nil {
		return statement.Sign(d, t.identity, statement.LabelVote, seq, body)
	}
	key := vote{d.Fork, v.Subject, v.Epoch}
	if st, cast := t.votes[key]; cast {
		return st
	}
	if w, told := t.verdicts[v.Subject]; told {
		v.Reasons, v.Score = w.reasons, w.score
	}
	st := statement.Sign(d, t.identity, statement.LabelVote, seq, v.Encode())
	t.votes[key] = st
	return st
}

// head casts the votes that the relay is told to cast, at the first header of
// an epoch that it hears of. A refusal is the ledger's business.
func (t *Twin) head(ctx context.Context, h chain.Header) {
	t.mu.Lock()
	fresh := h.DirEpoch != t.epoch || h.Fork != t.domain.Fork
	t.epoch, t.domain = h.DirEpoch, statement.Domain{Genesis: t.hash, Fork: h.Fork}
	l := t.ledger
	told := maps.Clone(t.verdicts)
	maps.DeleteFunc(told, func(_ chain.NodeID, v verdict) bool { return !v.always })
	maps.DeleteFunc(t.votes, func(v vote, _ statement.Statement) bool { return v.fork == h.Fork && v.epoch+keptVotes < h.DirEpoch })
	t.mu.Unlock()
	if !fresh || len(told) == 0 || h.DirEpoch == 0 {
		return
	}
	list, _, err := l.Directory(ctx, h.DirEpoch)
	if err != nil || list.Epoch != h.DirEpoch {
		return
	}
	for _, subject := range slices.SortedFunc(maps.Keys(told), func(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) }) {
		if subject == t.id || !slices.Contains(list.Quorum(h.Beacon, subject, t.quorum), t.id) {
			continue
		}
		v := told[subject]
		body := statement.Vote{Subject: subject, Epoch: h.DirEpoch, Reasons: v.reasons, Score: v.score}.Encode()
		t.mu.Lock()
		st := t.signVote(t.domain, statement.NewSequence(h.DirEpoch, 0), body)
		t.mu.Unlock()
		_ = l.Submit(ctx, st.Encode())
	}
}

// DoubleVote signs two verdicts on the subject in the present epoch: the one
// that the relay has cast or, where it has not, a fit one that is cast now; and
// its contrary, which it keeps. ErrNoSeat where it may not vote.
func (t *Twin) DoubleVote(ctx context.Context, subject chain.NodeID) (cast, other statement.Statement, err error) {
	t.mu.Lock()
	l, epoch := t.ledger, t.epoch
	t.mu.Unlock()
	list, head, err := l.Directory(ctx, epoch)
	if err != nil {
		return cast, other, fmt.Errorf("fault: %w", err)
	}
	if subject == t.id || !slices.Contains(list.Quorum(head.Header.Beacon, subject, t.quorum), t.id) {
		return cast, other, ErrNoSeat
	}
	t.mu.Lock()
	seq := statement.NewSequence(list.Epoch, 0)
	d := statement.Domain{Genesis: t.hash, Fork: head.Header.Fork}
	_, before := t.votes[vote{d.Fork, subject, list.Epoch}]
	cast = t.signVote(d, seq, statement.Vote{Subject: subject, Epoch: list.Epoch, Score: 1000}.Encode())
	t.mu.Unlock()
	v, err := statement.DecodeVote(cast.Body)
	if err != nil {
		return cast, other, fmt.Errorf("fault: %w", err)
	}
	if v.Reasons, v.Score = v.Reasons^statement.ReasonAbsent, 1000-v.Score; v.Reasons != 0 && v.Reasons != statement.ReasonAbsent {
		v.Reasons = 0
	}
	other = statement.Sign(d, t.identity, statement.LabelVote, seq, v.Encode())
	t.mu.Lock()
	t.pairs[statement.LabelVote] = [2]statement.Statement{cast, other}
	t.mu.Unlock()
	if !before {
		if err := l.Submit(ctx, cast.Encode()); err != nil {
			return cast, other, fmt.Errorf("fault: the vote was not taken: %w", err)
		}
	}
	return cast, other, nil
}
