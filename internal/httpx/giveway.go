package httpx

import (
	"net/http"
	"time"
)

// GiveWay lets no more than n of the requests that heavy names be worked on at
// once, so that a crowd of them does not keep processors from all others. One
// more waits for its turn, but no longer than wait: clients that read slowly
// delay others by that and cannot stop them. Whoever goes while it waits is not
// served.
func GiveWay(n int, wait time.Duration, heavy func(*http.Request) bool, next http.Handler) http.Handler {
	turns := make(chan struct{}, max(n, 1))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if heavy(r) {
			select {
			case turns <- struct{}{}:
				defer func() { <-turns }()
			default:
				if takeTurn(r, turns, wait) {
					defer func() { <-turns }()
				} else if r.Context().Err() != nil {
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// takeTurn reports whether a turn came before the wait was over.
func takeTurn(r *http.Request, turns chan<- struct{}, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case turns <- struct{}{}:
		return true
	case <-t.C:
	case <-r.Context().Done():
	}
	return false
}
