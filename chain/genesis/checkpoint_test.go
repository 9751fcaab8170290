package genesis_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
)

// TestCheckpoint: a checkpoint of cometbft names CometBFT's header too, one of
// sealers does not, and the file of a network of sealers is what it was.
func TestCheckpoint(t *testing.T) {
	of := func(engine genesis.Engine, c *genesis.Checkpoint) genesis.Network {
		p, err := genesis.For(genesis.Private)
		if err != nil {
			t.Fatal(err)
		}
		g := genesis.Genesis{Core: genesis.Core{ChainID: 7, Profile: genesis.Private, Clock: genesis.ClockReal, Engine: engine, Time: 1,
			Sealers: []chain.NodeID{chain.NodeID(ed25519.NewKeyFromSeed(make([]byte, 32))[32:])}, Params: p}}
		if engine == genesis.EngineComet {
			g.Operators = []chain.Address{{1}}
			g.Allocations = []genesis.Allocation{{Address: chain.Address{1}, Balance: p.StakingRequirement}}
		}
		n := g.Network("http://127.0.0.1:1")
		n.Checkpoint = c
		return n
	}
	h := chain.Hash{5}
	for name, c := range map[string]struct {
		n    genesis.Network
		good bool
	}{
		"sealer":                         {of(genesis.EngineSealer, &genesis.Checkpoint{Height: 3, Hash: h}), true},
		"sealer, with a commit":          {of(genesis.EngineSealer, &genesis.Checkpoint{Height: 3, Hash: h, Commit: h}), false},
		"sealer, with a certificate":     {of(genesis.EngineSealer, &genesis.Checkpoint{Height: 3, Hash: h, Certificate: []byte{1}}), false},
		"cometbft":                       {of(genesis.EngineComet, &genesis.Checkpoint{Height: 3, Hash: h, Commit: h}), true},
		"cometbft, with a certificate":   {of(genesis.EngineComet, &genesis.Checkpoint{Height: 3, Hash: h, Commit: h, Certificate: []byte{1}}), true},
		"cometbft, without commit":       {of(genesis.EngineComet, &genesis.Checkpoint{Height: 3, Hash: h}), false},
		"cometbft, certificate too long": {of(genesis.EngineComet, &genesis.Checkpoint{Height: 3, Hash: h, Commit: h, Certificate: make([]byte, genesis.MaxCertificate+1)}), false},
		"height 0":                       {of(genesis.EngineSealer, &genesis.Checkpoint{Hash: h}), false},
		"none":                           {of(genesis.EngineComet, nil), true},
	} {
		b := c.n.Encode()
		back, err := genesis.ParseNetwork(b)
		if c.good != (err == nil) || err != nil && !errors.Is(err, genesis.ErrGenesis) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && !bytes.Equal(back.Encode(), b) {
			t.Errorf("%s: read and written again it is another file", name)
		}
		if has := bytes.Contains(b, []byte(`"commit"`)); has != (c.n.Checkpoint != nil && !c.n.Checkpoint.Commit.IsZero()) {
			t.Errorf("%s: commit is in it: %v", name, has)
		}
	}
}
