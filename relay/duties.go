package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// keptLists is how many epochs' lists are kept: packets of the epoch before are
// still on their way, and an offence of one a little older can be proven.
const keptLists = 4

// callTimeout bounds one call of the ledger.
const callTimeout = 10 * time.Second

// owner is the state of one run. Only the goroutine of follow touches it.
type owner struct {
	*Relay
	marks   *marks
	heads   *heads
	watch   *watch // of descriptors
	ballots *watch // of votes

	history *history
	inForce genesis.InForce // parameters, as the last event that had them says; till then genesis'
	alarm   *time.Timer     // rings when a probe is due, unless the clock stands still
	headAt  time.Time       // when head was acted on
	moved   bool            // the head is further ahead of the one before than time has passed

	synced    bool
	syncEpoch chain.Epoch // statements are signed for later epochs only
	head      chain.Header
	sealed    chain.SealedHeader
	lists     map[chain.Epoch]*directory.List
	rings     *rings                             // of the newest of lists that was the head's epoch's
	past      []*rings                           // and of those before, the newest first
	planned   chain.Epoch                        // the epoch of the last plan
	listed    map[chain.Epoch]chain.SealedHeader // a header of each list
	unknown   bool                               // the ledger does not know this node

	descriptor *outgoing
	content    statement.Descriptor // of descriptor
	heartbeat  *outgoing
	beatAt     chain.Time // when heartbeat was signed, by the network's time
	proved     *epochProof
	proofs     []*outgoing
	begun      map[markKey]bool           // labels signed in this run
	refused    map[statement.Label]string // the last refusal logged
	committed  chain.Epoch                // of the last probe commitment
	swept      chain.Time
	sweepTo    chain.Time            // mail that ended by then may go
	asked      map[chain.Hash]*asked // challenges of this node's receipts that are open, by id
	failures   uint64
	versionBad bool // said that the version is not allowed
}

func (o *owner) domain() statement.Domain {
	return statement.Domain{Genesis: o.cfg.Genesis, Fork: o.head.Fork}
}

