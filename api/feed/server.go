package feed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tunic/api/client"
	"tunic/chain"
)

// server is one URL of the network file.
type server struct {
	api  *client.Client
	name string // scheme and host: never user, password or path

	failures int       // in a row; guarded by Feed.mu
	until    time.Time // others are asked first until then; guarded by Feed.mu
}

// errBehind is a verified answer that is older than what is known: no failure,
// and no reason to stop asking.
var errBehind = errors.New("it lags behind what is known")

// longestPause bounds the pause before a failing server is asked again.
const longestPause = time.Minute

// newServers reads the URLs. No error repeats one: it may hold a password.
func newServers(urls []string, h *http.Client) ([]*server, error) {
	if len(urls) == 0 {
		return nil, fmt.Errorf("%w: it lists none", ErrConfig)
	}
	own := *h
	own.Jar, own.Timeout = nil, 0
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var all []*server
	for i, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%w: URL %d is not of the form http://host:port or https://host", ErrConfig, i+1)
		}
		c, err := client.NewClient(raw, client.WithHTTPClient(&own))
		if err != nil {
			return nil, fmt.Errorf("%w: URL %d", ErrConfig, i+1)
		}
		all = append(all, &server{api: c, name: u.Scheme + "://" + u.Host})
	}
	return all, nil
}

// order gives the servers in the order in which to ask them: as the network
// file has them, those that failed lately last.
func (f *Feed) order() []*server {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	out := slices.Clone(f.servers)
	slices.SortStableFunc(out, func(a, b *server) int {
		switch ra, rb := a.until.After(now), b.until.After(now); {
		case ra && rb:
			return a.until.Compare(b.until)
		case ra:
			return 1
		case rb:
			return -1
		}
		return 0
	})
	return out
}

// failed and worked keep a server's health.
func (f *Feed) failed(s *server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.failures++
	s.until = time.Now().Add(f.pause(s.failures))
}

func (f *Feed) worked(s *server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.failures, s.until = 0, time.Time{}
}

// pause is the time after the nth failure in a row: doubling, bounded,
// shortened at random by up to half, so that clients do not return together.
func (f *Feed) pause(n int) time.Duration {
	d := min(f.cfg.Retry<<min(max(n-1, 0), 16), longestPause)
	if d <= 0 {
		d = longestPause
	}
	return d/2 + rand.N(d/2+1)
}

// each asks the servers in order until one gives an answer that verifies. A
// refusal, and what does not verify, is one server's word: the next is asked.
// Two heads end it at once. The error is the first *chain.Refusal where all
// refused, and ErrUnreachable with each server's otherwise.
func (f *Feed) each(ctx context.Context, order []*server, limit time.Duration, ask func(context.Context, *server) error) error {
	var errs []error
	var refusals []*chain.Refusal
	for _, s := range order {
		if c := f.Conflict(); c != nil {
			return c
		}
		err := f.one(ctx, s, limit, ask)
		if err == nil {
			f.worked(s)
			return nil
		}
		if c := f.Conflict(); c != nil {
			return c
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
		}
		var r *chain.Refusal
		switch {
		case errors.As(err, &r):
			refusals = append(refusals, r)
		case !errors.Is(err, errBehind) && !errors.Is(err, ErrRange):
			f.failed(s)
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
	}
	if len(refusals) == len(order) {
		return refusals[0]
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(errs...))
}

func (f *Feed) one(ctx context.Context, s *server, limit time.Duration, ask func(context.Context, *server) error) error {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := ask(within, s)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no whole answer within %s", limit)
	}
	return err
}

// plain takes the URL, which may hold a user's name, off a request's error.
func plain(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// printable makes a server's text safe to show: one line, no control
// characters, at most 200 bytes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || r == 0xfffd || (r >= 0x2028 && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}
