package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"tunic/chain"
	"tunic/internal/wire"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/path"
)

// attach is the code of the control frame by which a client gives its guard
// the token that its reply blocks carry: code 1 | token 16. The guard does not
// answer.
const attach = 1

// sendBurst is how many packets may leave at once; guards allow 200.
const sendBurst = 150

// helloVersion is the version of what a relay says when a link opens (relay.md,
// section 6): version 2 | descriptor statement 4+n | newest sealed header 4+n |
// votes 4: (vote 4+n)*, of which it shows two at most.
const (
	helloVersion = 2
	helloVotes   = 2
)

// waiting is one reply block whose answer is awaited, or a loop.
type waiting struct {
	keys onion.SURBKeys
	loop *loop
	n    int // which of the command's
	ch   chan<- answer
}

type answer struct {
	n     int
	reply mail.Reply
	err   error
}

// newPool opens links to guards.
func (c *Client) newPool() *link.Pool {
	return link.NewPool(c.cfg.Transport, c.endpoint, link.PoolConfig{
		OnOpen: func(l *link.Link) {
			// Fails only where the link is closing; OnOpen comes again with the next.
			_ = l.Send(link.Frame{Type: link.Control, Data: append([]byte{attach}, c.token[:]...)})
		},
		OnFrame:     c.frame,
		DialTimeout: c.cfg.Timeout,
		GiveUp:      c.cfg.Timeout,
		BackoffMax:  10 * time.Second,
	})
}

func (c *Client) endpoint(id chain.NodeID) (string, bool) {
	if v := c.view.Load(); v != nil {
		if e, ok := v.list.Find(id); ok && len(e.Endpoints) > 0 {
			return e.Endpoints[0], true
		}
	}
	return "", false
}

// frame handles what a guard sends.
func (c *Client) frame(_ *link.Link, f link.Frame) {
	switch f.Type {
	case link.Hello:
		c.hello(f.Data)
	case link.Packet:
		c.answered(f.Data)
	}
}

func (c *Client) hello(b []byte) {
	if !c.greetings.Allow() {
		return // each costs a signature check, and maybe a line in the log
	}
	r := wire.NewReader(b)
	version := r.Uint8()
	r.Bytes(link.MaxBodySize) // the descriptor is for relays to compare
	head := r.Bytes(link.MaxBodySize)
	for range r.Count(helloVotes, 4) {
		r.Bytes(link.MaxBodySize) // so are the votes
	}
	if r.Done() != nil || version != helloVersion {
		c.log.Warn("a guard's greeting is malformed")
		return
	}
	if len(head) == 0 {
		return // it has seen none yet
	}
	s, err := chain.DecodeSealedHeader(head)
	if err != nil {
		c.log.Warn("a guard's greeting holds no header")
		return
	}
	_ = c.Witness(s) // has halted the client where it fails
}

// answered hands an answer to whoever waits: reply block id 16 | zeros to the
// size of a header | payload.
func (c *Client) answered(b []byte) {
	if len(b) != c.geometry.PacketSize() {
		return
	}
	id := onion.SURBID(b[:16])
	c.waitMu.Lock()
	w := c.waits[id]
	delete(c.waits, id)
	c.waitMu.Unlock()
	if w == nil {
		return // too late, or not ours
	}
	defer w.keys.Destroy()
	if w.loop != nil {
		c.loopCame(w, bytes.Clone(b[onion.HeaderSize:]))
		return
	}
	a := answer{n: w.n}
	var msg []byte
	if msg, a.err = w.keys.Open(bytes.Clone(b[onion.HeaderSize:])); a.err == nil {
		a.reply, a.err = c.format.DecodeReply(msg)
	}
	w.ch <- a // has room for each of the command's reply blocks
}

// sendTries is how many paths a command to one member is sent over.
const sendTries = 3

