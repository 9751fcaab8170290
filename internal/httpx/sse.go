package httpx

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// EventStreamType is the media type of server-sent events.
const EventStreamType = "text/event-stream"

// ErrEvent means that an event's id or name holds a line break or a zero byte.
var ErrEvent = errors.New("event cannot be written")

// An Event is one server-sent event.
type Event struct {
	// ID is what a client sends back as Last-Event-ID after a reconnect; empty
	// leaves the last one standing.
	ID string
	// Name is the event's type; empty means "message".
	Name string
	// Data is any text. Line breaks of every kind arrive as "\n".
	Data []byte
}

// An EventStream writes server-sent events to one client, as the WHATWG HTML
// standard defines them. One goroutine uses it, the handler's own.
//
// A client that does not read is cut off: every write must get through within
// the write timeout, and nothing is queued here beyond the connection's own
// buffers. Where the ResponseWriter has no deadlines (a recorder in a test), a
// slow client blocks the handler.
type EventStream struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	timeout time.Duration
}

// NewEventStream sends the header of a stream; each later write has to get
// through within writeTimeout. It lifts the server's limits on the time of the
// whole request, which would end the stream.
func NewEventStream(w http.ResponseWriter, writeTimeout time.Duration) (*EventStream, error) {
	s := &EventStream{w: w, ctl: http.NewResponseController(w), timeout: writeTimeout}
	// The server watches for the client's going away by reading; an expired
	// read deadline would look like one.
	if err := s.ctl.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, fmt.Errorf("start event stream: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", EventStreamType)
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	h.Del("Content-Length")
	if err := s.deadline(); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	if err := s.ctl.Flush(); err != nil {
		return nil, fmt.Errorf("start event stream: %w", err)
	}
	return s, nil
}

// Encode is e as it is written, for SendEncoded on any number of streams.
func (e Event) Encode() ([]byte, error) {
	if strings.ContainsAny(e.ID, "\r\n\x00") || strings.ContainsAny(e.Name, "\r\n") {
		return nil, ErrEvent
	}
	b := make([]byte, 0, len(e.ID)+len(e.Name)+len(e.Data)+32)
	if e.ID != "" {
		b = append(append(append(b, "id: "...), e.ID...), '\n')
	}
	if e.Name != "" {
		b = append(append(append(b, "event: "...), e.Name...), '\n')
	}
	data := e.Data
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b = append(append(append(b, "data: "...), line...), '\n')
	}
	return append(b, '\n'), nil
}

// Send writes e and flushes it. After an error the stream is of no more use,
// except that ErrEvent leaves it as it was.
func (s *EventStream) Send(e Event) error {
	b, err := e.Encode()
	if err != nil {
		return err
	}
	return s.SendEncoded(b)
}

// SendEncoded is Send of what Encode made, one or more events in any number of
// pieces.
func (s *EventStream) SendEncoded(pieces ...[]byte) error {
	if err := s.deadline(); err != nil {
		return err
	}
	for _, b := range pieces {
		if _, err := s.w.Write(b); err != nil {
			return fmt.Errorf("write event: %w", err)
		}
	}
	if err := s.ctl.Flush(); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}

// Heartbeat writes a comment, which clients ignore, so that proxies keep the
// connection and a client that is gone is noticed.
func (s *EventStream) Heartbeat() error { return s.SendEncoded([]byte(":\n\n")) }

// Mark is a heartbeat that makes id the last one that the client knows, though
// there was no event: what it sends after a reconnect does not grow old while
// nothing of interest happens.
func (s *EventStream) Mark(id string) error {
	return s.SendEncoded([]byte(":\nid: "), []byte(id), []byte("\n\n"))
}

func (s *EventStream) deadline() error {
	err := s.ctl.SetWriteDeadline(time.Now().Add(s.timeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}
