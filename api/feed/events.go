package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/httpx"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// maxEvent bounds one server-sent event: a header and a block's statements.
const maxEvent = 32 << 20

// errEvent means that a stream does not follow the rules.
var errEvent = errors.New("unusable event")

// errGivenUp means that an event is of a fork below the newest known: a revert
// came while it was on its way, or it is of the history before one. It is left out.
var errGivenUp = errors.New("event of a former fork")

// Events yields the verified header of each block above since, in order and
// without gap, with the statements published in it. Where no server has the next
// block any more it goes on with the newest: that it skipped some shows in the
// heights. On a dev network a revert
// takes it back: then follows a block of a higher fork, whatever its height. It reconnects, to another
// server if need be, until ctx ends or two heads are seen; then the channel
// closes.
func (f *Feed) Events(ctx context.Context, since chain.Height) (<-chan Event, error) {
	if c := f.Conflict(); c != nil {
		return nil, c
	}
	if _, err := number(since + 1); err != nil || since+1 == 0 {
		return nil, ErrRange
	}
	out := make(chan Event)
	go func() {
		defer close(out)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(f.halted, cancel)()
		w := &follower{feed: f, next: since + 1, out: out}
		if newest, ok := f.Newest(); ok {
			w.fork = newest.Header.Fork
		}
		defer w.checks.Wait()
		w.run(ctx)
	}()
	return out, nil
}

// codePruned is a ledger's that has no blocks that old.
const codePruned = "pruned"

// follower is the state of one Events call. Its goroutine alone uses it.
type follower struct {
	feed   *Feed
	out    chan<- Event
	next   chain.Height       // that is wanted
	fork   uint32             // of the last that was yielded, or the newest known before
	prev   chain.SealedHeader // the last that was yielded; height 0 before the first
	known  proven             // of the parameters in force
	checks sync.WaitGroup     // cross-checks under way, at most one an epoch
}

