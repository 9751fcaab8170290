package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/api"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/comettest"
)

// validated is a ledger under CometBFT that has begun so many days ago and whose
// newest block is of now, behind its API, and its network file. Of its four
// validators two were replaced at block 3 and two at block 5.
func validated(t *testing.T, days int) (*comettest.Chain, string) {
	t.Helper()
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	g := comettest.Genesis(t, names[:4], names[4:])
	p, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	g.Profile, g.Params = genesis.Private, p
	now := chain.Time(time.Now().UnixMilli())
	g.Time = now - chain.Time(days)*chain.Time(genesis.Day) - 60_000
	c := comettest.New(t, g, names...)
	var blocks []chain.Block
	for h := chain.Time(1); h <= 9; h++ {
		var txs [][]byte
		if h == 3 || h == 5 {
			i := int(h - 3)
			txs = append(append(c.Join(names[4+i]), c.Join(names[5+i])...), c.Leave(names[i]), c.Leave(names[i+1]))
		}
		next := g.Time + h*1000
		if h >= 7 {
			next = now - 40_000 + h*1000
		}
		blocks = append(blocks, c.OK(next, txs...))
	}
	l, err := ledger.Open(t.Context(), ledger.Config{Genesis: g})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if _, err := l.Import(t.Context(), func(yield func([]byte, error) bool) {
		for _, b := range blocks {
			if !yield(b.Encode(), nil) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	h, err := api.New(api.Config{Ledger: l, Network: g.Network()})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "network.json")
	if err := os.WriteFile(file, g.Network(s.URL).Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, file
}

// TestCommandsUnderComet: commands verify what validators committed, who were all
// replaced since genesis.
func TestCommandsUnderComet(t *testing.T) {
	t.Parallel()
	_, network := validated(t, 0)
	dir := t.TempDir()
	says := func(want string, code int, args ...string) {
		t.Helper()
		got, out, errs := tunic(t, append(args, "--network", network)...)
		if got != code || !strings.Contains(out+errs, want) {
			t.Errorf("%v: exit code %d, want %d and %q: %s%s", args, got, code, want, out, errs)
		}
	}
	says("4 validators decide height 10, from 7 on", exitDone, "ledger", "validators")
	says(comettest.Node("h").String(), exitDone, "ledger", "validators")
	says("from height 5 on, "+short(comettest.Node("a").String())+" decides no more", exitDone, "ledger", "validators")
	says("4 validators decide height 1,", exitDone, "ledger", "validators", "--height", "1")
	says(`"verified":true`, exitDone, "ledger", "validators", "--height", "5", "-o", "json")
	says("", exitDone, "directory", "get")
	list := filepath.Join(dir, "list")
	says("", exitDone, "directory", "get", "--out", list)
	says("not listed", exitFalse, "directory", "prove", comettest.Node("a").String(), "--out", filepath.Join(dir, "proof"))
	says("", exitDone, "params", "show")
	says("", exitDone, "node", "show", comettest.Node("h").String())
	// Alone with genesis nobody can tell; with a checkpoint, and no ledger, one can.
	says("validators_unknown", exitFailed, "directory", "verify", list, "-o", "json")
	says("--ledger URL", exitFailed, "directory", "verify", list)
	newer := filepath.Join(dir, "newer.json")
	says("checkpoint at height 9", exitDone, "ledger", "checkpoint", "--out", newer)
	network = newer
	says("", exitDone, "directory", "verify", list)
	says("4 validators decide height 10", exitDone, "ledger", "validators")
}

// TestCommandsWithAnOldNetworkFile: past the trusting period they say so, until
// there is a newer file.
func TestCommandsWithAnOldNetworkFile(t *testing.T) {
	t.Parallel()
	_, network := validated(t, 3)
	code, out, errs := tunic(t, "directory", "get", "--network", network)
	if code == exitDone || !strings.Contains(errs, "newer network file") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	code, out, errs = tunic(t, "ledger", "validators", "--network", network, "-o", "json")
	if code != exitFailed || !strings.Contains(out+errs, "checkpoint_needed") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	newer := filepath.Join(t.TempDir(), "newer.json")
	if code, _, errs := tunic(t, "ledger", "checkpoint", "--network", network, "--out", newer); code != exitFailed || !strings.Contains(errs, "newer network file") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if code, _, errs := tunic(t, "ledger", "checkpoint", "--unverified", "--network", network, "--out", newer); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, args := range [][]string{{"directory", "get"}, {"ledger", "validators"}} {
		if code, out, errs := tunic(t, append(args, "--network", newer)...); code != exitDone {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, errs)
		}
	}
}
