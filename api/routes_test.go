package api

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
)

// TestRoutes: what the router serves is what openapi.yaml says, no more and no
// less.
func TestRoutes(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	params, _ := genesis.For(genesis.Dev)
	g := genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger,
		Engine: genesis.EngineSealer, Time: 1, Sealers: []chain.NodeID{chain.NodeID(key.Public().(ed25519.PublicKey))}, Params: params}}
	l, err := ledger.Open(t.Context(), ledger.Config{Genesis: g, SealerKey: key, Mode: ledger.ModeManual, Clock: ledger.NewDrivenClock(1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := Config{Ledger: l, Network: g.Network()}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	engine, err := (&server{cfg: cfg, ledger: l}).engine()
	if err != nil {
		t.Fatal(err)
	}
	routes, err := specRoutes()
	if err != nil {
		t.Fatal(err)
	}
	var served, specified []string
	for _, r := range engine.Routes() {
		served = append(served, r.Method+" "+r.Path)
	}
	for name := range routes {
		specified = append(specified, name)
	}
	slices.Sort(served)
	slices.Sort(specified)
	if !slices.Equal(served, specified) {
		t.Errorf("served    %v\nspecified %v", served, specified)
	}
}
