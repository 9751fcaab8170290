package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
)

// A dump that the ledger cuts off, at whatever byte, leaves the file that was
// there and nothing beside it.
func TestDumpCutOff(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("a line of a dump\n", 10_000)
	sent := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write([]byte(whole[:sent]))
		http.NewResponseController(w).Flush()
		if sent < len(whole) {
			panic(http.ErrAbortHandler)
		}
	}))
	defer srv.Close()

	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	g := genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger, Engine: genesis.EngineSealer,
		Time: 1, Sealers: []chain.NodeID{{1}}, Params: prm}}
	dir := t.TempDir()
	network, file := filepath.Join(t.TempDir(), "network.json"), filepath.Join(dir, "dump")
	if err := os.WriteFile(network, g.Network(srv.URL).Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("the old one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sent = range []int{0, 1, 4096, 70_000, len(whole) - 1, len(whole)} {
		code, _, errs := tunic(t, "dev", "dump", file, "--network", network)
		want := "the old one"
		if sent == len(whole) {
			want = whole
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want || (code == exitDone) != (sent == len(whole)) {
			t.Errorf("cut after %d bytes: exit code %d, %s; the file has %d bytes, %v", sent, code, errs, len(got), err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("cut after %d bytes: the folder holds %v, %v", sent, left, err)
		}
	}
}
