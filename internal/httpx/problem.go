// Package httpx holds what every HTTP server of Tunic shares, on net/http
// alone: problem documents, strict JSON, server-sent events, entity tags, what
// clients accept, limits on rates, streams and crowds, request ids, a server with
// time limits, and a way to call a handler without a socket. See docs/spec/api.md.
//
// Most callers want [DecodeStrict] and [WriteProblem] in a handler,
// [NewEventStream] for a stream, and [NewServer] around it all; networks within
// one process call each other through [InMemory].
//
// Every body, line and table here is bounded. Nothing here logs, and no error
// text carries the address of a peer.
package httpx

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// ProblemType is the media type of a [Problem].
const ProblemType = "application/problem+json"

// A Problem is an error as RFC 9457 writes it. It is an error value, so that a
// handler can return one.
type Problem struct {
	// Type is a URI for the kind of problem; empty means "about:blank", and
	// Title is then the status text.
	Type string `json:"type"`
	// Title is a short text that is the same for every problem of this kind.
	Title string `json:"title"`
	// Status is the HTTP status, 400 to 599; anything else is sent as 500.
	Status int `json:"status"`
	// Detail says what is wrong with this request, and what to do.
	Detail string `json:"detail,omitempty"`
	// Instance is where it happened; empty means the path of the request, or its
	// beginning where that is over 120 bytes.
	Instance string `json:"instance,omitempty"`
	// Code is what programs compare: lower case with hyphens, never changed
	// once published. Empty means one derived from the status text.
	Code string `json:"code"`
	// Errors names each field that was refused.
	Errors []FieldError `json:"errors,omitempty"`
}

// A FieldError says what is wrong with one field.
type FieldError struct {
	// Field is a path as in "nodes[2].stake", or a parameter's name.
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Error returns the title and the detail.
func (p Problem) Error() string {
	title := p.Title
	if title == "" {
		title = http.StatusText(p.Status)
	}
	if p.Detail == "" {
		return title
	}
	return title + ": " + p.Detail
}

// WriteProblem answers r with p, its empty fields filled in as their comments
// say. It must come before anything else is written; headers that described
// another body are removed, and nobody may cache the answer.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Status < 400 || p.Status > 599 {
		p.Status = http.StatusInternalServerError
	}
	if p.Type == "" {
		p.Type = "about:blank"
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if p.Code == "" {
		p.Code = codeOf(p.Status)
	}
	if p.Instance == "" && r != nil && r.URL != nil {
		p.Instance = Clip(r.URL.EscapedPath(), maxName)
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("httpx: a problem has only strings and numbers: %v", err))
	}
	body = append(body, '\n')
	h := w.Header()
	for _, name := range []string{"Etag", "Last-Modified", "Content-Encoding", "Expires"} {
		h.Del(name)
	}
	h.Set("Content-Type", ProblemType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	if r == nil || r.Method != http.MethodHead {
		w.Write(body)
	}
}

// codeOf turns a status text into a code: 404 gives "not_found".
func codeOf(status int) string {
	text := []byte(http.StatusText(status))
	if len(text) == 0 {
		return "status_" + strconv.Itoa(status)
	}
	for i, c := range text {
		switch {
		case 'A' <= c && c <= 'Z':
			text[i] = c + 'a' - 'A'
		case c == ' ', c == '-', c == '\'':
			text[i] = '_'
		}
	}
	return string(text)
}

// ProblemMux serves mux, answering with problem documents where net/http would
// answer 404 and 405 in plain text.
func ProblemMux(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		// No route: net/http's own handler knows whether another method would
		// have one.
		probe := probeWriter{header: http.Header{}}
		h.ServeHTTP(&probe, r)
		if allow := probe.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			WriteProblem(w, r, Problem{
				Status: http.StatusMethodNotAllowed,
				Detail: fmt.Sprintf("this path answers %s", allow),
			})
			return
		}
		WriteProblem(w, r, Problem{Status: http.StatusNotFound, Detail: "there is no such path"})
	})
}

// probeWriter keeps the headers of an answer and drops the rest.
type probeWriter struct{ header http.Header }

func (p *probeWriter) Header() http.Header         { return p.header }
func (p *probeWriter) WriteHeader(int)             {}
func (p *probeWriter) Write(b []byte) (int, error) { return len(b), nil }

// Recover serves next and turns a panic into a 500 problem if nothing has been
// written yet; the connection is cut off otherwise. The value of the panic goes
// to report alone, never to the client; report may read the answer's header.
// The problem is written by answer; nil means WriteProblem.
func Recover(next http.Handler, report func(w http.ResponseWriter, r *http.Request, value any), answer func(http.ResponseWriter, *http.Request, Problem)) http.Handler {
	if answer == nil {
		answer = WriteProblem
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tracked := &startedWriter{ResponseWriter: w}
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if value == http.ErrAbortHandler {
				panic(value)
			}
			report(w, r, value)
			if tracked.started {
				panic(http.ErrAbortHandler)
			}
			answer(w, r, Problem{Status: http.StatusInternalServerError, Code: "internal"})
		}()
		next.ServeHTTP(tracked, r)
	})
}

// startedWriter knows whether the answer has begun.
type startedWriter struct {
	http.ResponseWriter
	started bool
}

func (s *startedWriter) WriteHeader(status int) {
	s.started = true
	s.ResponseWriter.WriteHeader(status)
}

func (s *startedWriter) Write(b []byte) (int, error) {
	s.started = true
	return s.ResponseWriter.Write(b)
}

// FlushError, Flush and Unwrap keep streams working: http.ResponseController
// and wrappers of other packages ask for one or the other.
func (s *startedWriter) FlushError() error {
	s.started = true
	return http.NewResponseController(s.ResponseWriter).Flush()
}

func (s *startedWriter) Flush() { _ = s.FlushError() }

func (s *startedWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
