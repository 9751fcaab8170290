package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/state"
	"tunic/chain/statement"
	staterows "tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/node"
	"tunic/registry/directory"
	"tunic/slashing"
)

// relayKey is the identity key in a relay's key file.
func relayKey(ts *testscript.TestScript, file string) ed25519.PrivateKey {
	fields := bytes.Fields([]byte(ts.ReadFile(file)))
	seed, err := hex.DecodeString(string(fields[slices.IndexFunc(fields, func(b []byte) bool { return string(b) == "identity" })+1]))
	ts.Check(err)
	return ed25519.NewKeyFromSeed(seed)
}

// voteTwiceCmd signs two votes on one subject, and one on another:
// votetwice KEYFILE NETWORK EPOCH OUT OUT OTHER.
func voteTwiceCmd(ts *testscript.TestScript, _ bool, args []string) {
	n, err := node.ReadNetwork(ts.MkAbs(args[1]))
	ts.Check(err)
	epoch, err := strconv.ParseUint(args[2], 10, 44)
	ts.Check(err)
	for i, out := range args[3:] {
		v := statement.Vote{Subject: chain.NodeID{byte(i / 2)}, Epoch: chain.Epoch(epoch), Score: chain.Permille(i)}
		s := statement.Sign(statement.Domain{Genesis: n.Genesis}, relayKey(ts, args[0]), statement.LabelVote, statement.NewSequence(v.Epoch, 0), v.Encode())
		ts.Check(os.WriteFile(ts.MkAbs(out), s.Encode(), 0o600))
	}
}

// declareCmd signs a heartbeat that declares a version:
// declare KEYFILE NETWORK EPOCH VERSION OUT.
func declareCmd(ts *testscript.TestScript, _ bool, args []string) {
	n, err := node.ReadNetwork(ts.MkAbs(args[1]))
	ts.Check(err)
	epoch, err := strconv.ParseUint(args[2], 10, 44)
	ts.Check(err)
	s := statement.Sign(statement.Domain{Genesis: n.Genesis}, relayKey(ts, args[0]), statement.LabelHeartbeat,
		statement.NewSequence(chain.Epoch(epoch), 1<<20-1), statement.Heartbeat{Version: args[3]}.Encode())
	ts.Check(os.WriteFile(ts.MkAbs(args[4]), s.Encode(), 0o600))
}

// verdictCmd makes a list of six nodes under a header that a ledger's key seals,
// and the proof that five found the sixth unfit: verdict DIR OUT.
func verdictCmd(ts *testscript.TestScript, _ bool, args []string) {
	seed, err := hex.DecodeString(strings.TrimSpace(ts.ReadFile(args[0] + "/" + node.SealerFile)))
	ts.Check(err)
	n, err := node.ReadNetwork(ts.MkAbs(args[0] + "/" + node.NetworkFile))
	ts.Check(err)
	const epoch = 3
	keys := make([]ed25519.PrivateKey, 6)
	var entries []directory.Entry
	var votes [][]byte
	for i := range keys {
		keys[i] = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32))
		id := chain.NodeID(keys[i].Public().(ed25519.PublicKey))
		entries = append(entries, directory.Entry{Node: id, Operator: chain.Address{byte(i)}, Endpoints: []string{fmt.Sprintf("127.%d.0.1:1", i)}})
	}
	for _, k := range keys[1:] {
		v := statement.Vote{Subject: entries[0].Node, Epoch: epoch, Reasons: statement.ReasonAbsent, Score: 7}
		votes = append(votes, statement.Sign(statement.Domain{Genesis: n.Genesis}, k, statement.LabelVote, statement.NewSequence(epoch, 0), v.Encode()).Encode())
	}
	l, err := directory.NewList(epoch, entries)
	ts.Check(err)
	var part staterows.Part
	rows := staterows.New(&part, staterows.Codec[uint8, []byte]{Prefix: state.PrefixSingletons,
		AppendKey: func(b []byte, k uint8) []byte { return append(b, k) }, ReadKey: (*wire.Reader).Uint8,
		AppendValue: func(b, v []byte) []byte { return append(b, v...) }, ReadValue: func(r *wire.Reader) []byte { return r.Fixed(r.Len()) }})
	rows.Set(state.KeyParams, genesis.InForce{Params: n.Params}.Encode())
	part.Commit()
	p := state.Proof{Part: state.PartParams, Row: part.Prove(state.ParamsKey())}
	p.Roots[state.PartParams] = state.PartRoot{Root: part.Root(), Count: 1}
	header := light.Seal(ed25519.NewKeyFromSeed(seed), chain.Header{Genesis: n.Genesis, Height: 1000, Time: n.EpochStart(epoch), State: state.Root(p.Roots),
		Directory: l.Root(), DirCount: 6, DirEpoch: epoch, Proposer: n.Sealers[0]})
	proof, err := slashing.AssembleVerdict(entries[0].Node, votes, header, l, slashing.InForce{Header: header, Proof: p})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), proof.Encode(), 0o600))
}
