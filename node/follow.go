package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// FollowConfig says which copy of a ledger follows whom.
type FollowConfig struct {
	// Ledger is the copy, opened without a sealer key. Nothing else imports into it.
	Ledger *ledger.Ledger
	// URLs are those of ledgers of the same network. One is asked until it fails,
	// then the next.
	URLs []string
	// HTTP makes the requests (one with keep-alive).
	HTTP *http.Client
	// Pause is between two questions where nothing new was there (a quarter of the
	// block interval, 50 ms to 1 s), Timeout how long one block may take (10 s).
	Pause, Timeout time.Duration
	// Logger is told of who gave no usable block (nobody).
	Logger *slog.Logger
}

// ErrFollow means that blocks cannot be followed.
var ErrFollow = errors.New("node: cannot follow the ledger")

// maxBlockBody bounds an answer that is a block: its transactions, each with its
// length, and the header with its seal or commit.
const maxBlockBody = machine.MaxBlockBytes + 4*chain.MaxBlockTxs + 1<<20

// FollowBlocks keeps a copy of a ledger at the head of others until ctx ends
// (nil), or until the copy halts. Everything is verified by Import; a ledger whose
// block does not hold gives way to the next, as one that does not answer.
func FollowBlocks(ctx context.Context, cfg FollowConfig) error {
	f, err := newBlockFollower(cfg)
	if err != nil {
		return err
	}
	for now, failed, empty := 0, 0, 0; ; {
		n, err := f.l.Import(ctx, f.blocks(ctx, f.servers[now]))
		switch {
		case ctx.Err() != nil:
			return nil
		case f.l.Err() != nil:
			return fmt.Errorf("%w: %w", ErrFollow, f.l.Err())
		case err != nil:
			f.log.Warn("a ledger gave no usable block; the next one is asked", "ledger", now+1, "height", uint64(f.l.Head().Header.Height+1), "error", err)
			now, empty = (now+1)%len(f.servers), 0
			if failed++; failed < len(f.servers) {
				continue // without a pause, once round
			}
		case n > 0:
			failed, empty = 0, 0
		default:
			failed = 0
			if empty++; empty == patience { // it may be cut off from the others
				now, empty = (now+1)%len(f.servers), 0
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.cfg.Pause):
		}
	}
}

type blockFollower struct {
	cfg     FollowConfig
	l       *ledger.Ledger
	log     *slog.Logger
	servers []*client.Client
}

// patience is after how many answers that there is nothing new another is asked.
const patience = 10

func newBlockFollower(cfg FollowConfig) (*blockFollower, error) {
	core := cfg.Ledger.Core()
	switch {
	case core.Dev:
		return nil, fmt.Errorf("%w: on a dev network blocks may be taken back; there is tunic db export", ErrFollow)
	case len(cfg.URLs) == 0:
		return nil, fmt.Errorf("%w: no URL; the network file names those of its ledgers", ErrFollow)
	}
	if cfg.Pause == 0 {
		cfg.Pause = min(max(time.Duration(core.Params.BlockInterval)*time.Millisecond/4, 50*time.Millisecond), time.Second)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	f := &blockFollower{cfg: cfg, l: cfg.Ledger, log: cfg.Logger}
	for i, u := range cfg.URLs {
		c, err := client.NewClient(u, client.WithHTTPClient(cfg.HTTP))
		if err != nil {
			return nil, fmt.Errorf("%w: URL %d: %w", ErrFollow, i+1, err)
		}
		f.servers = append(f.servers, c)
	}
	return f, nil
}

// blocks are those above the head, up to what a server has.
func (f *blockFollower) blocks(ctx context.Context, s *client.Client) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for h := f.l.Head().Header.Height + 1; ; h++ {
			b, err := f.block(ctx, s, h)
			if b == nil && err == nil || !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// block is the block of a height in its canonical bytes, nil where it is not there
// yet.
func (f *blockFollower) block(ctx context.Context, s *client.Client, h chain.Height) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, f.cfg.Timeout)
	defer stop()
	res, err := s.GetBlock(ctx, strconv.FormatUint(uint64(h), 10), func(_ context.Context, r *http.Request) error {
		r.Header.Set("Accept", "application/octet-stream")
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		_, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
		return nil, err
	default:
		return nil, fmt.Errorf("it answers %d", res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxBlockBody+1))
	if err == nil && len(b) > maxBlockBody {
		err = httpx.ErrTooLarge
	}
	return b, err
}

// OpenCopy opens a ledger that seals nothing, of the network of g in the folder dir;
// empty: in memory.
func OpenCopy(ctx context.Context, dir string, g genesis.Genesis, log *slog.Logger) (*ledger.Ledger, error) {
	l, err := ledger.Open(ctx, ledger.Config{Dir: dir, Genesis: g, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("open a copy of the ledger: %w", err)
	}
	return l, nil
}
