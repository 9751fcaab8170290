package cometbft

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"math"

	"tunic/chain"
)

// Limits of CometBFT v0.38, and one of ours.
const (
	// BlockProtocol is the only version of blocks that is read.
	BlockProtocol = 11
	// MaxChainID is the longest chain id, in bytes.
	MaxChainID = 50
	// MaxHeight is the greatest height: CometBFT's heights are signed.
	MaxHeight chain.Height = math.MaxInt64
	// MaxRound is the greatest round.
	MaxRound Round = math.MaxInt32
	// MaxTotalPower is the most that the powers of one set add up to.
	MaxTotalPower Power = math.MaxInt64 / 8
	// MaxValidators is the most validators of a set that is read. CometBFT has
	// room for 10,000; a ledger of Tunic names at most 128.
	MaxValidators = 1024
)

// Power is a validator's weight in votes.
type Power int64

// Round counts the attempts to decide one height, from 0 on.
type Round uint32

// Address is how CometBFT names a validator: the first 20 bytes of the SHA-256
// of its key. It has nothing to do with a ledger account's address. Text form:
// 40 lower-case hex digits.
type Address [20]byte

// AddressOf is the address of the validator with this key.
func AddressOf(key chain.NodeID) Address {
	h := chain.SHA256(key[:])
	return Address(h[:20])
}

func (a Address) String() string { return hex.EncodeToString(a[:]) }

// Compare orders addresses by their bytes.
func (a Address) Compare(b Address) int { return bytes.Compare(a[:], b[:]) }

// Seconds that CometBFT can write: the years 1 to 9999.
const (
	minSeconds = -62135596800
	maxSeconds = 253402300799
)

// Time is a moment as CometBFT writes it, to the nanosecond. The zero Time is
// the beginning of 1970.
type Time struct {
	Seconds int64  // since 1970-01-01 UTC, in the years 1 to 9999
	Nanos   uint32 // below 10^9
}

// TimeAt is the moment t, at most the last one of the year 9999.
func TimeAt(t chain.Time) Time {
	if uint64(t)/1000 > maxSeconds {
		return Time{maxSeconds, 999_999_999}
	}
	return Time{int64(t / 1000), uint32(t%1000) * 1_000_000}
}

// Valid reports whether CometBFT can write t.
func (t Time) Valid() bool {
	return t.Seconds >= minSeconds && t.Seconds <= maxSeconds && t.Nanos < 1_000_000_000
}

// Compare is negative if t is before u and positive if it is after u.
func (t Time) Compare(u Time) int {
	return cmp.Or(cmp.Compare(t.Seconds, u.Seconds), cmp.Compare(t.Nanos, u.Nanos))
}

// Add is the moment d after a valid t, at most the last one of the year 9999.
func (t Time) Add(d chain.Duration) Time {
	if uint64(d/1000) >= uint64(maxSeconds-t.Seconds) {
		return Time{maxSeconds, 999_999_999}
	}
	t.Seconds += int64(d / 1000)
	t.Nanos += uint32(d%1000) * 1_000_000
	if t.Nanos >= 1_000_000_000 {
		t.Seconds, t.Nanos = t.Seconds+1, t.Nanos-1_000_000_000
	}
	return t
}

// Millis is a valid t in whole milliseconds, rounded down; 0 before 1970.
func (t Time) Millis() chain.Time {
	if t.Seconds < 0 {
		return 0
	}
	return chain.Time(t.Seconds)*1000 + chain.Time(t.Nanos/1_000_000)
}

// PartSet commits to the pieces in which a block is sent.
type PartSet struct {
	Total uint32
	Hash  chain.Hash // zero: empty
}

// BlockID names a block: the hash of its header and its pieces. The zero BlockID
// is no block: what a vote for nil is for, and the parent of the first block.
type BlockID struct {
	Hash  chain.Hash // zero: empty
	Parts PartSet
}

// IsNil reports whether id is no block.
func (id BlockID) IsNil() bool { return id == BlockID{} }

// IsComplete reports whether id has all that a block's id has.
func (id BlockID) IsComplete() bool {
	return !id.Hash.IsZero() && id.Parts.Total > 0 && !id.Parts.Hash.IsZero()
}

// compare orders ids as CometBFT orders two votes in evidence: by hash, an empty
// one first, then by the bytes of the part set's protobuf.
func (id BlockID) compare(other BlockID) int {
	if c := compareHashes(id.Hash, other.Hash); c != 0 {
		return c
	}
	return bytes.Compare(id.Parts.appendProto(nil), other.Parts.appendProto(nil))
}

func compareHashes(a, b chain.Hash) int {
	return bytes.Compare(a[:], b[:]) // the empty one is all zeros, and first
}
