package feed

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
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
	a, b := first.Header, second.Header
	if a.Height != b.Height || a.Fork != b.Fork || a.Hash() == b.Hash() {
		return
	}
	two := &light.TwoHeads{First: first, Second: second}
	f.mu.Lock()
	for _, s := range []chain.SealedHeader{first, second} {
		if err := f.verifier.CheckHeader(s); err != nil && !errors.Is(err, light.ErrTwoHeads) {
			two = nil
		}
	}
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
	f.log.Error("the ledger sealed two headers for one height; halted",
		"height", uint64(two.First.Header.Height),
		"first", two.First.Header.Hash().String(), "second", two.Second.Header.Hash().String())
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

// FormatConflict shows two heads to a person, and carries both headers in a
// form that ParseConflict reads.
func FormatConflict(two *light.TwoHeads) string {
	var b strings.Builder
	a := two.First.Header
	fmt.Fprintf(&b, `Two sealed headers exist for one height. Whoever sealed them shows different
histories to different people, so neither can be gone by. Keep this text: both
signatures verify, and together they are the proof. Show it to others who use
this network and compare.

network   %s
height    %d, fork %d
`, a.Genesis, a.Height, a.Fork)
	for i, s := range []chain.SealedHeader{two.First, two.Second} {
		h := s.Header
		fmt.Fprintf(&b, `
%s
  header     %s
  sealed by  %s
  time       %s
  parent     %s
  state      %s
  directory  %s (%d nodes, epoch %d)
`, []string{"seen first", "seen second"}[i], h.Hash(), h.Proposer, time.UnixMilli(int64(h.Time)).UTC().Format("2006-01-02 15:04:05.000 UTC"),
			h.Parent, h.State, h.Directory, h.DirCount, h.DirEpoch)
		b.Write(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: s.Encode()}))
	}
	return b.String()
}

// SaveConflict writes what FormatConflict says to a file, for its owner alone.
func SaveConflict(path string, two *light.TwoHeads) error {
	if err := durable.MkdirAll(filepath.Dir(path)); err != nil {
		return fmt.Errorf("save two heads: %w", err)
	}
	if err := durable.WriteFile(path, []byte(FormatConflict(two)), 0o600); err != nil {
		return fmt.Errorf("save two heads: %w", err)
	}
	return nil
}

// ParseConflict reads what FormatConflict wrote and verifies it against a
// network: both headers sealed, of one height and fork, and different. The rest
// of the text counts for nothing.
func ParseConflict(text []byte, n genesis.Network) (*light.TwoHeads, error) {
	v, err := light.New(n)
	if err != nil {
		return nil, fmt.Errorf("read two heads: %w", err)
	}
	var both [2]chain.SealedHeader
	for i := range both {
		var p *pem.Block
		if p, text = pem.Decode(text); p == nil || p.Type != pemType {
			return nil, fmt.Errorf("%w: it does not hold two headers", ErrEvidence)
		}
		if both[i], err = chain.DecodeSealedHeader(p.Bytes); err == nil {
			err = v.CheckHeader(both[i])
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
		}
	}
	a, b := both[0].Header, both[1].Header
	if a.Height != b.Height || a.Fork != b.Fork || a.Hash() == b.Hash() {
		return nil, fmt.Errorf("%w: heights %d and %d, forks %d and %d", ErrEvidence, a.Height, b.Height, a.Fork, b.Fork)
	}
	return &light.TwoHeads{First: both[0], Second: both[1]}, nil
}
