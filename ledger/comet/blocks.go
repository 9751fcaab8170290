package comet

import (
	"fmt"
	"time"

	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// store is CometBFT's of blocks.
type store interface {
	LoadBlockMeta(height int64) *types.BlockMeta
	LoadSeenCommit(height int64) *types.Commit
	LoadBlockCommit(height int64) *types.Commit
}

// stored reads certificates out of CometBFT's blocks.
type stored struct{ store store }

// Certificate is a header with the commit for it: the one inside the next block
// or, for the newest, the one that this validator saw.
func (s stored) Certificate(h chain.Height) (cometbft.Certificate, bool) {
	meta := s.store.LoadBlockMeta(int64(h))
	if meta == nil {
		return cometbft.Certificate{}, false
	}
	commit := s.store.LoadBlockCommit(int64(h))
	if commit == nil {
		commit = s.store.LoadSeenCommit(int64(h))
	}
	if commit == nil {
		return cometbft.Certificate{}, false
	}
	c, err := certificate(&meta.Header, commit)
	return c, err == nil
}

// certificate is CometBFT's header and commit in our form.
func certificate(h *types.Header, c *types.Commit) (out cometbft.Certificate, err error) {
	var x converter
	out.Header = cometbft.Header{
		Version: cometbft.Version{Block: h.Version.Block, App: h.Version.App}, ChainID: h.ChainID, Height: chain.Height(h.Height), Time: moment(h.Time),
		LastBlockID: x.id(h.LastBlockID), LastCommitHash: x.hash(h.LastCommitHash), DataHash: x.hash(h.DataHash),
		ValidatorsHash: x.hash(h.ValidatorsHash), NextValidatorsHash: x.hash(h.NextValidatorsHash), ConsensusHash: x.hash(h.ConsensusHash),
		AppHash: x.hash(h.AppHash), LastResultsHash: x.hash(h.LastResultsHash), EvidenceHash: x.hash(h.EvidenceHash),
		ProposerAddress: x.address(h.ProposerAddress),
	}
	out.Commit = cometbft.Commit{Height: chain.Height(c.Height), Round: cometbft.Round(c.Round), BlockID: x.id(c.BlockID)}
	for _, s := range c.Signatures {
		sig := cometbft.CommitSig{Flag: cometbft.Flag(s.BlockIDFlag)}
		if s.BlockIDFlag != types.BlockIDFlagAbsent {
			sig.Validator, sig.Time, sig.Signature = x.address(s.ValidatorAddress), moment(s.Timestamp), x.signature(s.Signature)
		}
		out.Commit.Signatures = append(out.Commit.Signatures, sig)
	}
	return out, x.err
}

// vote is CometBFT's in our form.
func vote(v *types.Vote) (cometbft.Vote, error) {
	var x converter
	out := cometbft.Vote{Type: cometbft.VoteType(v.Type), Height: chain.Height(v.Height), Round: cometbft.Round(v.Round), BlockID: x.id(v.BlockID),
		Time: moment(v.Timestamp), Validator: x.address(v.ValidatorAddress), Signature: x.signature(v.Signature)}
	return out, x.err
}

// converter makes values of fixed size; err is of the last one that has another.
type converter struct{ err error }

func (x *converter) fill(to, b []byte, what string) {
	if copy(to, b) != len(to) || len(b) != len(to) {
		x.err = fmt.Errorf("%s of %d bytes", what, len(b))
	}
}

// hash is zero where b is empty.
func (x *converter) hash(b []byte) (h chain.Hash) {
	if len(b) > 0 {
		x.fill(h[:], b, "a hash")
	}
	return h
}

func (x *converter) address(b []byte) (a cometbft.Address) {
	x.fill(a[:], b, "an address")
	return a
}

func (x *converter) signature(b []byte) (s [64]byte) {
	x.fill(s[:], b, "a signature")
	return s
}

func (x *converter) id(b types.BlockID) cometbft.BlockID {
	return cometbft.BlockID{Hash: x.hash(b.Hash), Parts: cometbft.PartSet{Total: b.PartSetHeader.Total, Hash: x.hash(b.PartSetHeader.Hash)}}
}

func moment(t time.Time) cometbft.Time {
	return cometbft.Time{Seconds: t.Unix(), Nanos: uint32(t.Nanosecond())}
}
