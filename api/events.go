package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// Reasons of the event "cut".
const (
	cutSlow   = "too_slow" // the client fell behind; it may come back
	cutClosed = "closed"   // the ledger, or this server, ends
)

// StreamEvents sends an event for each block. Old blocks come from the store at
// the client's pace. A client that takes longer than WriteTimeout for one event
// is cut off as it is; one that had caught up and fell MaxLag blocks behind is
// told so first.
func (s *server) StreamEvents(ctx context.Context, req oas.StreamEventsRequestObject) (oas.StreamEventsResponseObject, error) {
	seen := s.ledger.Head().Header.Height
	switch {
	case req.Params.LastEventID != nil:
		h, err := strconv.ParseUint(*req.Params.LastEventID, 10, 64)
		if err != nil {
			return nil, field(codeInvalidRequest, "Last-Event-ID", "is not a height")
		}
		seen = chain.Height(h)
	case req.Params.Since != nil && *req.Params.Since > 0:
		seen = chain.Height(*req.Params.Since) - 1
	}
	if err := s.ledger.Err(); err != nil {
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
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, problem(http.StatusServiceUnavailable, codeTooManyStreams, "all event streams are taken").after(retryAfterTooMany)
	}
	return reply(func(w http.ResponseWriter) error {
		defer func() { <-s.streams }()
		s.stream(r.Context(), w, seen)
		return nil
	}), nil
}

// stream runs one event stream from the block after seen until the client
// goes, is too slow, or the ledger ends.
func (s *server) stream(ctx context.Context, w http.ResponseWriter, seen chain.Height) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := s.ledger.Subscribe(ctx, seen)
	out, err := httpx.NewEventStream(w, s.cfg.WriteTimeout)
	if err != nil {
		return
	}
	quiet := time.NewTimer(s.cfg.Heartbeat)
	defer quiet.Stop()
	live, closing := false, httpx.Closing(ctx)
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-closing:
			cut(out, cutClosed)
			return
		case e, open := <-events:
			if !open {
				if ctx.Err() == nil {
					cut(out, cutClosed)
				}
				return
			}
			err = out.SendEncoded(s.frames.of(e))
			// The head may be a revert's, below what was sent.
			lag := chain.Height(0)
			if head := s.ledger.Head().Header.Height; head > e.Header.Height {
				lag = head - e.Header.Height
			}
			if live = live || lag == 0; err == nil && live && lag > s.cfg.MaxLag {
				cut(out, cutSlow)
				return
			}
		case <-quiet.C:
			err = out.Heartbeat()
		}
		if err != nil {
			return
		}
		quiet.Reset(s.cfg.Heartbeat)
	}
}

// cut sends the last event of a stream.
func cut(out *httpx.EventStream, reason string) {
	_ = out.Send(httpx.Event{Name: "cut", Data: []byte(`{"reason":"` + reason + `"}`)})
}

// frames keeps the newest block as all streams get it, so that it is encoded
// once. Safe for concurrent use.
type frames struct {
	mu       sync.Mutex
	seal     [64]byte // of the block's header
	params   uint32   // in force when it was read
	unlisted int      // how many were named then
	last     []byte
}

// of is the bytes that a stream carries for e.
func (f *frames) of(e ledger.Event) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil || f.seal != e.Seal || f.params != e.Params || f.unlisted != len(e.Unlisted) {
		b, err := blockEvent(e).Encode()
		if err != nil {
			panic("api: internal error: " + err.Error()) // a number and a word
		}
		f.seal, f.params, f.unlisted, f.last = e.Seal, e.Params, len(e.Unlisted), b
	}
	return f.last
}

// unlisted is a registry.Unlisted as the stream shows it.
type unlisted struct {
	Node           chain.NodeID   `json:"node"`
	Decommissioned bool           `json:"decommissioned"`
	Since          chain.Epoch    `json:"since_epoch"`
	Performance    chain.Permille `json:"performance"`
}

// blockEvent is a block as the stream shows it.
func blockEvent(e ledger.Event) httpx.Event {
	body := struct {
		Header    []byte     `json:"header"`
		Published [][]byte   `json:"published"`
		Unlisted  []unlisted `json:"unlisted,omitempty"`
		Params    uint32     `json:"params"`
	}{Header: e.Encode(), Published: e.Published, Params: e.Params}
	for _, u := range e.Unlisted {
		body.Unlisted = append(body.Unlisted, unlisted(u))
	}
	if body.Published == nil {
		body.Published = [][]byte{}
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic("api: internal error: " + err.Error()) // bytes and numbers alone
	}
	return httpx.Event{ID: strconv.FormatUint(uint64(e.Header.Height), 10), Name: "block", Data: data}
}
