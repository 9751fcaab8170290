package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// accept verifies a header and keeps it, one of the recent past as history. Refused,
// besides what light refuses: a header that is old by the clock where nothing
// is known that makes this a stall (ErrStale), a second list or beacon for one
// epoch (ErrFrozen), and a fork on a network that has none.
func (f *Feed) accept(s chain.SealedHeader) error {
	now := f.cfg.Now()
	f.mu.Lock()
	if c := f.conflict; c != nil {
		f.mu.Unlock()
		return c
	}
	removals := len(f.heads[s.Header.DirEpoch].Header.Removals)
	err := f.acceptLocked(s, now)
	_, listed := f.lists[s.Header.DirEpoch]
	grown := err == nil && listed && len(f.heads[s.Header.DirEpoch].Header.Removals) > removals
	var two *light.TwoHeads
	if errors.As(err, &two) {
		f.conflict = two
	}
	f.mu.Unlock()
	if two != nil {
		f.stop(two) // once: whoever comes later finds the conflict above
	}
	if grown {
		f.save() // a restart must not bring a removed node back
	}
	return err
}

func (f *Feed) acceptLocked(s chain.SealedHeader, now chain.Time) error {
	h := s.Header
	if err := f.doubt(h, now); err != nil {
		// The seal counts first: a header that nobody sealed says nothing, and one
		// that is the second for its height says more than this.
		if sealed := f.verifier.Header(s); sealed != nil {
			err = sealed
		}
		return err
	}
	before, known := f.verifier.Newest()
	if err := f.verifier.Accept(s, now, f.realClock()); err != nil {
		return err
	}
	if known && h.Fork > before.Header.Fork {
		clear(f.lists) // the same epochs may have other lists now
		clear(f.heads)
	}
	if at, ok := f.heads[h.DirEpoch]; !ok || h.Height > at.Header.Height {
		f.heads[h.DirEpoch] = s
		f.trim()
	}
	return nil
}

// doubt asks what light does not.
func (f *Feed) doubt(h chain.Header, now chain.Time) error {
	n := &f.cfg.Network
	if err := f.forkable(h); err != nil {
		return err
	}
	if k, ok := f.heads[h.DirEpoch]; ok && k.Header.Fork == h.Fork &&
		(k.Header.Directory != h.Directory || k.Header.DirCount != h.DirCount || k.Header.Beacon != h.Beacon) {
		return fmt.Errorf("%w: epoch %d, heights %d and %d", ErrFrozen, h.DirEpoch, k.Header.Height, h.Height)
	}
	if today := n.EpochAt(now); f.realClock() && today > h.DirEpoch && today-h.DirEpoch > light.MaxBehind &&
		f.verifier.Freshness(now) == light.Expired {
		return fmt.Errorf("%w (it is of epoch %d, the clock says %d)", ErrStale, h.DirEpoch, today)
	}
	return nil
}

// forkable refuses a fork where none can be: a sealer that signs a second
// history must not pass it off as one.
func (f *Feed) forkable(h chain.Header) error {
	if h.Fork != 0 && !f.cfg.Network.Dev {
		return fmt.Errorf("%w: fork %d of a network that cannot fork", light.ErrFork, h.Fork)
	}
	return nil
}

func (f *Feed) realClock() bool { return f.cfg.Network.Clock == genesis.ClockReal }

// acceptPast is acceptFrom for a header that may be of any age: too old to go
// by is not too old to be known. It is verified then, and not kept.
func (f *Feed) acceptPast(ctx context.Context, s *server, h chain.SealedHeader) error {
	err := f.acceptFrom(ctx, s, h)
	if past(err) {
		return nil
	}
	return err
}

// past reports whether err says no more than that a verified header is old:
// light and doubt both look at age last.
func past(err error) bool { return errors.Is(err, light.ErrOld) || errors.Is(err, ErrStale) }

// learn takes a certificate that leads on.
func (f *Feed) learn(c cometbft.Certificate) error {
	now := f.cfg.Now()
	f.mu.Lock()
	if c := f.conflict; c != nil {
		f.mu.Unlock()
		return c
	}
	err := f.verifier.Learn(c, now)
	var two *light.TwoHeads
	if errors.As(err, &two) {
		f.conflict = two
	}
	f.mu.Unlock()
	if two != nil {
		f.stop(two)
	}
	return err
}

// Sealed says whether a header is sealed by who seals now, unknown or the second
// for its height as it may be. Nothing is fetched for it (light.Verifier.Sealed).
func (f *Feed) Sealed(s chain.SealedHeader) error {
	now := f.cfg.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.verifier.Sealed(s, now)
}

// acceptFrom is accept for a header that a server gave, which is asked for the
// certificates that it takes. One that is sealed and
// yet does not follow from its neighbour belongs to another history; the same
// server is asked for the header below it, which makes that two heads.
func (f *Feed) acceptFrom(ctx context.Context, s *server, h chain.SealedHeader) error {
	err := f.accept(h)
	if s != nil && errors.Is(err, light.ErrNeeds) {
		err = light.Climb(func() error { return f.accept(h) }, f.learn, func(at chain.Height) (cometbft.Certificate, error) { return s.certificate(ctx, at) })
	}
	if s == nil || !errors.Is(err, light.ErrOrder) {
		return err
	}
	if c := f.pursue(ctx, s, h.Header.Height); c != nil {
		return c
	}
	return err
}

// pursue looks for the second head next to h on server s.
func (f *Feed) pursue(ctx context.Context, s *server, h chain.Height) error {
	for _, height := range []chain.Height{h - 1, h + 1} {
		if height == 0 {
			continue
		}
		other, err := s.header(ctx, at(height))
		if err != nil {
			continue
		}
		if err := f.accept(other); errors.Is(err, light.ErrTwoHeads) {
			return err
		}
	}
	return nil
}

// keep adds a verified list and returns the newest header of its epoch. A list
// of the far past, whose header was not kept, is not kept either.
func (f *Feed) keep(l *directory.List, s chain.SealedHeader) chain.SealedHeader {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.heads[l.Epoch]
	if !ok || l.Check(h.Header) != nil {
		return s
	}
	f.lists[l.Epoch] = l
	return h
}

// trim drops the oldest epochs beyond keptEpochs.
func (f *Feed) trim() {
	for len(f.heads) > keptEpochs {
		oldest := slices.Min(slices.Collect(maps.Keys(f.heads)))
		delete(f.heads, oldest)
		delete(f.lists, oldest)
	}
}

// fresh refuses to go by a newest header that is past use, and warns once of
// one that is stalled. Without a real clock nobody can tell.
func (f *Feed) fresh() error {
	if !f.realClock() {
		return nil
	}
	now := f.cfg.Now()
	f.mu.Lock()
	state := f.verifier.Freshness(now)
	newest, _ := f.verifier.Newest()
	warn := false
	if state == light.Stalled {
		hash := newest.Header.Hash()
		warn, f.warned = hash != f.warned, hash
	}
	f.mu.Unlock()
	if warn {
		f.log.Warn("the ledger has stalled; its last keys and list are used for at most a day",
			"height", uint64(newest.Header.Height), "epoch", uint64(newest.Header.DirEpoch))
	}
	if state == light.Expired {
		return ErrStale
	}
	return nil
}
