package httpx

import (
	"net/http"
	"sync/atomic"
	"time"
)

// othersLately is for how long after a request that is not heavy the heavy ones
// leave room for the next.
const othersLately = 100 * time.Millisecond

// GiveWay lets no more than n of the requests that heavy names be worked on at
// once, and half as many while there are others, so that a crowd of them does
// not keep processors from all others. One more waits for its turn, but no longer
// than wait: clients that read slowly delay others by that and cannot stop them.
// Whoever goes while it waits is not served.
func GiveWay(n int, wait time.Duration, heavy func(*http.Request) bool, next http.Handler) http.Handler {
	all, half := make(turns, max(n, 1)), make(turns, max(n/2, 1))
	start := time.Now()
	var others atomic.Int64 // when the last came, since start
	others.Store(-int64(othersLately))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Since(start)
		if !heavy(r) {
			others.Store(int64(now))
			next.ServeHTTP(w, r)
			return
		}
		left := wait
		if now-time.Duration(others.Load()) < othersLately {
			if half.take(r, left) {
				defer half.leave()
			}
			left -= time.Since(start) - now
		}
		if all.take(r, left) {
			defer all.leave()
		}
		if r.Context().Err() == nil {
			next.ServeHTTP(w, r)
		}
	})
}

// turns has room for as many tokens as there are turns.
type turns chan struct{}

func (t turns) leave() { <-t }

// take reports whether a turn came before the wait was over.
func (t turns) take(r *http.Request, wait time.Duration) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-limit.C:
	case <-r.Context().Done():
	}
	return false
}
