// Package feed fetches what a relay or client needs of a ledger over its REST
// API, verifies it against the network file, and keeps it: the source of their
// directory, headers and events. It implements docs/spec/feed.md.
//
// Most callers make one with New and use Directory, Submit and Events; what
// reaches them from elsewhere, as a header in a relay's greeting, they show to
// Witness.
//
// No server is trusted: every header goes through ledger/light, every list is
// held against a verified header, and what does not verify counts as no answer,
// so that the next server is asked. Two headers for one height halt the feed
// for good. A feed runs nothing in the background but the streams that Events
// opened, each until its ctx ends. Safe for concurrent use; no lock is held
// while it waits for a server or a disk.
package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

var (
	// ErrConfig means that the network file names no usable URL.
	ErrConfig = errors.New("feed: no usable URL in the network file")
	// ErrUnreachable means that no ledger answered in a usable way. It wraps why,
	// server by server.
	ErrUnreachable = errors.New("feed: no ledger gave a usable answer")
	// ErrStale means that the newest header is too old to go by: served to a feed
	// that knows nothing newer, or known and past light.MaxStall.
	ErrStale = errors.New("feed: the newest header is too old; check this machine's clock, then whether the ledger still seals")
	// ErrFrozen means that a sealed header names another list or beacon for its
	// epoch than one before it.
	ErrFrozen = errors.New("feed: header changes the frozen list of its epoch")
	// ErrRange means that an epoch or height is larger than the API can name.
	ErrRange = errors.New("feed: epoch or height out of range")
)

// Config says whom to ask and whom to believe.
type Config struct {
	// Network is the trust root; its URLs are asked in order.
	Network genesis.Network
	// HTTP makes the requests (one with keep-alive). Redirects are not followed,
	// cookies not kept, and time limits are the feed's, whatever it says.
	HTTP *http.Client
	// From is the local address that requests without HTTP are made from (the
	// system's choice).
	From netip.Addr
	// Dir keeps the newest list across restarts, and the evidence of two heads
	// (neither is kept).
	Dir string
	// Shared is what this feed has in common with others of this process; what
	// it yields is then common to them too (nothing).
	Shared *Shared
	// Logger receives what an operator should know (nothing is logged).
	Logger *slog.Logger
	// OnConflict is called once when two heads are seen, after they are saved and
	// with every method failing. It may call the feed; it must not wait for a
	// stream to close (nobody is called).
	OnConflict func(*light.TwoHeads)
	// Timeout bounds one small answer; a list gets six times as long (10 s).
	Timeout time.Duration
	// Retry is the first pause before a server that failed is asked again; it
	// doubles up to a minute, each pause shortened at random by up to half
	// (500 ms).
	Retry time.Duration
	// Now is the machine's clock; it counts only where the network's clock is
	// real (time.Now).
	Now func() chain.Time
}

// Event is one block: its verified header and the statements published in it.
// Each statement carries its node's signature, which is not verified here; that
// none was left out, or
// belongs to another block, is the server's word. What it holds is not to be
// changed.
type Event struct {
	Header    chain.SealedHeader
	Published [][]byte
	Unlisted  []Unlisted // of the header's epoch, with its first block alone; the server's word
	// Challenges are those that are open and ask for a chunk, with the first block
	// of the header's epoch alone; nil: not said. The server's word.
	Challenges []Challenge
	// Params are the parameters in force, verified, in the first event of a
	// stream and in the first of an epoch in which they are other than before;
	// else nil. A header of this height or later, of the same fork, shows since
	// which epoch they are in force. They are shared: do not change them.
	Params *genesis.InForce
}

// Unlisted is a node that quorums judge though the epoch's list does not name it.
type Unlisted struct {
	Node           chain.NodeID   `json:"node"`
	Decommissioned bool           `json:"decommissioned"` // else active
	Since          chain.Epoch    `json:"since_epoch"`    // in which it was decommissioned
	Performance    chain.Permille `json:"performance"`
}

// Challenge asks the node that signed a storage receipt for a chunk of what it
// promises to keep.
type Challenge struct {
	ID      chain.Hash   `json:"id"`
	Height  chain.Height `json:"height"`  // of the block that opened it
	Receipt []byte       `json:"receipt"` // encoded statement; its signature is not verified
	Chunk   uint8        `json:"chunk"`
}

