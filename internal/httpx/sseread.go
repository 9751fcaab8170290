package httpx

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrEventTooLarge means that a line or an event is longer than the reader's
// bound.
var ErrEventTooLarge = errors.New("event over limit")

// An EventReader reads server-sent events, as a client gets them. It skips
// comments and heartbeats, and drops an event that the stream's end cut off.
type EventReader struct {
	scan  *bufio.Scanner
	limit int
	first bool
	err   error
}

// NewEventReader reads from r, holding no more than limit bytes of an event's
// data. It does not close r.
func NewEventReader(r io.Reader, limit int) *EventReader {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, min(limit+64, 4096)), limit+64)
	s.Split(splitLines)
	return &EventReader{scan: s, limit: limit, first: true}
}

// Next returns the next event, which has at least one line of data; its ID is
// empty if it had none of its own. The error is io.EOF at the end of the
// stream, ErrEventTooLarge, or that of the reader; it is the same from then on.
func (e *EventReader) Next() (Event, error) {
	var ev Event
	hasData := false
	for e.err == nil && e.scan.Scan() {
		line := e.scan.Bytes()
		if e.first {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
			e.first = false
		}
		if len(line) == 0 {
			if hasData {
				return ev, nil
			}
			ev = Event{}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				ev.ID = string(value)
			}
		case "event":
			ev.Name = string(value)
		case "data":
			if len(ev.Data)+1+len(value) > e.limit+1 {
				e.err = ErrEventTooLarge
				return Event{}, e.err
			}
			if hasData {
				ev.Data = append(ev.Data, '\n')
			}
			ev.Data = append(ev.Data, value...)
			hasData = true
		}
	}
	if e.err == nil {
		switch err := e.scan.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			e.err = ErrEventTooLarge
		case err != nil:
			e.err = fmt.Errorf("read event: %w", err)
		default:
			e.err = io.EOF
		}
	}
	return Event{}, e.err
}

// splitLines ends lines at "\n", "\r\n" and "\r". After a "\r" at the end of
// what has arrived it waits for one byte more, which may be its "\n".
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF:
		return len(data), nil, nil // a line without its end does not count
	case i < 0:
		return 0, nil, nil
	case data[i] == '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data) && data[i+1] == '\n':
		return i + 2, data[:i], nil
	case i+1 == len(data) && !atEOF:
		return 0, nil, nil
	}
	return i + 1, data[:i], nil
}
