package feed

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"tunic/chain"
	"tunic/ledger/light"
)

// ErrEvidence means that a file does not hold two sealed headers of this
// network for one height.
var ErrEvidence = errors.New("feed: no evidence of two heads")

// ConflictFile is the name, within Config.Dir, of the evidence of two heads. A
// feed does not start where it stands.
const ConflictFile = "two-heads.pem"

const pemType = "TUNIC SEALED HEADER"

// crossLimit bounds how long an answer waits for the second server's word.
const crossLimit = 3 * time.Second

// Witness compares a header that was seen elsewhere, as in a relay's greeting,
// with what the servers said. It is verified like theirs and may become the
// newest. An old one that contradicts nothing is fine. The error is a
// *light.TwoHeads where it is the second for its height: the feed has halted
// then.
func (f *Feed) Witness(s chain.SealedHeader) error {
	err := f.accept(s)
	if past(err) {
		return nil
	}
	return err
}

// crossCheck asks another server, which second gave, for the header of the same
// height. A server that lags is compared at its own height. What it finds is in
// f.conflict; a server that does not answer has said nothing.
func (f *Feed) crossCheck(ctx context.Context, from, other *server, s chain.SealedHeader) {
	ctx, cancel := context.WithTimeout(ctx, min(crossLimit, f.cfg.Timeout))
	defer cancel()
	if err := f.confirm(ctx, from, other, s); err != nil && f.Conflict() == nil {
		f.log.Debug("no second ledger confirmed the epoch's header", "ledger", other.name, "error", err)
		if !errors.Is(err, context.Canceled) {
			f.failed(other)
		}
	}
}

func (f *Feed) confirm(ctx context.Context, from, other *server, s chain.SealedHeader) error {
	h, err := other.header(ctx, at(s.Header.Height))
	if err == nil {
		return f.acceptPast(ctx, other, h)
	}
	var refusal *chain.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	if h, err = other.header(ctx, latest); err != nil {
		return err
	}
	// Sealed but of no known neighbour: which one it should have is known to from.
	order := f.acceptPast(ctx, other, h)
	if order != nil && !errors.Is(order, light.ErrOrder) {
		return order
	}
	below, err := from.header(ctx, at(h.Header.Height))
	if err != nil {
		return err
	}
	f.contradict(below, h)
	return order
}

// second picks the server other than from that is to confirm the epoch of s, nil
// if one was picked before or none is in good health.
func (f *Feed) second(from *server, s chain.SealedHeader) *server {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &s.Header
	if c := f.compared; f.conflict != nil || (c != nil && c.Fork == h.Fork && c.DirEpoch >= h.DirEpoch) {
		return nil
	}
	now, n := time.Now(), len(f.servers)
	for i := range n { // another one each epoch
		o := f.servers[(int(uint64(h.DirEpoch)%uint64(n))+i)%n]
		if o != from && !o.until.After(now) {
			f.compared = h
			return o
		}
	}
	return nil
}

// contradict halts the feed if two headers of one height are both sealed.
func (f *Feed) contradict(first, second chain.SealedHeader) {
	now := f.cfg.Now()
	f.mu.Lock()
	two := f.verifier.Contradiction(first, second, now)
	if two == nil || f.conflict != nil {
		f.mu.Unlock()
		return
	}
	f.conflict = two
	f.mu.Unlock()
	f.stop(two)
}

// stop halts the feed: streams end, the evidence is saved, and who asked for it
// is told.
func (f *Feed) stop(two *light.TwoHeads) {
	f.halt()
	f.log.Error("the ledger shows two histories; halted", "height", uint64(two.Height()), "error", two)
	if f.cfg.Dir != "" {
		path := filepath.Join(f.cfg.Dir, ConflictFile)
		if err := SaveConflict(path, two); err != nil {
			f.log.Error("evidence of two heads not saved", "error", err)
		}
	}
	if f.cfg.OnConflict != nil {
		f.cfg.OnConflict(two)
	}
}