// Feed is a verified view of one ledger. Make it with New.
type Feed struct {
	cfg     Config
	servers []*server
	log     *slog.Logger
	halted  context.Context // ends with the first conflict
	halt    context.CancelFunc
	turn    atomic.Uint32 // where Submit begins

	saving sync.Mutex // orders writes of the cache; taken before mu, never after
	saved  chain.Hash // of the header in the cache

	mu       sync.Mutex // guards what follows and the servers' health
	verifier *light.Verifier
	conflict *light.TwoHeads
	lists    map[chain.Epoch]*directory.List    // of epochs in heads
	heads    map[chain.Epoch]chain.SealedHeader // the highest accepted of each epoch
	compared *chain.Header                      // the last that a second server was asked for
	warned   chain.Hash                         // of the last header whose stall was logged
}

// keptEpochs bounds the lists and heads in memory.
const keptEpochs = 4

// New makes a feed from what Dir holds. It asks nobody yet. Where Dir holds the
// evidence of two heads, the error is that *light.TwoHeads.
func New(cfg Config) (*Feed, error) {
	v, err := light.New(cfg.Network)
	if err != nil {
		return nil, fmt.Errorf("make feed: %w", err)
	}
	if cfg.HTTP == nil {
		var d net.Dialer
		if cfg.From.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(cfg.From, 0))
		}
		cfg.HTTP = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxSmall}}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Retry == 0 {
		cfg.Retry = 500 * time.Millisecond
	}
	if cfg.Now == nil {
		cfg.Now = func() chain.Time { return chain.Time(time.Now().UnixMilli()) }
	}
	servers, err := newServers(cfg.Network.URLs, cfg.HTTP)
	if err != nil {
		return nil, err
	}
	f := &Feed{cfg: cfg, servers: servers, log: cfg.Logger, verifier: v,
		lists: map[chain.Epoch]*directory.List{}, heads: map[chain.Epoch]chain.SealedHeader{}}
	if cfg.Shared != nil {
		v.Share(cfg.Shared.seals)
	}
	f.halted, f.halt = context.WithCancel(context.Background())
	if err := f.restore(); err != nil {
		f.halt()
		return nil, err
	}
	return f, nil
}

// Conflict is the evidence of two headers for one height, nil if there is none.
func (f *Feed) Conflict() *light.TwoHeads {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conflict
}

// Newest is the newest verified header; false before the first.
func (f *Feed) Newest() (chain.SealedHeader, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.verifier.Newest()
}

// Head asks for the newest header, verifies it, and returns the newest that is
// known then: a server that lags takes nothing back.
func (f *Feed) Head(ctx context.Context) (chain.SealedHeader, error) {
	answered := false
	err := f.each(ctx, f.order(), f.cfg.Timeout, func(ctx context.Context, s *server) error {
		h, err := s.header(ctx, latest)
		if err != nil {
			return err
		}
		if err := f.acceptFrom(ctx, s, h); err != nil {
			return err
		}
		answered = true
		if newest, _ := f.Newest(); newest.Header.Height > h.Header.Height {
			return errBehind
		}
		if other := f.second(s, h); other != nil {
			f.crossCheck(ctx, s, other, h)
		}
		return nil
	})
	if c := f.Conflict(); c != nil {
		return chain.SealedHeader{}, c
	}
	if err != nil && !answered {
		return chain.SealedHeader{}, err
	}
	if err := f.fresh(); err != nil {
		return chain.SealedHeader{}, err
	}
	newest, _ := f.Newest()
	return newest, nil
}

// Directory returns the list of an epoch and the newest verified header that
// commits to it: nodes among its Removals are out already. Epoch 0 asks for the
// newest list; where no server gives one, the last verified list serves, on a
// real clock for at most light.MaxStall. Both are shared: do not change them.
func (f *Feed) Directory(ctx context.Context, epoch chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	if epoch != 0 {
		return f.list(ctx, epoch)
	}
	head, err := f.Head(ctx)
	if err != nil {
		return f.fallBack(ctx, err)
	}
	l, h, err := f.list(ctx, head.Header.DirEpoch)
	if err != nil {
		return f.fallBack(ctx, err)
	}
	return l, h, nil
}

