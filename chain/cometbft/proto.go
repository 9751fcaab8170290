package cometbft

import (
	"encoding/binary"

	"tunic/chain"
)

// The least of protobuf that CometBFT's hashes and signatures need. A field of
// its zero value is left out, as proto3 does, unless a comment says that the
// field is always there. Fields stand in ascending order.

// Wire types of protobuf.
const (
	protoVarint  = 0
	protoFixed64 = 1
	protoBytes   = 2
)

func appendTag(b []byte, field, kind byte) []byte { return append(b, field<<3|kind) }

// appendVarintField appends an integer; a negative one as 64 bits.
func appendVarintField(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.AppendUvarint(appendTag(b, field, protoVarint), v)
}

func appendFixedField(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.LittleEndian.AppendUint64(appendTag(b, field, protoFixed64), v)
}

func appendBytesField(b []byte, field byte, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return appendMessage(b, field, v)
}

// appendMessage appends a field that is always there.
func appendMessage(b []byte, field byte, v []byte) []byte {
	b = binary.AppendUvarint(appendTag(b, field, protoBytes), uint64(len(v)))
	return append(b, v...)
}

func appendHashField(b []byte, field byte, h chain.Hash) []byte {
	if h.IsZero() {
		return b
	}
	return appendMessage(b, field, h[:])
}

func (v Version) appendProto(b []byte) []byte {
	return appendVarintField(appendVarintField(b, 1, v.Block), 2, v.App)
}

func (t Time) appendProto(b []byte) []byte {
	return appendVarintField(appendVarintField(b, 1, uint64(t.Seconds)), 2, uint64(t.Nanos))
}

func (p PartSet) appendProto(b []byte) []byte {
	return appendHashField(appendVarintField(b, 1, uint64(p.Total)), 2, p.Hash)
}

// appendProto gives BlockID and CanonicalBlockID, which are written alike; the
// part set is always there.
func (id BlockID) appendProto(b []byte) []byte {
	var parts [48]byte
	return appendMessage(appendHashField(b, 1, id.Hash), 2, id.Parts.appendProto(parts[:0]))
}

// appendProto gives SimpleValidator, a validator as the hash of a set has it.
func (v Validator) appendProto(b []byte) []byte {
	var key [40]byte
	b = appendMessage(b, 1, appendMessage(key[:0], 1, v.Key[:])) // PublicKey, its ed25519
	return appendVarintField(b, 2, uint64(v.Power))
}

// appendSignBytes gives what a validator signs: CanonicalVote behind its length.
// The timestamp is always there, the block id where the vote is for a block.
func appendSignBytes(b []byte, chainID string, kind VoteType, height chain.Height, round Round, id BlockID, t Time) []byte {
	var vote [256]byte // a vote with the longest chain id has 179 bytes
	var part [96]byte
	v := appendVarintField(vote[:0], 1, uint64(kind))
	v = appendFixedField(v, 2, uint64(height))
	v = appendFixedField(v, 3, uint64(round))
	if !id.IsNil() {
		v = appendMessage(v, 4, id.appendProto(part[:0]))
	}
	v = appendMessage(v, 5, t.appendProto(part[:0]))
	v = appendBytesField(v, 6, []byte(chainID))
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}
