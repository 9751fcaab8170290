package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/durable"
	"tunic/internal/wire"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/registry/path"
)

// view is the network as of the newest header. It does not change.
type view struct {
	list   *directory.List
	picker *path.Picker
	head   chain.SealedHeader
	seen   time.Time // when the head was
}

func (v *view) epoch() chain.Epoch { return v.list.Epoch }

// swarm is who keeps a mailbox, best first.
func (v *view) swarm(mailbox mail.ID) directory.Swarm {
	return v.list.Swarm(mailbox, v.head.Header.Removals)
}

// gone reports whether a node is not listed any more.
func (v *view) gone(id chain.NodeID) bool {
	_, listed := v.list.Find(id)
	return !listed || slices.Contains(v.head.Header.Removals, id)
}

// TwoHeadsError is ErrTwoHeads with the evidence: two headers of one height, or
// two of one epoch that name different directories or beacons.
type TwoHeadsError struct {
	First, Second chain.SealedHeader
	// Detail says what was seen where whoever verifies for the client saw it by
	// something else than two headers, and has saved that; else empty.
	Detail string
}

func (e *TwoHeadsError) Error() string {
	if e.Detail != "" {
		return fmt.Sprintf("%v: %s; do not go on", ErrTwoHeads, e.Detail)
	}
	if e.First.Header.Height != e.Second.Header.Height {
		return fmt.Sprintf("%v: headers %s and %s, of heights %d and %d, name two directories or beacons for epoch %d; whoever seals shows different ledgers to different people: do not go on",
			ErrTwoHeads, e.First.Header.Hash(), e.Second.Header.Hash(), e.First.Header.Height, e.Second.Header.Height, e.First.Header.DirEpoch)
	}
	return fmt.Sprintf("%v: height %d is %s and also %s; whoever seals shows different ledgers to different people: do not go on",
		ErrTwoHeads, e.First.Header.Height, e.First.Header.Hash(), e.Second.Header.Hash())
}

func (e *TwoHeadsError) Unwrap() error { return ErrTwoHeads }

// rememberedHeads bounds the headers that are held against others.
const rememberedHeads = 512

// sealed reports whether those who seal have sealed a header.
func (c *Client) sealed(s *chain.SealedHeader) bool {
	if c.cfg.Sealed != nil {
		return c.cfg.Sealed(*s) == nil
	}
	h := &s.Header
	if c.cfg.Core.Engine != genesis.EngineSealer || h.Genesis != c.cfg.Genesis || !slices.Contains(c.cfg.Core.Sealers, h.Proposer) {
		return false
	}
	hash := h.Hash()
	return (statement.Domain{Genesis: h.Genesis, Fork: h.Fork}).VerifyRaw(h.Proposer, statement.LabelSeal, hash[:], s.Seal) == nil
}

// compare remembers a sealed header and returns the evidence if it contradicts
// one seen before. A header that nobody sealed who may is ignored: anyone can make
// one.
func (c *Client) compare(s chain.SealedHeader) *TwoHeadsError {
	if !c.sealed(&s) {
		return nil
	}
	h := &s.Header
	hash := h.Hash()
	c.headsMu.Lock()
	defer c.headsMu.Unlock()
	key := headKey{h.Fork, h.Height}
	if known, ok := c.heads[key]; ok {
		if known.Header.Hash() != hash {
			return &TwoHeadsError{First: known, Second: s}
		}
		return nil
	}
	lowest := key
	for k, known := range c.heads {
		if k.before(lowest) {
			lowest = k
		}
		if k.fork == key.fork && known.Header.DirEpoch == h.DirEpoch && !sameEpoch(&known.Header, h) {
			return &TwoHeadsError{First: known, Second: s}
		}
	}
	c.heads[key] = s
	if len(c.heads) > rememberedHeads {
		// By height and not by age: whoever repeats old headers must not make
		// the client forget the new ones.
		delete(c.heads, lowest)
	}
	return nil
}

// sameEpoch reports whether two headers of one fork and epoch agree in what
// does not change within an epoch.
func sameEpoch(a, b *chain.Header) bool {
	return a.Directory == b.Directory && a.DirCount == b.DirCount && a.Beacon == b.Beacon
}

