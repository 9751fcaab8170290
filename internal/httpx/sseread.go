package httpx

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrEventTooLarge means that a line or an event is longer than the reader's
// bound.
var ErrEventTooLarge = errors.New("event over limit")

// readBuffer is what a reader keeps while it waits. Longer lines are gathered in
// buffers that all readers share.
const readBuffer = 4096

// lines holds buffers of lines and events: where many read the same stream, each
// holds them for a moment.
var lines = sync.Pool{New: func() any { return new([]byte) }}

// An EventReader reads server-sent events, as a client gets them. It skips
// comments and heartbeats, and drops an event that the stream's end cut off.
// Between events it holds a few kilobytes, however large they were.
type EventReader struct {
	r       *bufio.Reader
	limit   int
	first   bool
	afterCR bool // the last line ended with "\r": a "\n" that follows belongs to it
	err     error
	buf     *[]byte // of the present line
	data    *[]byte // in which the data of the present event begins
}

// NewEventReader reads from r, holding no more than limit bytes of an event's
// data. It does not close r.
func NewEventReader(r io.Reader, limit int) *EventReader {
	return &EventReader{r: bufio.NewReaderSize(r, readBuffer), limit: limit, first: true}
}

// Next returns the next event, which has at least one line of data; its ID is
// empty if it had none of its own. The error is io.EOF at the end of the
// stream, ErrEventTooLarge, or that of the reader; it is the same from then on.
// Its Data is valid until Next is called again.
func (e *EventReader) Next() (Event, error) {
	var ev Event
	hasData := false
	e.release()
	for e.err == nil {
		line, ok := e.line()
		if !ok {
			break
		}
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
			switch {
			case len(ev.Data)+1+len(value) > e.limit+1:
				e.err = ErrEventTooLarge
			case hasData:
				ev.Data = append(append(ev.Data, '\n'), value...)
			default:
				ev.Data, e.data, e.buf = value, e.buf, nil // the next line goes elsewhere
			}
			hasData = true
		}
	}
	return Event{}, e.err
}

// release gives the buffers back.
func (e *EventReader) release() {
	for _, b := range []**[]byte{&e.buf, &e.data} {
		if *b != nil {
			lines.Put(*b)
			*b = nil
		}
	}
}

// line reads one line into e.buf; false at the end, with e.err set. Lines end at
// "\n", "\r\n" and "\r"; one without its end does not count.
func (e *EventReader) line() (line []byte, ok bool) {
	for {
		if len(line) == 0 && e.r.Buffered() == 0 && e.data == nil {
			e.release() // while it waits for an event it holds nothing
		}
		if _, err := e.r.Peek(1); err != nil {
			if e.err = io.EOF; err != io.EOF {
				e.err = fmt.Errorf("read event: %w", err)
			}
			return nil, false
		}
		b, _ := e.r.Peek(e.r.Buffered())
		if e.afterCR {
			e.afterCR = false
			if b[0] == '\n' {
				_, _ = e.r.Discard(1)
				continue
			}
		}
		i := bytes.IndexByte(b, '\n')
		if j := bytes.IndexByte(b[:max(i, 0)], '\r'); j >= 0 {
			i = j
		} else if i < 0 {
			i = bytes.IndexByte(b, '\r')
		}
		n := i
		if i < 0 {
			n = len(b)
		}
		if len(line)+n > e.limit+64 {
			e.err = ErrEventTooLarge
			return nil, false
		}
		if e.buf == nil {
			e.buf = lines.Get().(*[]byte)
		}
		line = append((*e.buf)[:len(line)], b[:n]...)
		*e.buf = line
		if i < 0 {
			_, _ = e.r.Discard(n)
			continue
		}
		e.afterCR = b[i] == '\r'
		_, _ = e.r.Discard(n + 1)
		return line, true
	}
}
