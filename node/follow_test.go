package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tunic/api"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/node"
)

// origin is a ledger of a network that is no dev network, with its API.
func origin(t *testing.T) (*ledger.Ledger, http.Handler) {
	t.Helper()
	prm, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	g := genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Private, Clock: genesis.ClockReal, Engine: genesis.EngineSealer,
		Time: chain.Time(time.Now().UnixMilli()), Sealers: []chain.NodeID{chain.NodeID(key.Public().(ed25519.PublicKey))}, RewardPool: chain.TUN, Params: prm}}
	l, err := ledger.Open(t.Context(), ledger.Config{Genesis: g, SealerKey: key, Mode: ledger.ModeManual})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h, err := api.New(api.Config{Ledger: l, Network: g.Network(), Version: node.Version})
	if err != nil {
		t.Fatal(err)
	}
	return l, h
}

func sealN(t *testing.T, l *ledger.Ledger, n int) {
	t.Helper()
	for range n {
		if _, err := l.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func awaitHeight(t *testing.T, l *ledger.Ledger, h chain.Height) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); l.Head().Header.Height < h; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the copy is at height %d, not %d", l.Head().Header.Height, h)
		}
	}
}

// A copy is at the head of what it follows, though the first ledger lies, the second
// stands still, and the third goes away and comes back.
func TestCopyFollows(t *testing.T) {
	l, h := origin(t)
	sealN(t, l, 5)
	var lies, still atomic.Int64
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lies.Add(1)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		b := rec.Body.Bytes()
		b[len(b)-1] ^= 1
		w.WriteHeader(rec.Code)
		_, _ = w.Write(b)
	}))
	t.Cleanup(liar.Close)
	idle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if still.Add(1); !strings.HasSuffix(r.URL.Path, "/1") {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(idle.Close)
	var away atomic.Bool
	sound := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(sound.Close)

	c, err := node.OpenCopy(t.Context(), "", l.Genesis(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- node.FollowBlocks(ctx, node.FollowConfig{Ledger: c, URLs: []string{liar.URL, idle.URL, sound.URL}, Pause: time.Millisecond})
	}()
	awaitHeight(t, c, 5)
	if lies.Load() == 0 || still.Load() == 0 {
		t.Errorf("the liar was asked %d times, the one that stands still %d", lies.Load(), still.Load())
	}
	away.Store(true)
	sealN(t, l, 3)
	away.Store(false)
	awaitHeight(t, c, 8)
	if c.Head().Header.Hash() != l.Head().Header.Hash() {
		t.Error("the copy has another head")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Who follows nobody, or a network whose blocks may be taken back, is told so; who
// halts says why.
func TestCopyThatCannotFollow(t *testing.T) {
	l, _ := origin(t)
	if err := node.FollowBlocks(t.Context(), node.FollowConfig{Ledger: l}); !errors.Is(err, node.ErrFollow) {
		t.Errorf("no URL: %v", err)
	}
	c, err := node.OpenCopy(t.Context(), "", l.Genesis(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := node.FollowBlocks(t.Context(), node.FollowConfig{Ledger: c, URLs: []string{"http://127.0.0.1:1"}, Pause: time.Millisecond}); !errors.Is(err, ledger.ErrHalted) {
		t.Errorf("a copy that halted: %v", err)
	}
	g := l.Genesis()
	g.Dev, g.Clock = true, genesis.ClockLedger
	dev, err := node.OpenCopy(t.Context(), "", g, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	if err := node.FollowBlocks(t.Context(), node.FollowConfig{Ledger: dev, URLs: []string{"http://127.0.0.1:1"}}); !errors.Is(err, node.ErrFollow) {
		t.Errorf("a dev network: %v", err)
	}
}
