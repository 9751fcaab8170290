package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/slashing"
)

// maxHeads bounds a file that holds two sealed headers, of which relays keep the
// text in hexadecimal digits.
const maxHeads = 1 << 19

// makeDoubleSeal makes a proof of what a client or relay saved when it halted,
// and verifies it against the network file. node is which validator it is about,
// where several signed both.
func (a *app) makeDoubleSeal(ctx context.Context, net, path, node string) (slashing.Proof, error) {
	n, err := network(net)
	if err != nil {
		return slashing.Proof{}, err
	}
	b, err := readInput(path, maxHeads)
	if err != nil {
		return slashing.Proof{}, err
	}
	if n.Engine == genesis.EngineComet {
		return a.makeBallots(ctx, net, n, path, b, node)
	}
	if node != "" {
		return slashing.Proof{}, usage("--node says which validator; this network has a sealer")
	}
	first, second, ok := readHeads(b, n)
	if !ok {
		return slashing.Proof{}, fail(exitMalformed, slashing.ErrMalformed.Code, "no two headers",
			"%s is none of the files that relays and clients save when they halt: %s, two-heads-HEIGHT.txt, two-heads-HEIGHT", path, feed.ConflictFile)
	}
	anchor, err := light.New(n)
	if err != nil {
		return slashing.Proof{}, err
	}
	p, err := slashing.AssembleSeals(first, second)
	if err == nil {
		_, err = slashing.Verify(p, anchor)
	}
	return p, (&judgement{err: err}).refused()
}

// readHeads reads two sealed headers in any of the three forms: the text of a
// feed, that of a relay, and the bytes of a client.
func readHeads(b []byte, n genesis.Network) (first, second chain.SealedHeader, ok bool) {
	if two, err := feed.ParseConflict(b, n); err == nil {
		return two.First, two.Second, true
	}
	var found []chain.SealedHeader
	add := func(b []byte, err error) bool {
		s, decodeErr := chain.DecodeSealedHeader(b)
		if err = errors.Join(err, decodeErr); err == nil {
			found = append(found, s)
		}
		return err == nil
	}
	r := wire.NewReader(b)
	raw := [2][]byte{r.Bytes(maxHeader), r.Bytes(maxHeader)}
	if r.Done() != nil || !add(raw[0], nil) || !add(raw[1], nil) {
		found = nil
		for line := range bytes.Lines(b) {
			add(hex.DecodeString(string(bytes.TrimSpace(line))))
		}
	}
	if len(found) != 2 {
		return first, second, false
	}
	return found[0], found[1], true
}

// noPenalty says of a valid double-seal what a ledger would.
func (j *judgement) noPenalty(core genesis.Core) {
	if len(core.Sealers) == 1 {
		j.add("penalty", "none (single_sealer): who seals alone cannot be punished by its own ledger; clients and relays that see both halt", nil)
		return
	}
	j.add("penalty", "none (unbonded_sealer): the sealers of genesis have no bond that could be slashed", nil)
}
