package httpx

import (
	"container/list"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// LimiterConfig says how much each client may ask.
type LimiterConfig struct {
	// PerSecond is how many requests a client may make in the long run; over 0.
	PerSecond float64
	// Burst is how many it may make at once; at least 1.
	Burst int
	// Clients is how many are remembered; 0 means 10,000. A full table forgets
	// whoever asked longest ago, who then has a full burst again: so that many
	// addresses cost memory to nobody.
	Clients int
	// Trusted are the proxies whose X-Forwarded-For is believed; usually none.
	Trusted []netip.Prefix
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Answer writes what whoever asks too much gets; nil means WriteProblem. It
	// must cost little: it answers a crowd.
	Answer func(http.ResponseWriter, *http.Request, Problem)
}

// A Limiter bounds the rate of requests of each client, that is of each IPv4
// address and each IPv6 /64. It is safe for concurrent use.
type Limiter struct {
	cfg LimiterConfig

	mu      sync.Mutex
	clients map[netip.Addr]*list.Element // of *bucket
	recent  *list.List                   // most recent first
}

// bucket holds what a client may still ask: a token for each request, which come
// back with time.
type bucket struct {
	addr   netip.Addr
	tokens float64 // at the time at
	at     time.Time
}

// take takes a token, or says after which time there will be one.
func (b *bucket) take(now time.Time, perSecond, burst float64) (wait time.Duration, ok bool) {
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens, b.at = min(burst, b.tokens+passed.Seconds()*perSecond), now
	}
	if b.tokens >= 1 {
		b.tokens--
		return 0, true
	}
	seconds := (1 - b.tokens) / perSecond
	if seconds >= math.MaxInt64/1e9 {
		return math.MaxInt64, false
	}
	return max(1, time.Duration(math.Ceil(seconds*1e9))), false
}

// NewLimiter returns a limiter that has seen nobody. Values out of range count
// as the nearest allowed one.
func NewLimiter(cfg LimiterConfig) *Limiter {
	cfg.Burst = max(cfg.Burst, 1)
	if !(cfg.PerSecond > 0) {
		cfg.PerSecond = math.SmallestNonzeroFloat64
	}
	if cfg.Clients <= 0 {
		cfg.Clients = 10_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Answer == nil {
		cfg.Answer = WriteProblem
	}
	return &Limiter{cfg: cfg, clients: map[netip.Addr]*list.Element{}, recent: list.New()}
}

// Allow counts one request of addr. If it is one too many, ok is false, nothing
// is counted, and the same request would pass after wait.
func (l *Limiter) Allow(addr netip.Addr) (wait time.Duration, ok bool) {
	addr = clientKey(addr)
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	e, known := l.clients[addr]
	if known {
		l.recent.MoveToFront(e)
	} else {
		if l.recent.Len() >= l.cfg.Clients {
			oldest := l.recent.Back()
			delete(l.clients, oldest.Value.(*bucket).addr)
			l.recent.Remove(oldest)
		}
		e = l.recent.PushFront(&bucket{addr, float64(l.cfg.Burst), now})
		l.clients[addr] = e
	}
	return e.Value.(*bucket).take(now, l.cfg.PerSecond, float64(l.cfg.Burst))
}

// Handler serves next within the limits and answers 429 with Retry-After, in
// whole seconds, beyond them.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait, ok := l.Allow(ClientIP(r, l.cfg.Trusted))
		if !ok {
			l.refuse(w, r, wait)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers r with 429 and says when to come back: in whole seconds,
// rounded up, at most an hour.
func (l *Limiter) refuse(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	wait = min(max(wait, time.Second), time.Hour)
	seconds := strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
	w.Header().Set("Retry-After", seconds)
	LeaveBody(w, r)
	l.cfg.Answer(w, r, Problem{
		Status: http.StatusTooManyRequests,
		Code:   "rate_limited",
		Detail: "too many requests; try again in " + seconds + " s",
	})
}

// clientKey is what counts as one client.
func clientKey(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// ClientIP returns the address r came from: the peer of the connection, or, as
// long as that is a trusted proxy, the one it names in X-Forwarded-For, read
// from the right, since a client can write anything on the left. Requests over
// something other than IP share the zero address.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if !isTrusted(addr, trusted) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(addr, trusted); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = next.Unmap()
	}
	return addr
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(addr.WithZone("")) {
			return true
		}
	}
	return false
}
