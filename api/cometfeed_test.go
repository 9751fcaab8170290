package api_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tunic/api"
	ledgerfeed "tunic/api/feed"
	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/ledger/comettest"
	"tunic/ledger/light"
)

// hosts are ledgers by the host of their URL.
type hosts map[string]http.RoundTripper

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	if t := h[r.URL.Host]; t != nil {
		return t.RoundTrip(r)
	}
	return nil, errors.New("no such host")
}

// history is a network of private parameters under CometBFT, whose four validators
// are replaced by four others from block 10 on.
type history struct {
	*comettest.Chain
	blocks []chain.Block
}

func newHistory(t testing.TB) *history {
	t.Helper()
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	g := comettest.Genesis(t, names[:4], names[4:])
	p, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	g.Profile, g.Params = genesis.Private, p
	x := &history{Chain: comettest.New(t, g, names...)}
	x.grow(9, 1000)
	for i := range 4 {
		x.block(1000, append(x.Join(names[4+i]), x.Leave(names[i]))...)
		x.grow(1, 1000)
	}
	x.grow(3, 1000)
	return x
}

// block adds one; the block after it comes so many milliseconds later.
func (x *history) block(after chain.Time, txs ...[]byte) {
	above, _ := x.Engine()
	x.blocks = append(x.blocks, x.OK(above.Time.Millis()+after, txs...))
}

func (x *history) grow(n int, after chain.Time) {
	for range n {
		x.block(after)
	}
}

func (x *history) head() chain.SealedHeader { return x.blocks[len(x.blocks)-1].SealedHeader }

// copied is a ledger that has imported blocks, behind its API.
type copied struct {
	*ledger.Ledger
	http http.RoundTripper
}

func copyOf(t testing.TB, g genesis.Genesis, blocks []chain.Block) *copied {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{Genesis: g})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h, err := api.New(api.Config{Ledger: l, Network: g.Network()})
	if err != nil {
		t.Fatal(err)
	}
	c := &copied{l, httpx.InMemory(h)}
	c.add(t, blocks)
	return c
}

func (c *copied) add(t testing.TB, blocks []chain.Block) {
	t.Helper()
	n, err := c.Import(context.Background(), func(yield func([]byte, error) bool) {
		for _, b := range blocks {
			if !yield(b.Encode(), nil) {
				return
			}
		}
	})
	if err != nil || n != len(blocks) {
		t.Fatalf("%d blocks, %v", n, err)
	}
}

// following is a feed of ledgers at http://1, http://2 and so on.
func following(t testing.TB, cfg ledgerfeed.Config, g genesis.Genesis, ledgers ...*copied) (*ledgerfeed.Feed, error) {
	t.Helper()
	h := hosts{}
	cfg.Network = g.Network()
	for i, l := range ledgers {
		name := string(rune('1' + i))
		h[name] = l.http
		cfg.Network.URLs = append(cfg.Network.URLs, "http://"+name)
	}
	cfg.HTTP, cfg.Timeout = &http.Client{Transport: h}, time.Minute
	return ledgerfeed.New(cfg)
}

func at(now *chain.Time) func() chain.Time { return func() chain.Time { return *now } }

