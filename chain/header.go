package chain

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"

	"tunic/internal/wire"
)

// HeaderVersion is the version byte of the header encoding, and CommittedVersion
// that of a network whose validators commit headers together: the fields are the
// same, what stands behind a sealed header is not.
const (
	HeaderVersion    = 1
	CommittedVersion = 2
)

// MaxCommit bounds the commit of a header in bytes.
const MaxCommit = 1 << 16

// MaxRemovals bounds the removals of one epoch in a header.
const MaxRemovals = 1024

// MaxSealedHeader bounds the encoding of a header with its seal or commit in bytes.
const MaxSealedHeader = 297 + 32*MaxRemovals + 4 + MaxCommit

// ErrHeader means that a header's bytes are not canonical.
var ErrHeader = errors.New("chain: malformed header")

// Header commits to one block and to all state after it. Its hash is the
// SHA-256 of its encoding. docs/spec/chain.md, section Header.
type Header struct {
	Genesis   Hash   // hash of the genesis
	Fork      uint32 // raised by each revert or load on a dev network
	Height    Height
	Time      Time // of the network's clock; never below the parent's
	Parent    Hash // header hash at Height-1; the genesis hash at height 1
	TxRoot    Hash // RFC 6962 over the transactions' encodings
	TxCount   uint32
	Results   Hash // RFC 6962 over the results' encodings, one per transaction
	State     Hash // after this block
	Directory Hash // root of the list of DirectoryEpoch, frozen at its first block
	DirCount  uint32
	DirEpoch  Epoch
	Removals  []NodeID // out of the list since the epoch began, ascending
	Beacon    Hash     // of DirEpoch
	Proposer  NodeID   // who seals, or has proposed

	Committed bool // by validators together, not sealed by the proposer
}

// Encode is the canonical encoding.
func (h Header) Encode() []byte {
	b := make([]byte, 0, 384+32*len(h.Removals))
	if h.Committed {
		b = append(b, CommittedVersion)
	} else {
		b = append(b, HeaderVersion)
	}
	b = append(b, h.Genesis[:]...)
	b = wire.AppendUint32(b, h.Fork)
	b = wire.AppendUint64(b, uint64(h.Height))
	b = wire.AppendUint64(b, uint64(h.Time))
	b = append(b, h.Parent[:]...)
	b = append(b, h.TxRoot[:]...)
	b = wire.AppendUint32(b, h.TxCount)
	b = append(b, h.Results[:]...)
	b = append(b, h.State[:]...)
	b = append(b, h.Directory[:]...)
	b = wire.AppendUint32(b, h.DirCount)
	b = wire.AppendUint64(b, uint64(h.DirEpoch))
	b = wire.AppendUint32(b, uint32(len(h.Removals)))
	for i := range h.Removals {
		b = append(b, h.Removals[i][:]...)
	}
	b = append(b, h.Beacon[:]...)
	return append(b, h.Proposer[:]...)
}

// Hash identifies the header and is what its seal signs.
func (h Header) Hash() Hash { return SHA256(h.Encode()) }

// ReadHeader reads a header.
func ReadHeader(r *wire.Reader) Header {
	var h Header
	switch v := r.Uint8(); {
	case v == CommittedVersion:
		h.Committed = true
	case v != HeaderVersion && r.Err() == nil:
		r.Fail(fmt.Errorf("%w: version %d", ErrHeader, v))
	}
	r.Copy(h.Genesis[:])
	h.Fork = r.Uint32()
	h.Height = Height(r.Uint64())
	h.Time = Time(r.Uint64())
	r.Copy(h.Parent[:])
	r.Copy(h.TxRoot[:])
	h.TxCount = r.Uint32()
	r.Copy(h.Results[:])
	r.Copy(h.State[:])
	r.Copy(h.Directory[:])
	h.DirCount = r.Uint32()
	h.DirEpoch = Epoch(r.Uint64())
	for range r.Count(MaxRemovals, 32) {
		var id NodeID
		r.Copy(id[:])
		if n := len(h.Removals); n > 0 && bytes.Compare(h.Removals[n-1][:], id[:]) >= 0 {
			r.Fail(fmt.Errorf("%w: removals not ascending", ErrHeader))
			return Header{}
		}
		h.Removals = append(h.Removals, id)
	}
	r.Copy(h.Beacon[:])
	r.Copy(h.Proposer[:])
	return h
}

// SealedHeader is a header with its proposer's signature (statement label
// "seal") under its hash or, where it is committed, with the validators' commit.
type SealedHeader struct {
	Header Header
	Seal   [64]byte // of a committed header SHA-512 of Commit: either way no two are the same
	Commit []byte   // of a committed header, at most MaxCommit bytes (docs/spec/cometbft.md); else nil
}

// Commit is a committed header with its commit.
func Commit(h Header, commit []byte) SealedHeader {
	return SealedHeader{Header: h, Seal: sha512.Sum512(commit), Commit: commit}
}

// Same reports whether both are one header. Two copies of a committed header may
// carry different commits, since any signatures of enough validators suffice: so
// neither seals nor encodings say whether two headers are the same.
func (s SealedHeader) Same(o SealedHeader) bool { return s.Header.Hash() == o.Header.Hash() }

// Encode is the canonical encoding: header, then seal or commit.
func (s SealedHeader) Encode() []byte {
	if s.Header.Committed {
		return wire.AppendBytes(s.Header.Encode(), s.Commit)
	}
	return append(s.Header.Encode(), s.Seal[:]...)
}

// ReadSealedHeader reads a header and its seal or commit.
func ReadSealedHeader(r *wire.Reader) SealedHeader {
	s := SealedHeader{Header: ReadHeader(r)}
	if s.Header.Committed {
		return Commit(s.Header, bytes.Clone(r.Bytes(MaxCommit)))
	}
	r.Copy(s.Seal[:])
	return s
}

// DecodeSealedHeader reads a header and its seal and nothing else.
func DecodeSealedHeader(b []byte) (SealedHeader, error) {
	r := wire.NewReader(b)
	s := ReadSealedHeader(r)
	if err := r.Done(); err != nil {
		return s, fmt.Errorf("decode sealed header: %w", err)
	}
	return s, nil
}

// Block is a sealed header and its transactions in their canonical encodings.
type Block struct {
	SealedHeader
	Txs [][]byte
}

// MaxBlockTxs bounds the transactions of one block.
const MaxBlockTxs = 1 << 14

// Encode is the canonical encoding: sealed header, then the transactions.
func (b Block) Encode() []byte {
	out := b.SealedHeader.Encode()
	out = wire.AppendUint32(out, uint32(len(b.Txs)))
	for _, tx := range b.Txs {
		out = wire.AppendBytes(out, tx)
	}
	return out
}

// DecodeBlock reads one block, whose transactions alias in.
func DecodeBlock(in []byte) (Block, error) {
	r := wire.NewReader(in)
	b := Block{SealedHeader: ReadSealedHeader(r)}
	for range r.Count(MaxBlockTxs, 4) {
		b.Txs = append(b.Txs, r.Bytes(MaxTx))
	}
	if err := r.Done(); err != nil {
		return b, fmt.Errorf("decode block: %w", err)
	}
	return b, nil
}
