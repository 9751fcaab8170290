package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// Reasons of the event "cut".
const (
	cutSlow   = "too_slow" // the client fell behind; it may come back
	cutGone   = "gone"     // what comes next is not kept; who comes back goes on from the head
	cutClosed = "closed"   // the ledger, or this server, ends
)

// place is how far a client has read: n events of the block at height, or all of
// it where n is 0.
type place struct {
	height chain.Height
	n      int
	fork   uint32
}

// String is the id of an event. Forks but 0 are of dev networks alone.
func (p place) String() string {
	b := strconv.AppendUint(nil, uint64(p.height), 10)
	if p.n > 0 || p.fork > 0 {
		b = strconv.AppendInt(append(b, '.'), int64(p.n), 10)
	}
	if p.fork > 0 {
		b = strconv.AppendUint(append(b, '.'), uint64(p.fork), 10)
	}
	return string(b)
}

func parsePlace(text string) (p place, err error) {
	var limits = [...]int{64, 31, 32}
	var parts [len(limits)]uint64
	for i, x := range strings.SplitN(text, ".", len(limits)) {
		if parts[i], err = strconv.ParseUint(x, 10, limits[i]); err != nil {
			return p, field(codeInvalidRequest, "Last-Event-ID", "is not the id of an event")
		}
	}
	return place{chain.Height(parts[0]), int(parts[1]), uint32(parts[2])}, nil
}

// StreamEvents sends the events of each block. Old blocks come from the store at
// the client's pace. A client that takes longer than WriteTimeout for one event
// is cut off as it is; one that had caught up and fell MaxLag blocks behind is
// told so first.
func (s *server) StreamEvents(ctx context.Context, req oas.StreamEventsRequestObject) (oas.StreamEventsResponseObject, error) {
	if err := s.ledger.Err(); err != nil {
		return nil, err
	}
	st := stream{server: s, types: typeBlock}
	if req.Params.Types != nil {
		var err error
		if st.types, err = parseTypes(*req.Params.Types); err != nil {
			return nil, err
		}
	}
	if err := st.begin(req.Params); err != nil {
		return nil, err
	}
	r := requestOf(ctx)
	if isHead(r.Context()) {
		return reply(func(w http.ResponseWriter) error {
			w.Header().Set("Content-Type", httpx.EventStreamType)
			w.WriteHeader(http.StatusOK)
			return nil
		}), nil
	}
	var trusted []netip.Prefix
	if s.cfg.Limits != nil {
		trusted = s.cfg.Limits.Trusted
	}
	who := httpx.ClientIP(r, trusted)
	switch s.streams.Take(who) {
	case httpx.SlotsFull:
		return nil, problem(http.StatusServiceUnavailable, codeTooManyStreams, "all event streams are taken").after(retryAfterTooMany)
	case httpx.SlotsShareFull:
		return nil, problem(http.StatusTooManyRequests, codeTooManyStreams,
			fmt.Sprintf("this address has its %d event streams; end one", s.cfg.StreamsEach)).after(retryAfterTooMany)
	}
	return reply(func(w http.ResponseWriter) error {
		defer s.streams.Release(who)
		st.run(r.Context(), w)
		return nil
	}), nil
}

// stream is one client's stream. It has no goroutine and no buffer of its own:
// the handler reads blocks at the client's pace, and what it writes is shared by
// all streams.
type stream struct {
	server *server
	types  eventTypes
	from   *ledger.Follower
	read   place // n counts events of the block that comes next, if that is of its height
	out    *httpx.EventStream
	live   bool // has caught up once
}

// begin finds the place from which the client wants to read.
func (st *stream) begin(p oas.StreamEventsParams) (err error) {
	l := st.server.ledger
	head := l.Head().Header
	defer func() {
		st.live = st.read.height >= head.Height
		if err == nil && st.from.Read()+1 < l.First() {
			err = st.server.explainMissing(ledger.ErrPruned, codePruned, "")
		}
	}()
	switch {
	case p.LastEventID != nil:
		if st.read, err = parsePlace(*p.LastEventID); err != nil {
			return err
		}
		// Whoever reads blocks alone compares parents, and may have no fork in its id.
		if !strings.Contains(*p.LastEventID, ".") && st.types == typeBlock {
			st.read.fork = head.Fork
			st.from = l.Follow(st.read.height)
			return nil
		}
		since := st.read.height
		if st.read.n > 0 {
			since = max(since, 1) - 1
		}
		st.from, err = l.FollowFork(since, st.read.fork)
		return err
	case p.Since != nil && *p.Since > 0:
		since := chain.Height(*p.Since)
		if st.types.derived() {
			first, err := l.OutcomesFrom()
			if err != nil {
				return err
			}
			if since < first {
				return problem(http.StatusGone, codeEventsGone, fmt.Sprintf("events of these types are kept from block %d on", first))
			}
		}
		st.read = place{height: since - 1, fork: head.Fork}
	default:
		st.read = place{height: head.Height, fork: head.Fork}
	}
	st.from = l.Follow(st.read.height)
	return nil
}