// TestFeedUnderComet: a client follows from genesis through validators who were
// all replaced, block by block and at once.
func TestFeedUnderComet(t *testing.T) {
	x := newHistory(t)
	l := copyOf(t, x.Genesis, x.blocks)
	now := x.head().Header.Time + 1000
	f, err := following(t, ledgerfeed.Config{Now: at(&now)}, x.Genesis, l)
	if err != nil {
		t.Fatal(err)
	}
	list, head, err := f.Directory(t.Context(), 0)
	if err != nil || !head.Same(x.head()) || list.Epoch != head.Header.DirEpoch {
		t.Fatalf("%+v, %v", head.Header, err)
	}
	if in, _, err := f.Params(t.Context()); err != nil || in.Params.EpochLength != x.Genesis.Params.EpochLength {
		t.Fatalf("%v", err)
	}
	f, err = following(t, ledgerfeed.Config{Now: at(&now)}, x.Genesis, l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	events, err := f.Events(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.blocks {
		e, ok := <-events
		if !ok || !e.Header.Same(x.blocks[i].SealedHeader) {
			t.Fatalf("event %d: %+v", i+1, e.Header.Header)
		}
		if err := f.Sealed(e.Header); err != nil {
			t.Fatalf("height %d: %v", i+1, err)
		}
	}
	x.grow(2, 1000)
	l.add(t, x.blocks[len(x.blocks)-2:])
	if err := f.Sealed(x.head()); err != nil { // the next, by who decides now
		t.Fatal(err)
	}
	for range 2 {
		if _, ok := <-events; !ok {
			t.Fatal("the stream ended")
		}
	}
	stop()
	for range events { // until it is closed
	}
}

// TestFeedKeepsItsTrust: what was verified is the root after a restart, where
// genesis is too old by then.
func TestFeedKeepsItsTrust(t *testing.T) {
	const hour = chain.Time(genesis.Hour)
	x := newHistory(t)
	x.block(10 * hour)
	x.grow(2, 1000)
	l := copyOf(t, x.Genesis, x.blocks)
	dir := t.TempDir()
	now := x.head().Header.Time + 1000
	f, err := following(t, ledgerfeed.Config{Dir: dir, Now: at(&now)}, x.Genesis, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Directory(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	before := len(x.blocks)
	x.block(7 * hour)
	x.grow(2, 1000)
	l.add(t, x.blocks[before:])
	now = x.head().Header.Time + 1000
	fresh, err := following(t, ledgerfeed.Config{Now: at(&now)}, x.Genesis, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Head(t.Context()); !errors.Is(err, light.ErrExpired) {
		t.Fatalf("from genesis, after %d h: %v", (now-x.Genesis.Time)/hour, err)
	}
	f, err = following(t, ledgerfeed.Config{Dir: dir, Now: at(&now)}, x.Genesis, l)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := f.Head(t.Context()); err != nil || !h.Same(x.head()) {
		t.Fatalf("from what was kept: %+v, %v", h.Header, err)
	}
}

// TestFeedOtherCopies: another ledger's copy of a header, with other signatures,
// is no second head.
func TestFeedOtherCopies(t *testing.T) {
	x := newHistory(t)
	others := make([]chain.Block, len(x.blocks))
	for i, b := range x.blocks {
		c, err := cometbft.Of(b.SealedHeader)
		if err != nil {
			t.Fatal(err)
		}
		c.Commit.Signatures[0] = cometbft.CommitSig{Flag: cometbft.FlagAbsent}
		if len(c.Commit.Signatures) < 4 {
			continue
		}
		others[i] = b
		others[i].SealedHeader = chain.Commit(b.Header, c.Encode())
		if others[i].Seal == b.Seal || !others[i].Same(b.SealedHeader) {
			t.Fatal("the copies differ otherwise than in their commits")
		}
	}
	now := x.head().Header.Time + 1000
	one, two := copyOf(t, x.Genesis, x.blocks), copyOf(t, x.Genesis, others)
	f, err := following(t, ledgerfeed.Config{Now: at(&now), OnConflict: func(c *light.TwoHeads) { t.Error(c) }}, x.Genesis, one, two)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, b := range others {
		if err := f.Witness(b.SealedHeader); errors.Is(err, light.ErrTwoHeads) {
			t.Fatalf("height %d: %v", b.Header.Height, err)
		}
	}
	if err := f.Witness(others[len(others)-1].SealedHeader); err != nil || f.Conflict() != nil {
		t.Fatal(err)
	}
}

// TestFeedTwoHistories: two ledgers show two histories that the same validators
// decided. The feed halts, keeps what shows it, and does not start again.
func TestFeedTwoHistories(t *testing.T) {
	x, y := newHistory(t), newHistory(t)
	if !x.head().Same(y.head()) {
		t.Fatal("the histories differ from the start")
	}
	x.grow(2, 1000)
	y.grow(1, 2000) // another time of the block after it
	y.grow(1, 1000)
	one, two := copyOf(t, x.Genesis, x.blocks), copyOf(t, y.Genesis, y.blocks)
	dir := t.TempDir()
	now := x.head().Header.Time + 1000
	told := make(chan *light.TwoHeads, 1)
	cfg := ledgerfeed.Config{Dir: dir, Now: at(&now), OnConflict: func(c *light.TwoHeads) { told <- c }}
	f, err := following(t, cfg, x.Genesis, one, two)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Head(t.Context()); !errors.Is(err, light.ErrTwoHeads) {
		t.Fatalf("went on: %v", err)
	}
	c := <-told
	if c.Certificates == nil || f.Conflict() != c {
		t.Fatalf("told of %v", c)
	}
	if _, _, err := f.Directory(t.Context(), 0); !errors.Is(err, light.ErrTwoHeads) {
		t.Errorf("a list after it: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, ledgerfeed.ConflictFile))
	if err != nil {
		t.Fatal(err)
	}
	// Those validators are not genesis': this file alone does not know them, but a
	// newer one does.
	if _, err := ledgerfeed.ParseConflict(text, x.Genesis.Network()); !errors.Is(err, light.ErrValidators) {
		t.Errorf("read with genesis alone: %v", err)
	}
	cert, err := one.Certificate(chain.Height(len(x.blocks)) - 2)
	if err != nil {
		t.Fatal(err)
	}
	newer := x.Genesis.Network()
	newer.Checkpoint = &genesis.Checkpoint{Height: cert.Header.Height - 1, Hash: cert.Header.AppHash, Commit: cert.Header.Hash(), Certificate: cert.Encode()}
	back, err := ledgerfeed.ParseConflict(text, newer)
	if err != nil || back.Height() != c.Height() {
		t.Errorf("read with a checkpoint: %v", err)
	}
	if d := c.Certificates.Duplicates(cometbft.ChainID(x.Genesis.Hash())); len(d) != 4 {
		t.Errorf("%d voted twice", len(d))
	}
	if _, err := following(t, cfg, x.Genesis, one); !errors.Is(err, light.ErrTwoHeads) {
		t.Errorf("started again: %v", err)
	}
	// Damaged, it is no evidence.
	if i := bytes.LastIndex(text, []byte("-----BEGIN")) + 400; text[i] == 'A' {
		text[i] = 'B'
	} else {
		text[i] = 'A'
	}
	if _, err := ledgerfeed.ParseConflict(text, newer); !errors.Is(err, ledgerfeed.ErrEvidence) || errors.Is(err, light.ErrValidators) {
		t.Errorf("read damaged: %v", err)
	}
}