// list gives the list of an epoch from memory or from a server.
func (f *Feed) list(ctx context.Context, epoch chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	if l, h, fresh, ok := f.kept(epoch); ok {
		if c := f.Conflict(); c != nil {
			return nil, chain.SealedHeader{}, c
		}
		if fresh {
			f.save()
		}
		return l, h, nil
	}
	l, h, err := f.find(ctx, epoch)
	if err == nil {
		f.save()
	}
	if c := f.Conflict(); c != nil {
		err = c
	}
	if err != nil {
		return nil, chain.SealedHeader{}, err
	}
	return l, h, nil
}

// find gets a list from another feed of this process or from a server.
func (f *Feed) find(ctx context.Context, epoch chain.Epoch) (l *directory.List, h chain.SealedHeader, err error) {
	if known, ok := f.head(epoch); ok && f.cfg.Shared != nil {
		l, put, err := f.cfg.Shared.list(ctx, known.Header)
		switch {
		case err != nil:
			return nil, known, err
		case l != nil:
			return l, f.keep(l, known), nil
		}
		var fetched *directory.List
		defer func() { put(fetched) }()
		l, h, err = f.fetch(ctx, epoch)
		if err == nil && l.Check(known.Header) == nil {
			fetched = l
		}
		return l, h, err
	}
	return f.fetch(ctx, epoch)
}

// head is the highest accepted header of an epoch.
func (f *Feed) head(epoch chain.Epoch) (chain.SealedHeader, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.heads[epoch]
	return h, ok
}

// fetch gets a list from the first server that gives one.
func (f *Feed) fetch(ctx context.Context, epoch chain.Epoch) (l *directory.List, h chain.SealedHeader, err error) {
	err = f.each(ctx, f.order(), 6*f.cfg.Timeout, func(ctx context.Context, s *server) (err error) {
		l, h, err = f.fetchList(ctx, s, epoch)
		return err
	})
	return l, h, err
}

// kept gives what memory holds of an epoch. A list without entries, as epoch 0
// has, needs no server; fresh says that it was made for the first time.
func (f *Feed) kept(epoch chain.Epoch) (l *directory.List, h chain.SealedHeader, fresh, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, known := f.heads[epoch]
	l, ok = f.lists[epoch]
	if !ok && known && h.Header.DirCount == 0 {
		empty, err := directory.NewList(epoch, nil)
		if err == nil && empty.Check(h.Header) == nil {
			l, fresh, ok = empty, true, true
			f.lists[epoch] = l
		}
	}
	return l, h, fresh, ok
}

// fallBack gives the newest list in memory where no server gave one, unless it
// is past use.
func (f *Feed) fallBack(ctx context.Context, cause error) (*directory.List, chain.SealedHeader, error) {
	if c := f.Conflict(); c != nil {
		return nil, chain.SealedHeader{}, c
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, chain.SealedHeader{}, cause
	}
	if _, ok := f.Newest(); !ok {
		return nil, chain.SealedHeader{}, cause
	}
	if err := f.fresh(); err != nil {
		return nil, chain.SealedHeader{}, fmt.Errorf("%w: %w", err, cause)
	}
	f.mu.Lock()
	newest, _ := f.verifier.Newest()
	var l *directory.List
	for e, c := range f.lists {
		if e <= newest.Header.DirEpoch && newest.Header.DirEpoch-e <= light.MaxBehind && (l == nil || e > l.Epoch) {
			l = c
		}
	}
	var h chain.SealedHeader
	if l != nil {
		h = f.heads[l.Epoch]
	}
	f.mu.Unlock()
	if l == nil {
		return nil, chain.SealedHeader{}, cause
	}
	f.log.Warn("no ledger gave the newest list; the last verified one is used",
		"epoch", uint64(l.Epoch), "height", uint64(h.Header.Height), "error", cause)
	return l, h, nil
}

// Submit offers an encoded statement, or a signed account transaction, to one server after another until one
// takes it, and begins with another server each time. A *chain.Refusal says
// that a ledger will not take it and that none did.
func (f *Feed) Submit(ctx context.Context, b []byte) error {
	order := f.order()
	n := int(f.turn.Add(1)-1) % len(order)
	order = append(order[n:len(order):len(order)], order[:n]...)
	err := f.each(ctx, order, f.cfg.Timeout, func(ctx context.Context, s *server) error { return s.submit(ctx, b) })
	var refusal *chain.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return err
}

// number is n as the API names it.
func number[N ~uint64](n N) (int64, error) {
	if uint64(n) > math.MaxInt64 {
		return 0, ErrRange
	}
	return int64(n), nil
}
