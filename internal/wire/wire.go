// Package wire is the one canonical binary encoding: fixed-width big-endian
// integers, fixed-size arrays as they are, and byte strings and lists behind a
// 32-bit count. One value has one encoding; every length is bounded by the
// reader before anything is allocated.
//
// Most callers append with the Append functions and read with a Reader, whose
// first error sticks and is returned by Done together with the refusal of
// trailing bytes. See docs/spec/encoding.md.
package wire

import (
	"encoding/binary"
	"errors"
)

var (
	// ErrShort means that the input ended inside a value.
	ErrShort = errors.New("wire: input too short")
	// ErrTrailing means that bytes were left after the last value.
	ErrTrailing = errors.New("wire: trailing bytes")
	// ErrTooLong means that a length or count exceeds the reader's bound.
	ErrTooLong = errors.New("wire: length over bound")
	// ErrInvalid means that a value is readable but not canonical.
	ErrInvalid = errors.New("wire: value not canonical")
)

// AppendUint16 appends v as 2 bytes, big-endian.
func AppendUint16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }

// AppendUint32 appends v as 4 bytes, big-endian.
func AppendUint32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// AppendUint64 appends v as 8 bytes, big-endian.
func AppendUint64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// AppendBool appends one byte, 0 or 1.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendBytes appends a 4-byte length and then v.
func AppendBytes(b, v []byte) []byte {
	return append(AppendUint32(b, uint32(len(v))), v...)
}

// AppendString appends a 4-byte length and then the bytes of s.
func AppendString(b []byte, s string) []byte {
	return append(AppendUint32(b, uint32(len(s))), s...)
}

// Reader reads values from the front of a byte slice. After the first failure
// every read returns a zero value and Done returns that failure. What it
// returns aliases the input. The zero Reader is an empty input.
type Reader struct {
	b   []byte
	err error
}

// NewReader returns a Reader over b, which it does not copy.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first failure, nil if none.
func (r *Reader) Err() error { return r.err }

// Fail records err as the failure, unless there is one already.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
		r.b = nil
	}
}

// Len is the number of bytes not read yet.
func (r *Reader) Len() int { return len(r.b) }

// Done returns the first failure, or ErrTrailing if input is left.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = ErrTrailing
	}
	return r.err
}

// Fixed reads exactly n bytes; nil after a failure.
func (r *Reader) Fixed(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || len(r.b) < n {
		r.Fail(ErrShort)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// Copy fills dst from the input; dst is untouched after a failure.
func (r *Reader) Copy(dst []byte) { copy(dst, r.Fixed(len(dst))) }

// Uint8 reads one byte.
func (r *Reader) Uint8() uint8 {
	if b := r.Fixed(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint16 reads 2 bytes, big-endian.
func (r *Reader) Uint16() uint16 {
	if b := r.Fixed(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// Uint32 reads 4 bytes, big-endian.
func (r *Reader) Uint32() uint32 {
	if b := r.Fixed(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads 8 bytes, big-endian.
func (r *Reader) Uint64() uint64 {
	if b := r.Fixed(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Bool reads one byte that must be 0 or 1.
func (r *Reader) Bool() bool {
	switch r.Uint8() {
	case 0:
		return false
	case 1:
		return true
	}
	r.Fail(ErrInvalid)
	return false
}

// Bytes reads a byte string of at most limit bytes.
func (r *Reader) Bytes(limit int) []byte {
	n := r.Uint32()
	if r.err != nil {
		return nil
	}
	if uint64(n) > uint64(limit) {
		r.Fail(ErrTooLong)
		return nil
	}
	return r.Fixed(int(n))
}

// String reads a byte string of at most limit bytes as a string.
func (r *Reader) String(limit int) string { return string(r.Bytes(limit)) }

// Count reads the 4-byte count of a list of at most limit items, each at least
// itemSize bytes; a count that the rest of the input cannot hold is ErrShort,
// so that the caller may allocate by it.
func (r *Reader) Count(limit, itemSize int) int {
	n := r.Uint32()
	if r.err != nil {
		return 0
	}
	if uint64(n) > uint64(limit) {
		r.Fail(ErrTooLong)
		return 0
	}
	if itemSize > 0 && uint64(n)*uint64(itemSize) > uint64(len(r.b)) {
		r.Fail(ErrShort)
		return 0
	}
	return int(n)
}