type headKey struct {
	fork   uint32
	height chain.Height
}

func (k headKey) before(o headKey) bool {
	return k.fork < o.fork || k.fork == o.fork && k.height < o.height
}

// halt saves the evidence, says so, and ends Run.
func (c *Client) halt(e *TwoHeadsError) {
	c.mu.Lock()
	if c.halted != nil {
		c.mu.Unlock()
		return
	}
	c.halted = e
	c.meta.Halt = [][]byte{e.First.Encode(), e.Second.Encode()}
	if e.Detail != "" {
		c.meta.Halt = append(c.meta.Halt, []byte(e.Detail))
	}
	err := c.store.commit(c.meta.row())
	c.changedLocked()
	c.mu.Unlock()
	if c.cfg.Dir != "" && err == nil && e.Detail == "" {
		b := wire.AppendBytes(wire.AppendBytes(nil, e.First.Encode()), e.Second.Encode())
		err = durable.WriteFile(fmt.Sprintf("%s/two-heads-%d", c.cfg.Dir, e.First.Header.Height), b, 0o600)
	}
	if err != nil {
		c.log.Error("cannot save the two headers", "err", err)
	}
	c.log.Error("halted", "err", e)
	if c.cfg.OnHalt != nil {
		c.cfg.OnHalt(e)
	}
	c.stop(e)
}

// haltedBefore is the evidence that an earlier run saved, nil if none.
func haltedBefore(m metaRecord) error {
	if len(m.Halt) != 2 && len(m.Halt) != 3 {
		return nil
	}
	first, err1 := chain.DecodeSealedHeader(m.Halt[0])
	second, err2 := chain.DecodeSealedHeader(m.Halt[1])
	if err1 != nil || err2 != nil {
		return fmt.Errorf("%w: saved headers", ErrStore)
	}
	e := &TwoHeadsError{First: first, Second: second}
	if len(m.Halt) == 3 {
		e.Detail = string(m.Halt[2])
	}
	return e
}

