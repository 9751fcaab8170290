package node_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/node"
)

// makeFollower writes the folder of a ledger whose blocks validators decide.
func makeFollower(t *testing.T) string {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	params, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	operator := chain.Address{1}
	g := genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Private, Clock: genesis.ClockReal, Engine: genesis.EngineComet, Time: 1_700_000_000_000,
		Sealers: []chain.NodeID{chain.NodeID(key.Public().(ed25519.PublicKey))}, Operators: []chain.Address{operator}, Params: params},
		Allocations: []genesis.Allocation{{Address: operator, Balance: params.StakingRequirement}}}
	dir := filepath.Join(t.TempDir(), "ledger")
	if err := node.InitLedger(dir, g, key); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, node.SealerFile)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fakeEngine decides nothing.
type fakeEngine struct {
	ledger *ledger.Ledger
	done   chan struct{}
	why    error

	mu      sync.Mutex
	stopped int
	closed  bool // the ledger was closed before the engine was stopped
}

func (e *fakeEngine) Done() <-chan struct{} { return e.done }

func (e *fakeEngine) Stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped++
	e.closed = e.closed || e.stopped == 1 && e.ledger.Err() != nil
	return e.why
}

func (e *fakeEngine) start(_ context.Context, l *ledger.Ledger, _ *slog.Logger) (node.Engine, error) {
	e.ledger = l
	return e, l.Attach(func(context.Context, []byte) error { return nil })
}

// A ledger under an engine serves without a sealer key, and stops the engine before
// it closes.
func TestLedgerUnderEngine(t *testing.T) {
	e := &fakeEngine{done: make(chan struct{})}
	url, _, end := started(t, node.LedgerConfig{Dir: makeFollower(t), Engine: e.start})
	defer http.DefaultClient.CloseIdleConnections()
	res, err := http.Get(url + "/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var status struct{ Engine string }
	if err := json.NewDecoder(res.Body).Decode(&status); err != nil || status.Engine != "cometbft" {
		t.Errorf("engine %q, %v", status.Engine, err)
	}
	end()
	if e.stopped == 0 || e.closed {
		t.Errorf("stopped %d times, after the ledger: %v", e.stopped, e.closed)
	}
}

// An engine that ends by itself ends the ledger, with its reason.
func TestLedgerEndsWithItsEngine(t *testing.T) {
	why := errors.New("no more blocks")
	e := &fakeEngine{done: make(chan struct{}), why: why}
	err := node.RunLedger(t.Context(), node.LedgerConfig{Dir: makeFollower(t), HTTP: "127.0.0.1:0", Engine: e.start,
		Ready: func(string, string) { close(e.done) }})
	if !errors.Is(err, node.ErrEngine) || !errors.Is(err, why) {
		t.Error(err)
	}
	if e.closed {
		t.Error("the ledger was closed first")
	}
}

// An engine that does not start ends it too; and each network has one way.
func TestLedgerOfAnotherEngine(t *testing.T) {
	why := errors.New("no port")
	fails := func(context.Context, *ledger.Ledger, *slog.Logger) (node.Engine, error) { return nil, why }
	if err := node.RunLedger(t.Context(), node.LedgerConfig{Dir: makeFollower(t), HTTP: "127.0.0.1:0", Engine: fails}); !errors.Is(err, why) {
		t.Error(err)
	}
	for dir, x := range map[string]struct {
		start node.StartEngine
		hint  string
	}{
		makeFollower(t): {nil, "tunic-validator start --dir "},
		makeLedger(t):   {fails, "tunic ledger run --dir "},
	} {
		err := node.RunLedger(t.Context(), node.LedgerConfig{Dir: dir, HTTP: "127.0.0.1:0", Engine: x.start})
		if !errors.Is(err, node.ErrEngine) || !strings.Contains(err.Error(), x.hint+dir) {
			t.Errorf("%v", err)
		}
	}
}