// run sends events until the client goes, is too slow, or the ledger ends.
func (st *stream) run(ctx context.Context, w http.ResponseWriter) {
	cfg := &st.server.cfg
	var err error
	if st.out, err = httpx.NewEventStream(w, cfg.WriteTimeout); err != nil {
		return
	}
	if st.types != typeBlock && st.out.Mark(st.read.String()) != nil {
		return
	}
	quiet := time.NewTimer(cfg.Heartbeat)
	defer quiet.Stop()
	closing := httpx.Closing(ctx)
	for {
		changed := st.from.Changed()
		sealed, ok, err := st.from.Next()
		sent := false
		switch {
		case err != nil || !ok && st.server.ledger.Err() != nil:
			st.cut(cutClosed)
			return
		case ok:
			sent, err = st.send(sealed)
			if err == nil && st.tooSlow(sealed) {
				st.cut(cutSlow)
				return
			}
		default:
			select {
			case <-ctx.Done():
			case <-closing:
			case <-changed:
			case <-quiet.C:
				sent, err = true, st.heartbeat()
			}
		}
		switch {
		case ctx.Err() != nil || ended(closing): // the client went, or the server stops and says so
			st.cut(cutClosed)
			return
		case errors.Is(err, ledger.ErrNotFound): // reverted meanwhile
		case errors.Is(err, ledger.ErrNotKept):
			st.cut(cutGone)
			return
		case errors.Is(err, ledger.ErrHalted):
			st.cut(cutClosed)
			return
		case err != nil:
			return
		}
		if sent {
			quiet.Reset(cfg.Heartbeat)
		}
	}
}

// tooSlow reports whether a stream that had caught up fell behind.
func (st *stream) tooSlow(sent chain.SealedHeader) bool {
	lag := chain.Height(0)
	// The head may be a revert's, below what was sent.
	if head := st.server.ledger.Head().Header.Height; head > sent.Header.Height {
		lag = head - sent.Header.Height
	}
	st.live = st.live || lag == 0
	return st.live && lag > st.server.cfg.MaxLag
}

func (st *stream) heartbeat() error {
	if st.types == typeBlock {
		return st.out.Heartbeat()
	}
	return st.out.Mark(st.read.String())
}

// maxPiece is from how many bytes on events are written in several pieces, each
// of which must get through within WriteTimeout.
const maxPiece = 64 << 10

// send writes the chosen events of a block and reports whether there were any.
func (st *stream) send(sealed chain.SealedHeader) (sent bool, err error) {
	h := sealed.Header
	n := 0 // events of the block that the client has
	if st.read.n > 0 && st.read.height == h.Height && st.read.fork >= h.Fork {
		n = st.read.n
	}
	for st.types&^typeBlock != 0 {
		f, err := st.server.framesOf(sealed, st.types.derived())
		if err != nil {
			return sent, err
		}
		var piece []byte
		if piece, n = f.after(n, st.types, maxPiece); piece == nil {
			break
		}
		if err := st.out.SendEncoded(piece); err != nil {
			return sent, err
		}
		sent = true
		st.read = place{h.Height, n, h.Fork}
	}
	if st.types&typeBlock != 0 {
		e, err := st.server.ledger.Event(sealed)
		if err != nil {
			return sent, err
		}
		if err := st.sendBlock(e); err != nil {
			return sent, err
		}
		sent = true
	}
	st.read = place{height: h.Height, fork: h.Fork}
	return sent, nil
}

// sendBlock writes the event "block". Its id is the height, which stands for the
// whole block: it is the last of it.
func (st *stream) sendBlock(e ledger.Event) error {
	b := st.server.frames.of(e)
	if st.types == typeBlock || e.Header.Fork == 0 {
		return st.out.SendEncoded(b)
	}
	plain := place{height: e.Header.Height}.String()
	full := place{height: e.Header.Height, fork: e.Header.Fork}.String()
	return st.out.SendEncoded([]byte("id: "+full), b[len("id: "+plain):])
}

// cut sends the last event of a stream. With "gone" goes the id of the head, so
// that a browser, which comes back by itself, goes on from there.
func (st *stream) cut(reason string) {
	e := httpx.Event{Name: "cut", Data: []byte(`{"reason":"` + reason + `"}`)}
	if reason == cutGone {
		head := st.server.ledger.Head().Header
		e.ID = place{height: head.Height, fork: head.Fork}.String()
	}
	_ = st.out.Send(e)
}

// ended reports whether c is closed; nil never is.
func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