// watch follows the ledger until ctx ends.
func (c *Client) watch(ctx context.Context) {
	period := time.Duration(min(max(c.cfg.Core.Params.BlockInterval/4, 100), 10_000)) * time.Millisecond
	t := time.NewTicker(period)
	defer t.Stop()
	forgot := time.Now()
	for failed := false; ; {
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			var two *TwoHeadsError
			if errors.As(err, &two) {
				c.halt(two) // seen by whoever verifies for this client
			}
			if !failed {
				c.log.Warn("cannot follow the ledger", "err", err)
			}
			failed = true
		} else {
			failed = false
		}
		c.expire()
		if time.Since(forgot) > time.Hour {
			forgot = time.Now()
			if err := c.store.forget(); err != nil {
				c.log.Warn("former states stay on the disk", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// AwaitHead returns when the client knows the ledger's head h or a later one of
// its fork, for networks whose clock is moved by hand: what is made by a list of
// two epochs ago has expired.
func (c *Client) AwaitHead(ctx context.Context, h chain.Header) error {
	for {
		if v := c.view.Load(); v != nil && v.head.Header.Fork == h.Fork && v.head.Header.Height >= h.Height {
			return nil
		}
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for the head at %d: %w", h.Height, ctx.Err())
		}
	}
}

// refresh brings the view up to date.
func (c *Client) refresh(ctx context.Context) error {
	c.refreshing.Lock()
	defer c.refreshing.Unlock()
	head, err := c.cfg.Ledger.Head(ctx)
	if err != nil {
		return fmt.Errorf("read head: %w", err)
	}
	if err := c.Witness(head); err != nil {
		return err
	}
	old := c.view.Load()
	fork := old != nil && head.Header.Fork != old.head.Header.Fork
	if old != nil && !fork && head.Header.Height <= old.head.Header.Height {
		return nil
	}
	v := &view{head: head, seen: time.Now()}
	switch {
	case old != nil && !fork && head.Header.DirEpoch == old.list.Epoch:
		v.list, v.picker = old.list, old.picker
		if !slices.Equal(head.Header.Removals, old.head.Header.Removals) {
			v.picker = nil
		}
	default:
		list, at, err := c.cfg.Ledger.Directory(ctx, 0)
		if err != nil {
			return fmt.Errorf("read directory: %w", err)
		}
		if err := c.Witness(at); err != nil {
			return err
		}
		if err := list.Check(at.Header); err != nil {
			return fmt.Errorf("read directory: %w", err)
		}
		if at.Header.Height > head.Header.Height || at.Header.DirEpoch != head.Header.DirEpoch {
			v.head = at
		}
		v.list = list
	}
	if v.picker == nil {
		v.picker = path.New(v.list, v.head.Header.Removals, c.cfg.Core.Params)
		c.mu.Lock()
		c.strikes.Prune(v.list, c.nowAt(v))
		for id := range c.silent {
			if _, listed := v.list.Find(id); !listed {
				delete(c.silent, id)
			}
		}
		for id := range c.spurned {
			if _, listed := v.list.Find(id); !listed {
				delete(c.spurned, id)
			}
		}
		for id := range c.conducts {
			if _, listed := v.list.Find(id); !listed {
				delete(c.conducts, id)
			}
		}
		c.mu.Unlock()
	}
	changed := old == nil || v.picker != old.picker
	c.view.Store(v)
	if changed {
		c.listChanged(v)
	}
	return nil
}

// listChanged follows a new list or removal: receipts of who is gone count no
// more, and what is not confirmed by those who keep it now is stored again, after
// a time in which members pass it on among each other.
func (c *Client) listChanged(v *view) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := v.gone
	var rows []row
	unheard := map[key32]bool{} // contacts whose request went with its member
	for _, r := range c.contacts {
		if s := r.mine(); s != nil && s.Took && r.State != uint8(Connected) && gone(s.Member) {
			s.Took = false
			unheard[r.ID] = true
			rows = append(rows, r.row())
		}
	}
	for _, o := range c.out {
		if State(o.State).Final() {
			continue
		}
		if unheard[o.Contact] {
			o.due = time.Time{}
		}
		if c.reviewLocked(v, o) {
			rows = append(rows, o.row())
		}
	}
	live := map[mail.ID]bool{}
	for _, b := range c.boxesLocked(v) {
		live[b.id] = true
	}
	for k := range c.cursors {
		if _, listed := v.list.Find(k.member); !listed || !live[k.mailbox] {
			delete(c.cursors, k)
			rows = append(rows, k.gone())
		}
	}
	c.persistLocked(rows...)
	c.changedLocked()
	c.wakeUp()
	select {
	case c.relisted <- struct{}{}:
	default:
	}
}

// Witness holds a header that was seen elsewhere against those that the client
// knows. Where two are sealed for one height it halts, and the error is a
// *TwoHeadsError.
func (c *Client) Witness(s chain.SealedHeader) error {
	if e := c.compare(s); e != nil {
		c.halt(e)
		return e
	}
	return nil
}

// now is the network's time.
func (c *Client) now() chain.Time { return c.nowAt(c.view.Load()) }

func (c *Client) nowAt(v *view) chain.Time {
	switch {
	case c.cfg.Clock != nil:
		return c.cfg.Clock.Now()
	case c.cfg.Core.Clock == genesis.ClockLedger && v != nil:
		return v.head.Header.Time + chain.Time(time.Since(v.seen).Milliseconds())
	case c.cfg.Core.Clock == genesis.ClockLedger:
		return c.cfg.Core.Time
	}
	return chain.Time(time.Now().UnixMilli())
}

// delay draws how long a hop is asked to hold a packet.
func (c *Client) delay() uint32 {
	return path.Delay(path.FromReader(c.rand).Uint64(), c.cfg.Core.Params.MixingMean)
}

// exponential draws from the distribution of mean 1.
func (c *Client) exponential() float64 {
	u := float64(path.FromReader(c.rand).N(1<<53)+1) / (1 << 53)
	return -math.Log(u)
}
