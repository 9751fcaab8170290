package httpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// InMemory returns a transport that calls h in this process, without sockets:
//
//	client := &http.Client{Transport: httpx.InMemory(h)}
//
// Client and handler see what they would see over a connection, as far as Tunic
// needs it. The handler gets a request of its own, with none of the client's
// context values, from 127.0.0.1:0. The answer begins when the handler flushes,
// has written over 2 KiB or returns; its body streams through a bounded buffer,
// so that a handler blocks on a client that does not read, up to its write
// deadline. The handler's context ends when the client's does, when the client
// closes the body before its end, and when the handler returns. A panic becomes
// an error of the request, or cuts the body short.
//
// Not provided: trailers, informational answers, hijacking, transparent
// compression, read deadlines.
func InMemory(h http.Handler) http.RoundTripper { return inMemory{h} }

type inMemory struct{ handler http.Handler }

const (
	// headBuffer is how much a handler can write before the answer begins, as
	// in net/http.
	headBuffer = 2048
	// bodyBuffer stands for what sockets hold.
	bodyBuffer = 64 << 10
)

// RoundTrip starts the handler and returns when its answer begins.
func (t inMemory) RoundTrip(req *http.Request) (*http.Response, error) {
	// The context of the handler ends with that of the request, yet carries
	// none of its values.
	ctx, cancel := context.WithCancelCause(context.Background())
	closeBody := sync.OnceFunc(func() {
		if req.Body != nil {
			req.Body.Close()
		}
	})
	inner, err := serverRequest(ctx, req)
	if err != nil {
		cancel(err)
		closeBody()
		return nil, err
	}
	pipe := newPipe(bodyBuffer)
	w := &memoryWriter{req: req, header: http.Header{}, pipe: pipe, begun: make(chan *http.Response, 1), declared: -1}
	stop := context.AfterFunc(req.Context(), func() {
		err := context.Cause(req.Context())
		cancel(err)
		pipe.closeWrite(err)
		closeBody() // wakes a handler that reads from it
	})
	pipe.onAbandon = func() { cancel(context.Canceled) }

	failed := make(chan error, 1)
	go func() {
		err := t.serve(w, inner)
		stop()
		cancel(context.Canceled)
		closeBody()
		failed <- w.finish(err)
	}()
	select {
	case resp := <-w.begun:
		return resp, nil
	case err := <-failed:
		// An answer that began while the handler ended comes first.
		select {
		case resp := <-w.begun:
			return resp, nil
		default:
			return nil, err
		}
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
}

// serve runs the handler and returns its panic as an error.
func (t inMemory) serve(w *memoryWriter, r *http.Request) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			err = io.ErrUnexpectedEOF
		default:
			err = fmt.Errorf("in-memory handler panicked: %v", v)
		}
	}()
	t.handler.ServeHTTP(w, r)
	return nil
}

// serverRequest is req as a server would have read it.
func serverRequest(ctx context.Context, req *http.Request) (*http.Request, error) {
	if req.URL == nil {
		return nil, errors.New("in-memory request: no URL")
	}
	target := req.URL.RequestURI()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, fmt.Errorf("in-memory request: %w", err)
	}
	inner := req.Clone(ctx)
	inner.URL, inner.RequestURI = u, target
	inner.Proto, inner.ProtoMajor, inner.ProtoMinor = "HTTP/1.1", 1, 1
	inner.RemoteAddr = "127.0.0.1:0"
	if inner.Method == "" {
		inner.Method = http.MethodGet
	}
	if inner.Host == "" {
		inner.Host = req.URL.Host
	}
	if inner.Header == nil {
		inner.Header = http.Header{}
	}
	if user := req.URL.User; user != nil && inner.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		inner.SetBasicAuth(user.Username(), password)
	}
	switch {
	case req.Body == nil:
		inner.Body, inner.ContentLength = http.NoBody, 0
	case req.Body != http.NoBody && req.ContentLength == 0:
		inner.ContentLength = -1 // a client's 0 with a body means unknown
	}
	if inner.ContentLength > 0 {
		inner.Header.Set("Content-Length", strconv.FormatInt(inner.ContentLength, 10))
		inner.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(req.Body, inner.ContentLength), req.Body}
	}
	return inner, nil
}

