// Package api is the REST server of a ledger: every route of openapi.yaml, over
// one ledger.Ledger. It implements docs/spec/api.md.
//
// Most callers make a handler with [New] and give it to httpx.NewServer, or to
// httpx.InMemory where no socket is wanted.
//
// It promises: nothing but a problem document answers a request that is refused
// or fails, with a stable code; requests are held against openapi.yaml before a
// handler sees them; every body, page, stream and cache is bounded; what is
// served in canonical bytes is what the header's hashes commit to, so that no
// reader has to trust this server. No peer's address is logged.
//
// A request passes observer.go and middleware.go, is held against the
// specification by validate.go (quickcheck.go, body.go) and reaches a file named
// after what it asks for. What these share is in height.go (the state after a
// block), paging.go and filter.go (lists), negotiate.go and stored.go (forms of
// an answer), convert.go, and problem.go (refusals). dircache.go keeps
// directories, frames.go and framecache.go the events that streams carry, and
// chronicle.go with chronicle_notes.go what the last blocks said.
package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"tunic/api/client"
	"tunic/api/jsonrpc"
	"tunic/api/oas"
	"tunic/api/pages"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// ErrConfig means that a Config cannot be used.
var ErrConfig = errors.New("api: configuration")

// Config is what a server needs. Zero values give the defaults.
type Config struct {
	// Ledger is what is served. It stays the caller's, who closes it after the
	// last request.
	Ledger *ledger.Ledger
	// Network is the file served as /v1/network; it must be the ledger's.
	Network genesis.Network
	// Version is the software's, for /v1/status.
	Version string
	// Logger gets failures of this server; default: discards.
	Logger *slog.Logger

	// Limits bounds each client's requests; nil: no bound, as within a process.
	Limits *httpx.LimiterConfig
	// Turns is how many directories are answered at once, and half of them while
	// others ask for something else; default GOMAXPROCS: more than there are
	// processors gains nothing, and all else waits behind them.
	Turns int
	// Streams is how many event streams run at once; default 1024.
	Streams int
	// StreamsEach is how many of them one client may have, where Limits are set;
	// default 64. Loopback has no such bound.
	StreamsEach int
	// ReadOrigins are the web origins whose pages may read, "*" for all; none by
	// default. No page may ever submit.
	ReadOrigins []string
	// Observer hears of each request that comes from outside; nil: nobody does.
	Observer Observer

	// Step takes one step of a scenario in the network around the ledger; nil
	// where there is none: ErrNoSteps.
	Step func(ctx context.Context, step string) (Step, error)

	// Heartbeat is how often a quiet event stream sends a comment; default 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long one event may take to get through; default 10 s.
	WriteTimeout time.Duration
	// MaxLag is how many blocks a stream that had caught up may fall behind
	// before it is cut off; default 1024.
	MaxLag chain.Height
}

