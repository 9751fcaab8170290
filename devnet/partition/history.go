package partition

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tunic/chain"
)

// seen is a head that a validator has shown, and when first.
type seen struct {
	validator int
	height    chain.Height
	hash      chain.Hash
	at        time.Time
}

// history is what was heard of all validators.
type history struct {
	urls []string
	http *http.Client

	mu    sync.Mutex
	heads []seen
	last  []seen // of each
}

// askEvery is how often each validator is asked for its head.
const askEvery = 200 * time.Millisecond

func newHistory(urls []string) *history {
	return &history{urls: urls, http: &http.Client{Timeout: 5 * time.Second}, last: make([]seen, len(urls))}
}

// errNotThere means that a validator has no such block.
var errNotThere = errors.New("it has no such block")

// get asks a validator for canonical bytes.
func (h *history) get(ctx context.Context, i int, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.urls[i]+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/octet-stream")
	res, err := h.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusNotFound:
		return nil, errNotThere
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %d", path, res.StatusCode)
	}
	return b, nil
}

// watch asks validator i for its head until ctx ends.
func (h *history) watch(ctx context.Context, i int) {
	t := time.NewTicker(askEvery)
	defer t.Stop()
	for {
		if b, err := h.get(ctx, i, "/v1/headers/latest"); err == nil {
			if s, err := chain.DecodeSealedHeader(b); err == nil {
				h.saw(seen{i, s.Header.Height, s.Header.Hash(), time.Now()})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (h *history) saw(s seen) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was := h.last[s.validator]; was.height == s.height && was.hash == s.hash {
		return
	}
	h.last[s.validator] = s
	h.heads = append(h.heads, s)
}

// height is the newest that validator i has shown.
func (h *history) height(i int) chain.Height {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[i].height
}

// top is the newest that any has shown.
func (h *history) top() (top chain.Height) {
	for i := range h.urls {
		top = max(top, h.height(i))
	}
	return top
}

// check reads every block up to a height from every validator, and holds them against
// each other and against all heads that were ever shown. Blocks below the first that a
// validator has, as one that began with a snapshot, it need not have.
func (h *history) check(ctx context.Context, upTo chain.Height) (blocks int, bad []string) {
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	one := make(map[chain.Height]chain.Hash) // of all
	for i := range h.urls {
		begun := false
		var below chain.Hash
		for at := chain.Height(1); at <= upTo && ctx.Err() == nil; at++ {
			b, err := h.get(ctx, i, "/v1/blocks/"+strconv.FormatUint(uint64(at), 10))
			if errors.Is(err, errNotThere) && !begun {
				continue
			}
			var blk chain.Block
			if err == nil {
				blk, err = chain.DecodeBlock(b)
			}
			if err != nil {
				say("block %d of validator %d: %v", at, i+1, err)
				break
			}
			hash := blk.Header.Hash()
			if was, known := one[at]; known && was != hash {
				say("height %d has two blocks: validator %d has %s, another %s", at, i+1, hash, was)
			}
			if begun && blk.Header.Parent != below {
				say("block %d of validator %d does not follow its block below", at, i+1)
			}
			one[at], below, begun = hash, hash, true
			blocks++
		}
		if !begun {
			say("validator %d has no blocks", i+1)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.heads {
		switch was, known := one[s.height]; {
		case s.height > upTo:
		case !known:
			say("validator %d showed block %d, and nobody has it", s.validator+1, s.height)
		case was != s.hash:
			say("validator %d showed %s at height %d, and all have %s", s.validator+1, s.hash, s.height, was)
		}
	}
	return blocks, append(bad, contextErr(ctx)...)
}

func contextErr(ctx context.Context) []string {
	if err := ctx.Err(); err != nil {
		return []string{"the check was not finished: " + err.Error()}
	}
	return nil
}