// follow keeps up with the ledger until ctx ends or the relay must halt.
func (o *owner) follow(ctx context.Context) error {
	o.alarm = time.NewTimer(time.Hour)
	defer o.alarm.Stop()
	pause := 20 * time.Millisecond
	for {
		before := o.head.Height
		err := o.listen(ctx)
		if errors.Is(err, ErrTwoHeads) || ctx.Err() != nil {
			return err
		}
		o.log.Debug("lost touch with the ledger; asking again", "error", errText(err))
		if o.head.Height > before {
			pause = 20 * time.Millisecond
		}
		if err := o.wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// wait lets d pass and goes on listening to peers.
func (o *owner) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
		case rep := <-o.reports:
			if err := o.hear(ctx, rep); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// errText is what may be logged of an error: the code of a refusal, or that the
// ledger could not be asked. Other texts may hold its address.
func errText(err error) string {
	var r *chain.Refusal
	switch {
	case err == nil:
		return "the stream ended"
	case errors.As(err, &r):
		return r.Code
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "no answer"
}

// listen subscribes once and acts on each head until the stream ends.
func (o *owner) listen(ctx context.Context) error {
	list, sealed, err := o.directory(ctx, 0)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	begin := !o.synced || sealed.Header.Fork > o.head.Fork
	since := sealed.Header.Height
	switch {
	case begin && since > 0:
		since-- // the head's own event tells the parameters in force: nothing is signed before it
	case !begin && sealed.Header.Fork == o.head.Fork && o.head.Height < since:
		since = o.head.Height // the blocks between may hold statements
	}
	events, err := o.cfg.Ledger.Events(ctx, since)
	if err != nil {
		return err
	}
	if begin {
		o.keep(list, sealed)
		if sealed.Header.Height == 0 { // no block yet, and no event of it
			if err := o.act(ctx, Event{Header: sealed}); err != nil {
				return err
			}
		}
	}
	var tick <-chan time.Time
	if o.cfg.Core.Clock == genesis.ClockReal {
		t := time.NewTicker(o.period())
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return nil
			}
			if err := o.act(ctx, e); err != nil {
				return err
			}
		case rep := <-o.reports:
			if err := o.hear(ctx, rep); err != nil {
				return err
			}
		case <-tick:
			if o.synced {
				o.duties(ctx)
			}
		case <-o.alarm.C:
			o.probes()
		case <-ctx.Done():
			return nil
		}
	}
}

// period is how often a relay on a real clock looks at its duties between
// heads.
func (o *owner) period() time.Duration {
	ms := min(max(o.params.HeartbeatEvery/8, 200), 30_000)
	return time.Duration(ms) * time.Millisecond
}

func (o *owner) directory(ctx context.Context, e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	ctx, stop := context.WithTimeout(ctx, callTimeout)
	defer stop()
	list, sealed, err := o.cfg.Ledger.Directory(ctx, e)
	switch {
	case err != nil:
		return nil, sealed, err
	case list == nil || sealed.Header.Genesis != o.cfg.Genesis && sealed.Header.Height > 0:
		return nil, sealed, fmt.Errorf("fetch directory: %w", ErrConfig)
	}
	return list, sealed, nil
}

// keep remembers a list and a header of it, and forgets old ones.
func (o *owner) keep(list *directory.List, sealed chain.SealedHeader) {
	o.lists[list.Epoch] = list
	o.listed[list.Epoch] = sealed
	old := func(e chain.Epoch) bool { return e+keptLists <= list.Epoch }
	maps.DeleteFunc(o.lists, func(e chain.Epoch, _ *directory.List) bool { return old(e) })
	maps.DeleteFunc(o.listed, func(e chain.Epoch, _ chain.SealedHeader) bool { return old(e) })
}

// act does what a head asks for. Its only error is ErrTwoHeads.
func (o *owner) act(ctx context.Context, e Event) error {
	h := e.Header.Header
	if h.Genesis != o.cfg.Genesis && h.Height > 0 || o.synced && h.Fork < o.head.Fork {
		return nil
	}
	if h.Height > 0 {
		if c := o.heads.add(e.Header); c != nil {
			return o.halt(c)
		}
	}
	if o.synced && h.Fork > o.head.Fork {
		o.revert(h)
	} else if o.synced && h.Height <= o.head.Height {
		return nil // seen already, on the former stream
	}
	newEpoch := !o.synced || h.DirEpoch != o.head.DirEpoch
	first := !o.synced || h.Fork > o.head.Fork
	o.moved = !first && h.Time > o.flowing()+skipped
	o.head, o.sealed, o.synced, o.headAt = h, e.Header, true, time.Now()
	if e.Params != nil {
		o.inForce = *e.Params
	}
	o.fetch(ctx, first)
	o.show()
	if newEpoch {
		o.delay.hurry()
	}
	if first {
		// A ledger that lags behind a real clock must not make this relay sign
		// for an epoch in which it may have signed before.
		o.syncEpoch = max(h.DirEpoch, o.cfg.Core.EpochAt(o.now()))
	}
	if newEpoch || first {
		o.beginEpoch(e, first)
	}
	o.network()
	o.challenged(e)
	for _, p := range e.Published {
		o.published(p)
	}
	o.duties(ctx)
	o.report(ctx)
	o.show()
	if newEpoch || first {
		o.hellos.begin(h.DirEpoch, o.view.Load().hello())
		o.greet()
		o.stores.forgive()
		o.members.forget()
	}
	if l := o.rings.list; l.Epoch == h.DirEpoch && (first || o.planned != l.Epoch) {
		o.planned = l.Epoch
		o.plan(o.rings)
	}
	o.cfg.OnSynced(h.Height)
	return nil
}

// revert begins a new fork: what was signed, seen or fetched on the former one
// does not count on it. Marks are kept per fork.
func (o *owner) revert(h chain.Header) {
	o.descriptor, o.heartbeat, o.proofs, o.beatAt = nil, nil, nil, 0
	o.swept, o.sweepTo = 0, 0
	clear(o.asked)
	o.errands.forget()
	o.history = newHistory()
	o.tags.reset()
	o.watch.reset()
	o.ballots.reset()
	clear(o.lists)
	clear(o.listed)
	o.past = nil
	// Keys whose first epoch is now far ahead would share selectors with new ones.
	if _, err := o.keys.retire(h.Time, func(k onionKey) bool { return k.FirstEpoch() > h.DirEpoch+1 }); err != nil {
		o.log.Error("cannot change onion keys", "error", err)
		return
	}
	o.keepTags()
}

// fetch gets the list of the head's epoch, at a start also the one before it,
// for packets on their way. A list that cannot be had is asked for again at the
// next head.
func (o *owner) fetch(ctx context.Context, first bool) {
	epochs := []chain.Epoch{o.head.DirEpoch}
	if first && o.head.DirEpoch > 1 {
		epochs = append(epochs, o.head.DirEpoch-1)
	}
	for _, e := range epochs {
		if o.lists[e] != nil {
			continue
		}
		if e == 0 { // lists nobody, and 0 would ask for the newest
			l, _ := directory.NewList(0, nil)
			o.keep(l, o.sealed)
			continue
		}
		list, sealed, err := o.directory(ctx, e)
		switch {
		case err == nil && list.Epoch == e && e == o.head.DirEpoch:
			o.keep(list, sealed)
		case err == nil && list.Epoch == e:
			o.lists[e], o.listed[e] = list, sealed
		case e == o.head.DirEpoch && ctx.Err() == nil:
			o.log.Warn("cannot get the directory; packets of this epoch wait for the next head", "epoch", e, "error", errText(err))
		}
	}
}

// duties does what is due now. It runs at each head and, on a real clock, in
// between.
func (o *owner) duties(ctx context.Context) {
	o.changeKeys()
	o.describe(ctx)
	o.beat(ctx)
	o.commit(ctx)
	o.vote(ctx)
	o.answerChallenges(ctx)
	o.probes()
	for _, p := range o.proofs {
		o.renew(p)
		o.offer(ctx, p)
	}
	o.sweepMail()
}

// changeKeys destroys the onion keys whose time is over.
func (o *owner) changeKeys() {
	gone, err := o.keys.retire(o.now(), func(onionKey) bool { return false })
	if err != nil {
		// The file may still hold what is destroyed in memory, so that its tags
		// are needed after a restart.
		o.log.Error("cannot change onion keys", "error", err)
		return
	}
	if len(gone) > 0 {
		o.keepTags()
	}
}

func (o *owner) keepTags() {
	if err := o.replay.Keep(o.keys.epochs()); err != nil {
		o.log.Error("cannot keep replay tags; packets are dropped", "error", err)
	}
}

// sweepMail removes expired items once an epoch, beside everything else. What a
// challenge may still ask for stays: it is made before the promise ends, and is
// known in the first block of the epoch after.
func (o *owner) sweepMail() {
	now := min(o.now(), o.sweepTo)
	if o.owes() {
		return
	}
	if now < o.swept+chain.Time(o.params.EpochLength) || !o.sweeping.CompareAndSwap(false, true) {
		return
	}
	o.swept = now
	o.mailers.Add(1)
	go func() {
		defer o.mailers.Done()
		defer o.sweeping.Store(false)
		_, _ = o.mail.Sweep(now) // a failure is counted; what it left is due the next time
	}()
	if n := o.mail.Failures(); n > o.failures {
		o.failures = n
		o.log.Error("the mailbox store fails; senders are told to try again", "failures", n)
	}
}