func (c *Config) complete() error {
	switch {
	case c.Ledger == nil:
		return fmt.Errorf("%w: no ledger", ErrConfig)
	case c.Network.Genesis != c.Ledger.Domain().Genesis:
		return fmt.Errorf("%w: the network file is of genesis %s, the ledger's is %s", ErrConfig, c.Network.Genesis, c.Ledger.Domain().Genesis)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Turns = cmp.Or(c.Turns, runtime.GOMAXPROCS(0))
	c.Streams = cmp.Or(c.Streams, 1024)
	c.StreamsEach = cmp.Or(c.StreamsEach, 64)
	c.Heartbeat = cmp.Or(c.Heartbeat, 15*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.MaxLag = cmp.Or(c.MaxLag, 1024)
	return nil
}

// server answers the operations of oas.StrictServerInterface. The files beside
// this one hold a group of operations each.
type server struct {
	cfg       Config
	ledger    *ledger.Ledger
	supply    chain.Amount // at genesis, reward pool included
	network   map[string]any
	dirs      *directories
	streams   *httpx.Slots // one for each running event stream
	frames    frames
	recent    frameCache // events of blocks near the head
	past      frameCache // and of older ones
	losses    losses
	chronicle *chronicle
	self      client.ClientWithResponsesInterface // these routes, within the process
	pages     *pages.Site
}

var _ oas.StrictServerInterface = (*server)(nil)

// New returns a handler of every route.
func New(cfg Config) (http.Handler, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &server{cfg: cfg, ledger: cfg.Ledger, dirs: newDirectories(cfg.Ledger), chronicle: newChronicle(cfg.Ledger)}
	each := 0
	if cfg.Limits != nil {
		each = cfg.StreamsEach
	}
	s.streams = httpx.NewSlots(cfg.Streams, each)
	s.supply, _ = cfg.Ledger.Genesis().Supply()
	var err error
	if s.network, err = object(cfg.Network); err != nil {
		return nil, fmt.Errorf("%w: network file: %w", ErrConfig, err)
	}
	var engine http.Handler
	here := httpx.InMemory(httpx.Recover(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { engine.ServeHTTP(w, r) }), s.panicked, nil))
	if s.self, err = client.NewClientWithResponses("http://here", client.WithHTTPClient(&http.Client{Transport: here})); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if s.pages, err = pages.New(pages.Config{API: s.self, Faucet: s.ledger.Core().Dev}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if engine, err = s.engine(); err != nil {
		return nil, err
	}
	h := httpx.GiveWay(cfg.Turns, heavyWait, heavy, s.direct(headAsGet(engine)))
	if len(cfg.ReadOrigins) > 0 {
		h = crossOrigin(slices.Clone(cfg.ReadOrigins), h)
	}
	if cfg.Limits != nil {
		limits := *cfg.Limits
		limits.Answer = s.turnAway
		h = httpx.NewLimiter(limits).Handler(h)
	}
	h = httpx.Recover(h, s.panicked, s.turnAway)
	if cfg.Observer != nil {
		h = observe(cfg.Observer, h)
	}
	return httpx.WithRequestID(h), nil
}

// engine is the router with nothing of gin's own in it but routing.
func (s *server) engine() (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash, e.RedirectFixedPath = false, false
	e.HandleMethodNotAllowed, e.ContextWithFallback = true, true
	if err := e.SetTrustedProxies(nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	e.Use(func(c *gin.Context) { c.Set(pagesKey, s.pages) })
	e.NoRoute(noRoute)
	e.NoMethod(noMethod)
	routes, err := specRoutes()
	if err != nil {
		return nil, err
	}
	group := e.Group("")
	if s.cfg.Observer != nil {
		group.Use(routes.name(s.cfg.Observer))
	}
	group.Use(s.guard, routes.validate)
	strict := oas.NewStrictHandlerWithOptions(s, []oas.StrictMiddlewareFunc{linkNext}, oas.StrictGinServerOptions{
		RequestErrorHandlerFunc:  func(c *gin.Context, err error) { s.failed(c, requestProblem(err)) },
		HandlerErrorFunc:         s.failed,
		ResponseErrorHandlerFunc: s.failed,
	})
	oas.RegisterHandlersWithOptions(group, strict, oas.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.failed(c, requestProblem(err)) },
	})
	s.mount(group)
	return e, nil
}

// handler is one that no code is generated for: of a page, or of JSON-RPC.
type handler struct {
	method, path string // as in openapi.yaml
	serve        http.HandlerFunc
}

// mount adds the routes that no code is generated for. They find variables of
// the path by r.PathValue.
func (s *server) mount(group gin.IRoutes) {
	rpc := jsonrpc.Config{Ledger: s.ledger, Version: s.cfg.Version, Logger: s.cfg.Logger}
	all := append(s.docs(),
		handler{http.MethodPost, "/json_rpc", jsonrpc.Oxen(rpc).ServeHTTP}, handler{http.MethodPost, "/eth", jsonrpc.Ethereum(rpc).ServeHTTP})
	for _, r := range s.pages.Routes() {
		all = append(all, handler{r.Method, r.Path, r.Serve})
	}
	for _, h := range all {
		group.Handle(h.method, ginPath(h.path), func(c *gin.Context) {
			for _, p := range c.Params {
				c.Request.SetPathValue(p.Key, p.Value)
			}
			h.serve(c.Writer, c.Request)
		})
	}
}
