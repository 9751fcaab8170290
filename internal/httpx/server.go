package httpx

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"time"
)

// NewServer returns a server for h that a slow or hostile client cannot hold
// on to: 5 s for the header of a request, of at most 16 KiB, 30 s for its body,
// 60 s for the answer, two minutes of idling. Event streams lift the limits on
// body and answer for themselves. The caller sets Addr, TLSConfig and
// BaseContext as needed, and calls Shutdown.
//
// What net/http would log about a connection names the peer's address, and is
// dropped.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
}

// LeaveBody is for an answer that does not depend on the body of r, which nobody
// will read: the answer goes out at once and the connection ends after it. Else
// net/http waits for the body before it answers, as long as [NewServer] allows.
func LeaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
}

// RequestIDHeader carries a request's id in both directions.
const RequestIDHeader = "X-Request-Id"

// WithRequestID gives each request an id, which next finds with [RequestID] and
// the client in the answer's header. A client's own id is kept if it has 1 to
// 64 letters, digits, '-', '_' or '.'; a random one takes its place otherwise.
func WithRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(RequestIDHeader)
		if !validRequestID(id) {
			id = NewRequestID()
		}
		w.Header()[RequestIDHeader] = []string{id}
		next.ServeHTTP(w, r)
	})
}

// RequestID returns the id of the request that w answers, or "": it stands in
// the answer's header, which costs less than a context.
func RequestID(w http.ResponseWriter) string { return w.Header().Get(RequestIDHeader) }

// NewRequestID returns 12 random bytes in hex. They are for finding a request
// in a log again, and no secret: chance of math/rand will do.
func NewRequestID() string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64())
	binary.BigEndian.PutUint32(b[8:], rand.Uint32())
	return hex.EncodeToString(b[:])
}

func validRequestID(id string) bool {
	if len(id) < 1 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
