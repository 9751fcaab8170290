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
	hash := func(b []byte) (x chain.Hash) {
		switch {
		case len(b) == len(x):
			copy(x[:], b)
		case len(b) != 0:
			err = fmt.Errorf("a hash of %d bytes", len(b))
		}
		return x
	}
	address := func(b []byte) (x cometbft.Address) {
		if len(b) != len(x) {
			err = fmt.Errorf("an address of %d bytes", len(b))
		}
		copy(x[:], b)
		return x
	}
	id := func(b types.BlockID) cometbft.BlockID {
		return cometbft.BlockID{Hash: hash(b.Hash), Parts: cometbft.PartSet{Total: b.PartSetHeader.Total, Hash: hash(b.PartSetHeader.Hash)}}
	}
	out.Header = cometbft.Header{
		Version: cometbft.Version{Block: h.Version.Block, App: h.Version.App}, ChainID: h.ChainID, Height: chain.Height(h.Height), Time: moment(h.Time),
		LastBlockID: id(h.LastBlockID), LastCommitHash: hash(h.LastCommitHash), DataHash: hash(h.DataHash),
		ValidatorsHash: hash(h.ValidatorsHash), NextValidatorsHash: hash(h.NextValidatorsHash), ConsensusHash: hash(h.ConsensusHash),
		AppHash: hash(h.AppHash), LastResultsHash: hash(h.LastResultsHash), EvidenceHash: hash(h.EvidenceHash),
		ProposerAddress: address(h.ProposerAddress),
	}
	out.Commit = cometbft.Commit{Height: chain.Height(c.Height), Round: cometbft.Round(c.Round), BlockID: id(c.BlockID)}
	for _, s := range c.Signatures {
		x := cometbft.CommitSig{Flag: cometbft.Flag(s.BlockIDFlag)}
		if s.BlockIDFlag != types.BlockIDFlagAbsent {
			x.Validator, x.Time = address(s.ValidatorAddress), moment(s.Timestamp)
			if copy(x.Signature[:], s.Signature) != len(x.Signature) || len(s.Signature) != len(x.Signature) {
				err = fmt.Errorf("a signature of %d bytes", len(s.Signature))
			}
		}
		out.Commit.Signatures = append(out.Commit.Signatures, x)
	}
	return out, err
}

func moment(t time.Time) cometbft.Time {
	return cometbft.Time{Seconds: t.Unix(), Nanos: uint32(t.Nanosecond())}
}
