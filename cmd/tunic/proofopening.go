package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/durable"
	"tunic/slashing"
)

// openingSuffix is what the file is called, after the proof's, in which an opening
// waits for its beacon.
const openingSuffix = ".commit"

// opening is what opens a commit, as it waits in a file. Whoever has it can open
// nothing without the key.
type opening struct {
	Network    chain.Hash        `json:"network"`
	Node       chain.NodeID      `json:"node"`
	Key        string            `json:"key"`
	First      chain.Epoch       `json:"first_epoch"`
	Reporter   chain.Address     `json:"reporter"`
	Salt       chain.Hash        `json:"salt"`
	Committed  chain.Epoch       `json:"committed_epoch"`
	Deposit    chain.Amount      `json:"deposit"`
	kind       statement.KeyKind // of Key
	commitment chain.Hash
}

// keep writes the opening beside the proof to be.
func (t *teller) keep() error {
	b, err := json.MarshalIndent(t.open, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(t.out+openingSuffix, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the opening: %w", err)
	}
	return nil
}

// resume reads the opening that waits, if there is one.
func (t *teller) resume() (bool, error) {
	path := t.out + openingSuffix
	b, err := durable.ReadFile(path, 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &t.open)
	}
	o := &t.open
	switch {
	case err != nil:
		return false, fail(exitFailed, "bad_opening", "cannot go on from "+path, "%v; remove it to begin anew", err)
	case o.Network != t.r.net.Genesis || o.Reporter != t.who:
		return false, fail(exitFailed, "bad_opening", "cannot go on from "+path, "it is of network %s and account %s; use another --out, or remove it", o.Network, o.Reporter)
	case o.Committed == 0:
		return false, fail(exitFailed, "bad_opening", "cannot go on from "+path,
			"whether the commit was made is not known: see `tunic tx list --account %s`; remove the file to begin anew", t.who)
	}
	for _, k := range t.keys {
		if k.Kind.String() == o.Key && (k.Kind == statement.KeyOnion && k.First == o.First || k.Kind == statement.KeyIdentity && k.Node == o.Node) {
			t.own, o.kind = k, k.Kind
		}
	}
	if t.own == nil {
		return false, fail(exitFailed, "bad_opening", "cannot go on from "+path, "the key file does not hold its %s key of epoch %d", o.Key, o.First)
	}
	o.commitment = slashing.Commitment(t.r.net.Genesis, o.Node, o.kind, o.First, t.who, o.Salt)
	return true, nil
}
