package genesis

import (
	"encoding/json"
	"fmt"

	"tunic/chain"
)

// Checkpoint is a header that whoever made the file has verified.
type Checkpoint struct {
	Height chain.Height `json:"height"`
	Hash   chain.Hash   `json:"hash"`
	// Commit is the hash of CometBFT's header of Height+1, which names Hash: on
	// that engine alone, and required there.
	Commit chain.Hash `json:"commit,omitzero"`
	// Certificate is that header's certificate with its set (docs/spec/cometbft.md),
	// for who has no ledger to ask for it; with Commit alone, and optional.
	Certificate []byte `json:"certificate,omitempty"`
}

// MaxCertificate bounds a certificate in a network file in bytes.
const MaxCertificate = 1 << 17

// Network is the network file: all that a client or relay must trust.
type Network struct {
	Core
	Allocations chain.Hash  `json:"allocations_root"`
	Genesis     chain.Hash  `json:"genesis_hash"` // checked against the rest
	URLs        []string    `json:"urls"`         // ledgers; none is trusted
	Checkpoint  *Checkpoint `json:"checkpoint,omitempty"`
}

// Network is g's network file for ledgers at urls.
func (g Genesis) Network(urls ...string) Network {
	return Network{Core: g.Core, Allocations: g.AllocationRoot(), Genesis: g.Hash(), URLs: urls}
}

// ParseNetwork reads a network file (JSON, unknown and repeated keys
// refused) and checks that it hashes to the genesis hash that it names.
func ParseNetwork(b []byte) (Network, error) {
	var n Network
	if err := decodeStrict(b, &n); err != nil {
		return n, err
	}
	if got := n.HashWith(n.Allocations); got != n.Genesis {
		return n, fmt.Errorf("%w: the network file says genesis %s and hashes to %s; it was changed", ErrGenesis, n.Genesis, got)
	}
	return n, n.Validate()
}

// Validate refuses a file whose parts contradict themselves; that it hashes to
// its genesis hash is ParseNetwork's question.
func (n Network) Validate() error {
	if err := n.Core.Validate(); err != nil {
		return err
	}
	switch c := n.Checkpoint; {
	case c == nil:
	case c.Height == 0:
		return fmt.Errorf("%w: a checkpoint of height 0", ErrGenesis)
	case n.Engine == EngineComet && c.Commit.IsZero():
		return fmt.Errorf("%w: the checkpoint has no commit: the hash of CometBFT's header of height %d", ErrGenesis, c.Height+1)
	case n.Engine != EngineComet && (!c.Commit.IsZero() || len(c.Certificate) > 0):
		return fmt.Errorf("%w: the checkpoint has a commit; only checkpoints of cometbft have one", ErrGenesis)
	case len(c.Certificate) > MaxCertificate:
		return fmt.Errorf("%w: the checkpoint's certificate has %d bytes, at most %d", ErrGenesis, len(c.Certificate), MaxCertificate)
	}
	return nil
}

// Encode is the file's JSON, indented.
func (n Network) Encode() []byte {
	b, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		panic("genesis: internal error: " + err.Error())
	}
	return append(b, '\n')
}

// EpochAt is the epoch of time t; 0 before genesis.
func (c Core) EpochAt(t chain.Time) chain.Epoch {
	if t < c.Time {
		return 0
	}
	return chain.Epoch(uint64(t-c.Time) / uint64(c.Params.EpochLength))
}

// EpochStart is the first instant of epoch e.
func (c Core) EpochStart(e chain.Epoch) chain.Time {
	return c.Time + chain.Time(uint64(e)*uint64(c.Params.EpochLength))
}
