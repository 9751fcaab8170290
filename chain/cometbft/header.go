package cometbft

import (
	"fmt"

	"tunic/chain"
	"tunic/internal/merkle"
)

// Version is of which protocol a block is, and of which its application.
type Version struct {
	Block uint64 // BlockProtocol
	App   uint64
}

// Header is CometBFT's header of a block. A zero hash is an empty one: no digest
// is all zeros.
type Header struct {
	Version Version
	ChainID string
	Height  chain.Height // 1 to MaxHeight
	Time    Time

	LastBlockID BlockID // the parent's

	LastCommitHash chain.Hash // of the commit for the parent
	DataHash       chain.Hash // of the transactions

	ValidatorsHash     chain.Hash // of the set that decides this block
	NextValidatorsHash chain.Hash // of the set that decides the next one
	ConsensusHash      chain.Hash // of the consensus parameters
	AppHash            chain.Hash // of the application's state after the parent
	LastResultsHash    chain.Hash // of the results of the parent's transactions

	EvidenceHash    chain.Hash
	ProposerAddress Address
}

// Hash is the root of the tree over the header's fields, each as protobuf. It
// means something for a header that Validate accepts.
func (h *Header) Hash() chain.Hash {
	var leaves [14]merkle.Hash
	var scratch [160]byte
	n := 0
	add := func(b []byte) {
		leaves[n] = merkle.Leaf(b)
		n++
	}
	add(h.Version.appendProto(scratch[:0]))
	add(appendBytesField(scratch[:0], 1, []byte(h.ChainID)))
	add(appendVarintField(scratch[:0], 1, uint64(h.Height)))
	add(h.Time.appendProto(scratch[:0]))
	add(h.LastBlockID.appendProto(scratch[:0]))
	for _, hash := range h.hashes() {
		add(appendHashField(scratch[:0], 1, *hash))
	}
	add(appendBytesField(scratch[:0], 1, h.ProposerAddress[:]))
	return chain.Hash(merkle.Root(leaves[:]))
}

// Validate asks what a header says of itself: that it is of the chain
// (ErrChain), of a protocol that is known, and that height and time are in range
// and validators named (ErrHeader).
func (h *Header) Validate(chainID string) error {
	switch {
	case h.ChainID != chainID:
		return fmt.Errorf("%w: %q, not %q", ErrChain, clip(h.ChainID), chainID)
	case h.Version.Block != BlockProtocol:
		return fmt.Errorf("%w: block protocol %d, not %d", ErrHeader, h.Version.Block, BlockProtocol)
	case h.Height == 0 || h.Height > MaxHeight:
		return fmt.Errorf("%w: height %d", ErrHeader, h.Height)
	case !h.Time.Valid():
		return fmt.Errorf("%w: time of %d s and %d ns", ErrHeader, h.Time.Seconds, h.Time.Nanos)
	case h.ValidatorsHash.IsZero():
		return fmt.Errorf("%w: no validators", ErrHeader)
	}
	return nil
}

// VerifyParent says whether parent is the header right below a trusted child,
// which names it by its hash: so headers older than the first trusted one are
// verified, one by one, without a signature. Both are of the child's chain.
// ErrChain and ErrHeader as Validate; ErrOrder where it is another header or not
// the earlier one.
func VerifyParent(parent, child *Header) error {
	if err := parent.Validate(child.ChainID); err != nil {
		return err
	}
	switch {
	case parent.Height+1 != child.Height:
		return fmt.Errorf("%w: height %d is not right below height %d", ErrOrder, parent.Height, child.Height)
	case parent.Time.Compare(child.Time) >= 0:
		return fmt.Errorf("%w: height %d is not earlier than height %d", ErrOrder, parent.Height, child.Height)
	case parent.Hash() != child.LastBlockID.Hash:
		return fmt.Errorf("%w: height %d names another parent", ErrOrder, child.Height)
	}
	return nil
}

func clip(s string) string { return s[:min(len(s), MaxChainID)] }
