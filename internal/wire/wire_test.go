package wire_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"tunic/internal/wire"
)

func TestReads(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		read func(*wire.Reader)
		want error
	}{
		{"nothing", nil, func(*wire.Reader) {}, nil},
		{"trailing", []byte{0}, func(*wire.Reader) {}, wire.ErrTrailing},
		{"uint8 of nothing", nil, func(r *wire.Reader) { r.Uint8() }, wire.ErrShort},
		{"uint16 of 1", []byte{1}, func(r *wire.Reader) { r.Uint16() }, wire.ErrShort},
		{"uint32 of 3", make([]byte, 3), func(r *wire.Reader) { r.Uint32() }, wire.ErrShort},
		{"uint64 of 7", make([]byte, 7), func(r *wire.Reader) { r.Uint64() }, wire.ErrShort},
		{"fixed over the end", make([]byte, 7), func(r *wire.Reader) { r.Fixed(8) }, wire.ErrShort},
		{"negative fixed", make([]byte, 7), func(r *wire.Reader) { r.Fixed(-1) }, wire.ErrShort},
		{"fixed of none", nil, func(r *wire.Reader) { r.Fixed(0) }, nil},
		{"bool 0", []byte{0}, func(r *wire.Reader) { r.Bool() }, nil},
		{"bool 1", []byte{1}, func(r *wire.Reader) { r.Bool() }, nil},
		{"bool 2", []byte{2}, func(r *wire.Reader) { r.Bool() }, wire.ErrInvalid},
		{"bool 255", []byte{255}, func(r *wire.Reader) { r.Bool() }, wire.ErrInvalid},
		{"bool of nothing", nil, func(r *wire.Reader) { r.Bool() }, wire.ErrShort},
		{"bytes at the bound", []byte{0, 0, 0, 2, 8, 9}, func(r *wire.Reader) { r.Bytes(2) }, nil},
		{"bytes over the bound", []byte{0, 0, 0, 3, 7, 8, 9}, func(r *wire.Reader) { r.Bytes(2) }, wire.ErrTooLong},
		{"bytes over the end", []byte{0, 0, 0, 3, 8, 9}, func(r *wire.Reader) { r.Bytes(9) }, wire.ErrShort},
		{"length cut", []byte{0, 0, 0}, func(r *wire.Reader) { r.Bytes(9) }, wire.ErrShort},
		{"bound before end", []byte{255, 255, 255, 255}, func(r *wire.Reader) { r.Bytes(math.MaxInt32) }, wire.ErrTooLong},
		{"string over the bound", []byte{0, 0, 0, 3, 7, 8, 9}, func(r *wire.Reader) { _ = r.String(2) }, wire.ErrTooLong},
		{"count at the bound", []byte{0, 0, 0, 2, 8, 9}, func(r *wire.Reader) { r.Fixed(r.Count(2, 1)) }, nil},
		{"count over the bound", []byte{0, 0, 0, 3, 7, 8, 9}, func(r *wire.Reader) { r.Count(2, 1) }, wire.ErrTooLong},
		{"count that the rest cannot hold", []byte{0, 0, 0, 2, 7, 8, 9}, func(r *wire.Reader) { r.Count(2, 2) }, wire.ErrShort},
		{"count that overflows", []byte{255, 255, 255, 255}, func(r *wire.Reader) { r.Count(math.MaxInt, math.MaxInt32) }, wire.ErrShort},
		{"the first failure sticks", []byte{2, 0}, func(r *wire.Reader) { r.Bool(); r.Fixed(100) }, wire.ErrInvalid},
		{"no trailing after a failure", []byte{2, 0}, func(r *wire.Reader) { r.Bool() }, wire.ErrInvalid},
	} {
		r := wire.NewReader(c.in)
		c.read(r)
		if err := r.Done(); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// After a failure every read gives a zero value and leaves its target alone.
func TestFailedReadsGiveZero(t *testing.T) {
	var zero wire.Reader
	if zero.Done() != nil || zero.Len() != 0 {
		t.Error("the zero Reader is not an empty input")
	}
	r := wire.NewReader(bytes.Repeat([]byte{1}, 64))
	r.Fail(wire.ErrInvalid)
	r.Fail(wire.ErrShort)
	dst := []byte{7, 7}
	r.Copy(dst)
	if r.Uint8() != 0 || r.Uint16() != 0 || r.Uint32() != 0 || r.Uint64() != 0 || r.Bool() || r.Bytes(9) != nil ||
		r.String(9) != "" || r.Count(9, 0) != 0 || r.Fixed(1) != nil || r.Len() != 0 || !bytes.Equal(dst, []byte{7, 7}) {
		t.Error("a read after a failure gave a value")
	}
	if r.Err() != wire.ErrInvalid || r.Done() != wire.ErrInvalid {
		t.Errorf("failure %v, want the first", r.Err())
	}
}

// What a read returns cannot grow into the bytes that follow it.
func TestReadsDoNotReachFurther(t *testing.T) {
	in := []byte{0, 0, 0, 1, 5, 6}
	v := wire.NewReader(in).Bytes(4)
	_ = append(v, 99)
	if in[5] != 6 {
		t.Error("appending to a read value overwrote the input")
	}
}

func TestLayout(t *testing.T) {
	b := wire.AppendUint16(nil, 0x0102)
	b = wire.AppendUint32(b, 0x03040506)
	b = wire.AppendUint64(b, 0x0708090a0b0c0d0e)
	b = wire.AppendBool(wire.AppendBool(b, true), false)
	b = wire.AppendBytes(b, []byte{0xaa})
	b = wire.AppendString(b, "bc")
	want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 1, 0, 0, 0, 0, 1, 0xaa, 0, 0, 0, 2, 'b', 'c'}
	if !bytes.Equal(b, want) {
		t.Errorf("%x, want %x", b, want)
	}
}

// FuzzReader reads the input as a program of reads; whatever is accepted is
// written again to the same bytes.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, bytes.Repeat([]byte{0, 0, 0, 1}, 12))
	f.Add([]byte{5, 7}, []byte{0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 2, 9, 9})
	f.Fuzz(func(t *testing.T, ops, in []byte) {
		r := wire.NewReader(in)
		var out []byte
		for _, op := range ops {
			switch limit := int(op >> 3); op & 7 {
			case 0:
				out = append(out, r.Uint8())
			case 1:
				out = wire.AppendUint16(out, r.Uint16())
			case 2:
				out = wire.AppendUint32(out, r.Uint32())
			case 3:
				out = wire.AppendUint64(out, r.Uint64())
			case 4:
				out = wire.AppendBool(out, r.Bool())
			case 5:
				v := r.Bytes(limit)
				if len(v) > limit {
					t.Fatalf("%d bytes over a bound of %d", len(v), limit)
				}
				out = wire.AppendBytes(out, v)
			case 6:
				out = wire.AppendString(out, r.String(limit))
			case 7:
				n := r.Count(limit, 2)
				if n > limit || 2*n > r.Len() {
					t.Fatalf("count %d over a bound of %d or %d bytes left", n, limit, r.Len())
				}
				out = wire.AppendUint32(out, uint32(n))
			}
			if r.Err() != nil {
				break
			}
		}
		if r.Done() == nil && !bytes.Equal(out, in) {
			t.Fatalf("read %x, wrote %x", in, out)
		}
	})
}
