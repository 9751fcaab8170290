package api

import (
	"encoding/hex"
	"strconv"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

func amount(a chain.Amount) oas.Amount { return strconv.FormatUint(uint64(a), 10) }

func decimal[T ~uint64](v T) string { return strconv.FormatUint(uint64(v), 10) }

// nonZero is v, or nothing where it is zero.
func nonZero[T ~uint64](v T) *int64 {
	if v == 0 {
		return nil
	}
	i := int64(v)
	return &i
}

// named is v in words, or nothing where it is zero.
func named[T interface {
	comparable
	String() string
}](v T) *string {
	if v == *new(T) {
		return nil
	}
	s := v.String()
	return &s
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func nodeIDs(ids []chain.NodeID) []oas.NodeID {
	out := make([]oas.NodeID, len(ids))
	for i := range ids {
		out[i] = ids[i].String()
	}
	return out
}

func headerOf(sealed chain.SealedHeader) oas.Header {
	h := sealed.Header
	out := oas.Header{
		Height: int64(h.Height), Hash: h.Hash().String(), GenesisHash: h.Genesis.String(), Fork: int64(h.Fork),
		TimeMs: int64(h.Time), Parent: h.Parent.String(), TxRoot: h.TxRoot.String(), TxCount: int(h.TxCount),
		ResultRoot: h.Results.String(), StateRoot: h.State.String(), DirectoryRoot: h.Directory.String(),
		DirectoryCount: int(h.DirCount), Epoch: int64(h.DirEpoch), Removals: nodeIDs(h.Removals),
		Beacon: h.Beacon.String(), Proposer: h.Proposer.String(),
	}
	if !h.Committed {
		seal := hex.EncodeToString(sealed.Seal[:])
		out.Seal = &seal
	} else if c, err := cometbft.Of(sealed); err == nil {
		out.Commit = &oas.HeaderCommit{Height: int64(c.Header.Height), Hash: c.Commit.BlockID.Hash.String(), Round: int64(c.Commit.Round),
			TimeMs: int64(c.Header.Time.Millis()), Signed: c.Commit.Votes(), Validators: len(c.Commit.Signatures)}
	}
	return out
}

func statementOf(st statement.Statement) *oas.Statement {
	return &oas.Statement{Label: st.Label.String(), Node: st.Node.String(), Sequence: decimal(st.Sequence),
		Epoch: int64(st.Sequence.Epoch()), Fork: int64(st.Fork)}
}

func entryOf(e directory.Entry) oas.DirectoryEntry {
	return oas.DirectoryEntry{
		Node: e.Node.String(), VrfKey: hex.EncodeToString(e.VRF[:]), Operator: e.Operator.String(),
		Endpoints: texts(e.Endpoints), Family: nodeIDs(e.Family), Swarm: decimal(e.Swarm), PreviousSwarm: decimal(e.PreviousSwarm),
		Version: e.Version, Stake: amount(e.Stake), Onion: onionKey(e.Onion), OnionNext: onionKey(e.OnionNext),
		Performance: int(e.Performance),
	}
}

func onionKey(k directory.Key) oas.OnionKey {
	return oas.OnionKey{FirstEpoch: int64(k.First), Key: hex.EncodeToString(k.Key[:])}
}

// texts is never null in JSON.
func texts(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