// run opens one stream after another, each on the healthiest server that did
// not just fail to give a block, with growing pauses as long as no block comes.
func (w *follower) run(ctx context.Context) {
	f := w.feed
	var avoid *server
	pruned := 0 // servers in a row that do not have the next block any more
	for fruitless := 0; ctx.Err() == nil; {
		order, before := f.order(), w.next
		s := order[0]
		if s == avoid && len(order) > 1 {
			s = order[1]
		}
		err := w.stream(ctx, s)
		if ctx.Err() != nil {
			return
		}
		avoid = s
		if w.next > before {
			fruitless, avoid = 0, nil
		}
		if errors.Is(err, &chain.Refusal{Code: codePruned}) {
			pruned++
		} else {
			pruned = 0
		}
		if newest, ok := f.Newest(); ok && pruned >= len(order) && newest.Header.Height > w.next {
			f.log.Warn("no ledger has the next block any more; events go on with the newest", "wanted", w.next, "newest", newest.Header.Height)
			w.next, w.prev, pruned = newest.Header.Height, chain.SealedHeader{}, 0
		}
		fruitless++
		f.failed(s)
		f.log.Debug("event stream ended, opened again", "ledger", s.name, "error", err)
		timer := time.NewTimer(f.pause(fruitless))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// quiet is how long a stream may yield no block before another server is tried.
func (f *Feed) quiet() time.Duration {
	return max(time.Minute, 4*time.Duration(f.cfg.Network.Params.BlockInterval)*time.Millisecond)
}

// stream follows one server until it breaks a rule or falls silent.
func (w *follower) stream(parent context.Context, s *server) error {
	f := w.feed
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	since, err := number(w.next)
	if err != nil {
		return err
	}
	silent := time.AfterFunc(f.cfg.Timeout, func() { cancel(fmt.Errorf("%w: nothing came", errEvent)) })
	defer silent.Stop()

	res, err := s.api.StreamEvents(ctx, &client.StreamEventsParams{Since: &since}, accepting(httpx.EventStreamType))
	if res, err = answer(res, err, http.StatusOK, httpx.EventStreamType); err != nil {
		return err
	}
	defer res.Body.Close()
	r := httpx.NewEventReader(res.Body, maxEvent)
	silent.Reset(f.quiet())
	for {
		e, err := r.Next()
		if err != nil {
			return errors.Join(plain(err), context.Cause(ctx))
		}
		if e.Name != "block" {
			continue // a name of a later version; it does not wind the timer
		}
		ev, err := w.event(ctx, s, e.Data)
		if errors.Is(err, errGivenUp) {
			w.next++
			continue
		}
		if err != nil {
			return err
		}
		silent.Stop() // a slow reader is not the server's fault
		f.worked(s)
		if newest, _ := f.Newest(); newest.Same(ev.Header) {
			if other := f.second(s, ev.Header); other != nil {
				w.checks.Go(func() { f.crossCheck(parent, s, other, ev.Header) })
			}
		}
		select {
		case w.out <- ev:
			w.known.told = w.known.told || ev.Params != nil
			w.next, w.prev, w.fork = ev.Header.Header.Height+1, ev.Header, ev.Header.Header.Fork
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		silent.Reset(f.quiet())
	}
}

// event verifies one event: the height that must come next or a higher fork, the seal and what
// light asks, the parent that was yielded before, each statement's signature.
func (w *follower) event(ctx context.Context, s *server, data []byte) (Event, error) {
	f := w.feed
	parse := parseBlock
	if f.cfg.Shared != nil {
		parse = f.cfg.Shared.block
	}
	p, err := parse(data)
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", errEvent, err)
	}
	h := p.header
	if h.Header.Height != w.next && h.Header.Fork <= w.fork {
		return Event{}, fmt.Errorf("%w: height %d, expected %d", errEvent, h.Header.Height, w.next)
	}
	if err := f.acceptPast(ctx, s, h); err != nil {
		if f.cfg.Network.Dev && errors.Is(err, light.ErrFork) && h.Header.Height == w.next {
			err = errGivenUp
		}
		return Event{}, err
	}
	if err := w.follows(ctx, s, h); err != nil {
		return Event{}, err
	}
	e := Event{Header: h, Published: p.published, Unlisted: p.unlisted, Challenges: p.challenges}
	e.Params, err = w.params(ctx, s, h.Header, p.params)
	return e, err
}

// parsed is what an event says of a block; nothing is verified.
type parsed struct {
	header     chain.SealedHeader
	published  [][]byte // of the header's fork
	unlisted   unlisted
	challenges challenges
	params     uint32 // number
}

func parseBlock(data []byte) (parsed, error) {
	var raw struct {
		Header     []byte     `json:"header"`
		Published  statements `json:"published"`
		Unlisted   unlisted   `json:"unlisted"`
		Challenges challenges `json:"challenges"`
		Params     uint32     `json:"params"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return parsed{}, err
	}
	h, err := chain.DecodeSealedHeader(raw.Header)
	if err != nil {
		return parsed{}, err
	}
	e := parsed{header: h, unlisted: raw.Unlisted, challenges: raw.Challenges, params: raw.Params}
	for _, p := range raw.Published {
		// A statement proves itself to whoever makes something of it: verifying
		// every one here would cost a relay most of its time.
		if st, err := statement.Decode(p); err == nil && st.Fork == h.Header.Fork {
			e.published = append(e.published, p)
		}
	}
	return e, nil
}

// follows holds h against the header that was yielded before it, which light
// may have forgotten. A sealed header with another parent means a second header
// for the height before.
func (w *follower) follows(ctx context.Context, s *server, h chain.SealedHeader) error {
	p := w.prev
	if p.Header.Height == 0 || h.Header.Fork > p.Header.Fork {
		return nil
	}
	if h.Header.Fork == p.Header.Fork && h.Header.Parent == p.Header.Hash() && h.Header.Time >= p.Header.Time {
		return nil
	}
	other, err := s.header(ctx, at(p.Header.Height))
	if err == nil {
		w.feed.contradict(p, other)
	}
	return fmt.Errorf("%w: height %d after %s", light.ErrOrder, h.Header.Height, p.Header.Hash())
}

// unlisted is a JSON array, bounded while it is read.
type unlisted []Unlisted

// UnmarshalJSON refuses more nodes than a list holds.
func (u *unlisted) UnmarshalJSON(b []byte) error {
	return eachOf(b, func(d *json.Decoder) error {
		var one Unlisted
		if err := d.Decode(&one); err != nil {
			return err
		}
		if len(*u) == directory.MaxEntries || one.Performance > 1000 {
			return fmt.Errorf("%w: unlisted nodes", errEvent)
		}
		*u = append(*u, one)
		return nil
	})
}

// challenges is a JSON array, bounded while it is read; nil where there is none.
type challenges []Challenge

// UnmarshalJSON refuses more challenges than all nodes of a list can have open.
func (c *challenges) UnmarshalJSON(b []byte) error {
	*c = challenges{}
	return eachOf(b, func(d *json.Decoder) error {
		var one Challenge
		if err := d.Decode(&one); err != nil {
			return err
		}
		if len(*c) == directory.MaxEntries*statement.MaxChallenges || len(one.Receipt) > statement.MaxReceipt {
			return fmt.Errorf("%w: challenges", errEvent)
		}
		*c = append(*c, one)
		return nil
	})
}

// eachOf reads a JSON array item by item; null is empty.
func eachOf(b []byte, item func(*json.Decoder) error) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		if err == nil && t == nil {
			return nil // null
		}
		return errEvent
	}
	for d.More() {
		if err := item(d); err != nil {
			return err
		}
	}
	return nil
}

// statements is a JSON array of base64, bounded while it is read.
type statements [][]byte

// UnmarshalJSON refuses more statements than a block holds, and one longer than
// a transaction.
func (s *statements) UnmarshalJSON(b []byte) error {
	return eachOf(b, func(d *json.Decoder) error {
		var one []byte
		if err := d.Decode(&one); err != nil {
			return err
		}
		if len(*s) == chain.MaxBlockTxs || len(one) > chain.MaxTx {
			return fmt.Errorf("%w: too many statements or too long", errEvent)
		}
		*s = append(*s, one)
		return nil
	})
}
