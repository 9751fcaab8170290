package cometbft_test

import (
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/proto/tendermint/version"
	oracle "github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// What follows gives our values to CometBFT, which is the oracle.

func oracleHash(h chain.Hash) []byte {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

func oracleTime(t cometbft.Time) time.Time { return time.Unix(t.Seconds, int64(t.Nanos)).UTC() }

func oracleMillis(t chain.Time) time.Time { return time.UnixMilli(int64(t)).UTC() }

func oracleDuration(d chain.Duration) time.Duration { return time.Duration(d) * time.Millisecond }

func oracleBlockID(id cometbft.BlockID) oracle.BlockID {
	return oracle.BlockID{Hash: oracleHash(id.Hash), PartSetHeader: oracle.PartSetHeader{Total: id.Parts.Total, Hash: oracleHash(id.Parts.Hash)}}
}

func oracleHeader(h cometbft.Header) *oracle.Header {
	return &oracle.Header{
		Version: version.Consensus{Block: h.Version.Block, App: h.Version.App}, ChainID: h.ChainID, Height: int64(h.Height), Time: oracleTime(h.Time),
		LastBlockID: oracleBlockID(h.LastBlockID), LastCommitHash: oracleHash(h.LastCommitHash), DataHash: oracleHash(h.DataHash),
		ValidatorsHash: oracleHash(h.ValidatorsHash), NextValidatorsHash: oracleHash(h.NextValidatorsHash), ConsensusHash: oracleHash(h.ConsensusHash),
		AppHash: oracleHash(h.AppHash), LastResultsHash: oracleHash(h.LastResultsHash), EvidenceHash: oracleHash(h.EvidenceHash),
		ProposerAddress: h.ProposerAddress[:],
	}
}

func oracleCommit(c cometbft.Commit) *oracle.Commit {
	o := &oracle.Commit{Height: int64(c.Height), Round: int32(c.Round), BlockID: oracleBlockID(c.BlockID)}
	for _, s := range c.Signatures {
		sig := oracle.CommitSig{BlockIDFlag: oracle.BlockIDFlag(s.Flag)}
		if s != (cometbft.CommitSig{Flag: cometbft.FlagAbsent}) {
			sig.ValidatorAddress, sig.Timestamp, sig.Signature = s.Validator[:], oracleTime(s.Time), s.Signature[:]
		}
		o.Signatures = append(o.Signatures, sig)
	}
	return o
}

// oracleSet keeps the order that the set has.
func oracleSet(t testing.TB, s *cometbft.Set) *oracle.ValidatorSet {
	t.Helper()
	var all []*oracle.Validator
	for i := range s.Len() {
		v := s.At(i)
		all = append(all, oracle.NewValidator(ed25519.PubKey(v.Key[:]), int64(v.Power)))
	}
	set, err := oracle.ValidatorSetFromExistingValidators(all)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func oracleSigned(c cometbft.Certificate) *oracle.SignedHeader {
	return &oracle.SignedHeader{Header: oracleHeader(c.Header), Commit: oracleCommit(c.Commit)}
}

func oracleVote(v cometbft.Vote) *oracle.Vote {
	return &oracle.Vote{Type: types.SignedMsgType(v.Type), Height: int64(v.Height), Round: int32(v.Round), BlockID: oracleBlockID(v.BlockID),
		Timestamp: oracleTime(v.Time), ValidatorAddress: v.Validator[:], Signature: v.Signature[:]}
}
