package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
)

// passing hands transactions of strangers on to the ledger, which so does not see
// where they come from.
type passing struct {
	ctx context.Context // of the run

	mu   sync.Mutex
	next time.Time // when the allowance is whole again
}

// How many transactions a relay passes on: one each passEvery, passBurst at once.
const (
	passEvery = time.Second
	passBurst = 16
)

// allow takes one from the allowance at now.
func (p *passing) allow(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next.Before(now) {
		p.next = now
	}
	if p.next.Sub(now) > (passBurst-1)*passEvery {
		return false
	}
	p.next = p.next.Add(passEvery)
	return true
}

// handOn submits a stranger's transaction: accepted, refused with the ledger's
// code, or busy where the ledger gave no answer or the allowance is used up. Of
// what no account signed nothing is passed on.
func (r *Relay) handOn(tx []byte) mail.Reply {
	t, err := chain.DecodeTx(tx)
	if err != nil || !t.Kind.Signed() {
		return mail.Reply{Code: mail.CodeMalformed}
	}
	if !r.passing.allow(time.Now()) {
		return mail.Reply{Code: mail.CodeBusy}
	}
	ctx, stop := context.WithTimeout(r.passing.ctx, callTimeout)
	defer stop()
	var refusal *chain.Refusal
	switch err := r.cfg.Ledger.Submit(ctx, tx); {
	case err == nil:
		return mail.Reply{Code: mail.CodeAccepted}
	case errors.As(err, &refusal):
		return mail.Reply{Code: mail.CodeRefused, Body: []byte(refusal.Code[:min(len(refusal.Code), maxCode)])}
	}
	return mail.Reply{Code: mail.CodeBusy}
}

// maxCode bounds a refusal's code in bytes.
const maxCode = 64