// roundTrip sends a command to a member and returns its one reply; it tries
// several paths, with fresh reply blocks each time.
func (c *Client) roundTrip(ctx context.Context, member chain.NodeID, cmd mail.Command) (reply mail.Reply, err error) {
	for range sendTries {
		var replies []mail.Reply
		if replies, err = c.try(ctx, member, cmd, 1, true); err == nil {
			return replies[0], nil
		}
		if !errors.Is(err, ErrTimeout) {
			break
		}
	}
	return mail.Reply{}, err
}

// try sends a command over one fresh path, with so many reply blocks, each over
// a fresh path, and waits for the answers, which it returns in the order of the
// reply blocks; the code of one that did not come is 0. Some of several answers are
// a success; none is ErrTimeout. wait as in turn.
func (c *Client) try(ctx context.Context, member chain.NodeID, cmd mail.Command, replies int, wait bool) ([]mail.Reply, error) {
	v := c.view.Load()
	if v == nil {
		return nil, fmt.Errorf("%w: no directory yet", ErrNoPath)
	}
	forward, err := c.choose(v, member, cmd.Poll != nil)
	if err != nil {
		return nil, err
	}
	guard := v.list.Entries[forward[0]].Node
	ch := make(chan answer, replies)
	ids := make([]onion.SURBID, replies)
	defer func() {
		c.waitMu.Lock()
		defer c.waitMu.Unlock()
		for _, id := range ids {
			if w := c.waits[id]; w != nil {
				w.keys.Destroy()
				delete(c.waits, id)
			}
		}
	}()
	expiry := onion.ExpiryOf(v.epoch())
	ways := make([][]int, replies) // of the answers
	var back uint32
	cmd.Replies = nil
	for n := range replies {
		hops, err := c.replyPath(v, member, guard)
		if err != nil {
			return nil, err
		}
		ways[n] = hops
		way, sum := c.hops(v, hops)
		back = max(back, sum)
		if _, err := io.ReadFull(c.rand, ids[n][:]); err != nil {
			return nil, fmt.Errorf("read randomness: %w", err)
		}
		surb, keys, err := c.geometry.NewSURB(c.rand, c.cfg.Genesis, expiry, way, c.token, ids[n])
		if err != nil {
			return nil, fmt.Errorf("make reply block: %w", err)
		}
		c.waitMu.Lock()
		c.waits[ids[n]] = &waiting{keys: keys, n: n, ch: ch}
		c.waitMu.Unlock()
		cmd.Replies = append(cmd.Replies, surb[:])
	}
	way, there := c.hops(v, forward)
	way[len(way)-1].Delay = 0
	packet, err := c.geometry.Wrap(c.rand, c.cfg.Genesis, expiry, way, cmd.Encode())
	if err != nil {
		return nil, fmt.Errorf("wrap packet: %w", err)
	}
	if err := c.turn(ctx, wait); err != nil {
		return nil, err
	}
	sent := time.Now()
	if err := c.pool.Send(guard, link.Frame{Type: link.Packet, Data: packet}); err != nil {
		c.mu.Lock()
		c.missedLocked(guard, chain.NodeID{}, time.Now(), c.nowAt(v))
		c.mu.Unlock()
		if errors.Is(err, link.ErrClosed) {
			return nil, ErrNotRunning
		}
		return nil, fmt.Errorf("%w: the guard takes nothing", ErrTimeout)
	}
	if c.cfg.Observe != nil && cmd.Poll == nil {
		s := Step{Kind: StepWay, Member: member}
		for _, i := range forward[:len(forward)-1] {
			s.Way = append(s.Way, v.list.Entries[i].Node)
		}
		c.observe(s)
	}
	came := make([]bool, replies)
	got := make([]mail.Reply, replies)
	some := c.collect(ctx, ch, got, came, c.cfg.Timeout+time.Duration(there+back)*time.Millisecond)
	if cmd.Store != nil {
		// A member waits for the others. Where the guard has missed something else
		// meanwhile, that is not worth waiting for.
		for n := 0; n < storeWaits && !some && ctx.Err() == nil && !c.doubted(guard); n++ {
			some = c.collect(ctx, ch, got, came, c.cfg.Timeout/storeWaits)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	good, bad := []int(nil), slices.Clone(forward)
	if some {
		good, bad = bad, nil
	}
	for n, hops := range ways {
		if came[n] {
			good = append(good, hops...)
		} else {
			bad = append(bad, hops...)
		}
	}
	c.judge(v, good, bad, guard, member, sent)
	if !some {
		return nil, ErrTimeout
	}
	return got, nil
}

// storeWaits is in how many parts a store's answer is waited for as long again as
// that of another command.
const storeWaits = 4

// collect waits for the answers that have not come, or for d, and notes which came.
func (c *Client) collect(ctx context.Context, ch <-chan answer, got []mail.Reply, came []bool, d time.Duration) (some bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	for range came {
		select {
		case a := <-ch:
			if a.err == nil {
				got[a.n], came[a.n], some = a.reply, true, true
			}
		case <-t.C:
			return some
		case <-ctx.Done():
			return some
		}
	}
	return some
}

// choose draws a path to a member behind a guard and saves the guards where
// they changed. While a guard is in doubt another that is kept and less in doubt is
// used, if one fits, but for every other of those that may be lost: these find out
// what is true of it.
func (c *Client) choose(v *view, member chain.NodeID, mayBeLost bool) ([]int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, rnd := c.nowAt(v), path.FromReader(c.rand)
	o := path.Options{Hops: c.cfg.Hops, Target: member, Avoid: c.avoidLocked(now)}
	if len(c.silent) > 0 && (!mayBeLost || rnd.N(2) == 0) {
		guards := slices.DeleteFunc(slices.Clone(c.meta.Guards.Sample), func(g path.Guard) bool {
			return g.Missing != 0 || now >= g.Until || c.strikes.Avoided(g.Node, now)
		})
		slices.SortStableFunc(guards, func(a, b path.Guard) int { return int(c.doubtLocked(a.Node) - c.doubtLocked(b.Node)) })
		for _, g := range guards {
			o.Guard = g.Node
			if p, err := v.picker.Choose(o, rnd); err == nil {
				return p, nil
			}
		}
	}
	before := slices.Clone(c.meta.Guards.Sample)
	o.Guard, o.Avoid = chain.NodeID{}, nil
	p, err := c.meta.Guards.Choose(v.picker, c.strikes, o, now, rnd)
	if !slices.Equal(before, c.meta.Guards.Sample) {
		if err := c.saveLocked(c.meta.row()); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoPath, err)
	}
	return p, nil
}

// avoidLocked is whom paths lead around, where there is another way: nodes with
// strikes, and guards in doubt.
func (c *Client) avoidLocked(now chain.Time) func(chain.NodeID) bool {
	return func(id chain.NodeID) bool { return c.strikes.Avoided(id, now) || c.doubtLocked(id) > 0 }
}

// replyPath draws the way of an answer, without the member itself.
func (c *Client) replyPath(v *view, member, guard chain.NodeID) ([]int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := path.Options{Hops: c.cfg.Hops, Target: member, Guard: guard, Avoid: c.avoidLocked(c.nowAt(v))}
	p, err := v.picker.Reply(o, path.FromReader(c.rand))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoPath, err)
	}
	return p[1:], nil
}

// hops turns indices into hops with delays and says how long these are in all.
func (c *Client) hops(v *view, indices []int) (way []onion.Hop, sum uint32) {
	for _, i := range indices {
		e := &v.list.Entries[i]
		h := onion.Hop{Index: uint32(i), Key: e.Onion.Key, KeyEpoch: e.Onion.First, Delay: c.delay()}
		sum += h.Delay
		way = append(way, h)
	}
	return way, sum
}