// memoryWriter is the handler's side of an answer. The handler's goroutine
// alone uses it.
type memoryWriter struct {
	req      *http.Request
	header   http.Header
	pipe     *pipe
	begun    chan *http.Response // gets the answer once
	status   int                 // 0 until WriteHeader
	snapshot http.Header         // header at WriteHeader
	head     []byte              // written before the answer began
	sent     bool                // the answer has begun
	declared int64               // Content-Length, or -1
	written  int64
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	if w.status != 0 || (status < 200 && status != http.StatusSwitchingProtocols) {
		return
	}
	w.status = status
	w.snapshot = w.header.Clone()
	if n, err := strconv.ParseInt(w.snapshot.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.declared = n
	} else {
		w.snapshot.Del("Content-Length")
	}
}

func (w *memoryWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !w.bodyAllowed() {
		return 0, http.ErrBodyNotAllowed
	}
	if w.declared >= 0 && w.written+int64(len(b)) > w.declared {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(b))
	if !w.sent {
		if len(w.head)+len(b) <= headBuffer {
			w.head = append(w.head, b...)
			return len(b), nil
		}
		first := w.head
		if len(first) == 0 {
			first = b
		}
		if err := w.begin(first); err != nil {
			return 0, err
		}
	}
	if w.req.Method == http.MethodHead {
		return len(b), nil
	}
	return w.pipe.Write(b)
}

// FlushError begins the answer if it has not begun.
func (w *memoryWriter) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if !w.sent {
		return w.begin(w.head)
	}
	return nil
}

func (w *memoryWriter) Flush() { _ = w.FlushError() }

// SetWriteDeadline bounds the writes that follow, as on a connection: one that
// ran out leaves the answer cut off for good.
func (w *memoryWriter) SetWriteDeadline(t time.Time) error {
	w.pipe.setWriteDeadline(t)
	return nil
}

// EnableFullDuplex does nothing: handlers may always read while they write.
func (w *memoryWriter) EnableFullDuplex() error { return nil }

func (w *memoryWriter) bodyAllowed() bool {
	return w.status >= 200 && w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

// begin hands the answer to the client; first are the first bytes of its body.
func (w *memoryWriter) begin(first []byte) error {
	w.sent = true
	h := w.snapshot
	if _, set := h["Content-Type"]; !set && w.bodyAllowed() && h.Get("Content-Encoding") == "" && len(first) > 0 {
		h.Set("Content-Type", http.DetectContentType(first))
	}
	if h.Get("Date") == "" {
		h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	resp := &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Request: w.req, Body: w.pipe, ContentLength: w.declared,
	}
	if w.req.Method == http.MethodHead || !w.bodyAllowed() {
		resp.Body = http.NoBody
		w.pipe.closeWrite(io.EOF)
	}
	if !w.bodyAllowed() {
		resp.ContentLength = 0
	}
	w.begun <- resp
	if len(w.head) == 0 || w.req.Method == http.MethodHead {
		return nil
	}
	_, err := w.pipe.Write(w.head)
	w.head = nil
	return err
}

// finish ends the answer when the handler has returned, in err if it panicked.
func (w *memoryWriter) finish(err error) error {
	if err != nil {
		w.pipe.closeWrite(err)
		return err
	}
	w.WriteHeader(http.StatusOK)
	if !w.sent {
		if w.declared < 0 && w.bodyAllowed() && (w.req.Method != http.MethodHead || w.written > 0) {
			w.declared = w.written
			w.snapshot.Set("Content-Length", strconv.FormatInt(w.written, 10))
		}
		_ = w.begin(w.head) // fails only where the client is gone
	}
	end := io.EOF
	if w.declared > w.written && w.req.Method != http.MethodHead && w.bodyAllowed() {
		end = io.ErrUnexpectedEOF
	}
	w.pipe.closeWrite(end)
	return nil
}
