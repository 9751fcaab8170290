package chain

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/internal/wire"
)

// Atom is an EIP-712 atomic type that a transaction field can have.
type Atom string

// The atomic types in use. Canonical bytes: integers big-endian at their width,
// address 20 bytes, bytes32 32 bytes, string and bytes behind a 32-bit length.
const (
	AtomUint16  Atom = "uint16"
	AtomUint32  Atom = "uint32"
	AtomUint64  Atom = "uint64"
	AtomAddress Atom = "address"
	AtomBytes32 Atom = "bytes32"
	AtomString  Atom = "string"
	AtomBytes   Atom = "bytes"
)

func (a Atom) integer() bool { return a == AtomUint16 || a == AtomUint32 || a == AtomUint64 }

// MaxFieldBytes bounds a string or bytes field.
const MaxFieldBytes = 1 << 16

// Head is what every account transaction begins with.
type Head struct {
	Nonce      uint64 // the sender's next unused nonce
	Fee        Amount // burned when the transaction enters a block
	ValidUntil Height // last height at which it may enter a block
}

// Field is one row of a TypeDef: a name, an atomic type, and where the value
// stands in T. Build it with Uint16, Uint32, Uint64, Addr, Bytes32, String or Bytes.
type Field[T any] struct {
	Name string
	Atom Atom
	put  func(b []byte, v *T) []byte
	get  func(r *wire.Reader, v *T)
}

// Uint16 is a field of 2 bytes.
func Uint16[T any, V ~uint16](name string, at func(*T) *V) Field[T] {
	return Field[T]{name, AtomUint16,
		func(b []byte, v *T) []byte { return wire.AppendUint16(b, uint16(*at(v))) },
		func(r *wire.Reader, v *T) { *at(v) = V(r.Uint16()) }}
}

// Uint32 is a field of 4 bytes.
func Uint32[T any, V ~uint32](name string, at func(*T) *V) Field[T] {
	return Field[T]{name, AtomUint32,
		func(b []byte, v *T) []byte { return wire.AppendUint32(b, uint32(*at(v))) },
		func(r *wire.Reader, v *T) { *at(v) = V(r.Uint32()) }}
}

// Uint64 is a field of 8 bytes.
func Uint64[T any, V ~uint64](name string, at func(*T) *V) Field[T] {
	return Field[T]{name, AtomUint64,
		func(b []byte, v *T) []byte { return wire.AppendUint64(b, uint64(*at(v))) },
		func(r *wire.Reader, v *T) { *at(v) = V(r.Uint64()) }}
}

// Addr is an address field.
func Addr[T any](name string, at func(*T) *Address) Field[T] {
	return Field[T]{name, AtomAddress,
		func(b []byte, v *T) []byte { return append(b, at(v)[:]...) },
		func(r *wire.Reader, v *T) { r.Copy(at(v)[:]) }}
}

// Bytes32 is a field of 32 bytes.
func Bytes32[T any, V ~[32]byte](name string, at func(*T) *V) Field[T] {
	return Field[T]{name, AtomBytes32,
		func(b []byte, v *T) []byte { a := [32]byte(*at(v)); return append(b, a[:]...) },
		func(r *wire.Reader, v *T) {
			var a [32]byte
			r.Copy(a[:])
			*at(v) = V(a)
		}}
}

// Bytes is a byte string of at most limit bytes.
func Bytes[T any](name string, limit int, at func(*T) *[]byte) Field[T] {
	return Field[T]{name, AtomBytes,
		func(b []byte, v *T) []byte { return wire.AppendBytes(b, *at(v)) },
		func(r *wire.Reader, v *T) { *at(v) = r.Bytes(min(limit, MaxFieldBytes)) }}
}

// String is a string of at most limit bytes of UTF-8.
func String[T any](name string, limit int, at func(*T) *string) Field[T] {
	return Field[T]{name, AtomString,
		func(b []byte, v *T) []byte { return wire.AppendString(b, *at(v)) },
		func(r *wire.Reader, v *T) { *at(v) = readString(r, min(limit, MaxFieldBytes)) }}
}

// readString refuses what is not UTF-8: JSON could not carry it, so no wallet
// could sign it.
func readString(r *wire.Reader, limit int) string {
	s := r.String(limit)
	if !utf8.ValidString(s) {
		r.Fail(wire.ErrInvalid)
		return ""
	}
	return s
}

// TypeDef describes one kind of account transaction: the table from which its
// canonical payload, its EIP-712 digest and its JSON all derive.
type TypeDef[T any] struct {
	kind   Kind
	name   string
	fields []Field[T]
	schema *Schema
}

// Define builds a TypeDef; name is the EIP-712 primary type, such as "Transfer".
// The three fields of Head come first, from head.
func Define[T any](kind Kind, name string, head func(*T) *Head, fields ...Field[T]) *TypeDef[T] {
	all := append([]Field[T]{
		Uint64("nonce", func(v *T) *uint64 { return &head(v).Nonce }),
		Uint64("fee", func(v *T) *Amount { return &head(v).Fee }),
		Uint64("validUntil", func(v *T) *Height { return &head(v).ValidUntil }),
	}, fields...)
	s := &Schema{Kind: kind, Name: name}
	for _, f := range all {
		s.Fields = append(s.Fields, SchemaField{f.Name, f.Atom})
	}
	s.typeHash = [32]byte(crypto.Keccak256([]byte(s.TypeString())))
	return &TypeDef[T]{kind, name, all, s}
}

// Schema is the table without its Go type.
func (d *TypeDef[T]) Schema() *Schema { return d.schema }

// Encode is the canonical payload of v.
func (d *TypeDef[T]) Encode(v T) []byte {
	var b []byte
	for _, f := range d.fields {
		b = f.put(b, &v)
	}
	return b
}

// Decode reads a canonical payload; byte fields alias it.
func (d *TypeDef[T]) Decode(payload []byte) (v T, err error) {
	r := wire.NewReader(payload)
	for _, f := range d.fields {
		f.get(r, &v)
	}
	if err := r.Done(); err != nil {
		return v, fmt.Errorf("decode %s: %w", d.name, err)
	}
	return v, nil
}

// Unsigned is the transaction that carries v, without a signature.
func (d *TypeDef[T]) Unsigned(v T) Tx { return Tx{Kind: d.kind, Payload: d.Encode(v)} }

// Schema is a TypeDef as data: what wallets and the API see.
type Schema struct {
	Kind     Kind
	Name     string
	Fields   []SchemaField
	typeHash [32]byte
}

// SchemaField is one field of a Schema.
type SchemaField struct {
	Name string `json:"name"`
	Type Atom   `json:"type"`
}

// TypeString is EIP-712's encodeType: Name(type field,...).
func (s *Schema) TypeString() string {
	var b strings.Builder
	b.WriteString(s.Name + "(")
	for i, f := range s.Fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(f.Type) + " " + f.Name)
	}
	return b.String() + ")"
}

// hashStruct is EIP-712's hashStruct of a canonical payload.
func (s *Schema) hashStruct(payload []byte) (Hash, error) {
	r := wire.NewReader(payload)
	enc := make([]byte, 32, 32*(1+len(s.Fields)))
	copy(enc, s.typeHash[:])
	var word [32]byte
	for _, f := range s.Fields {
		word = [32]byte{}
		switch f.Type {
		case AtomUint16:
			r.Copy(word[30:])
		case AtomUint32:
			r.Copy(word[28:])
		case AtomUint64:
			r.Copy(word[24:])
		case AtomAddress:
			r.Copy(word[12:])
		case AtomBytes32:
			r.Copy(word[:])
		case AtomString:
			copy(word[:], crypto.Keccak256([]byte(readString(r, MaxFieldBytes))))
		default:
			copy(word[:], crypto.Keccak256(r.Bytes(MaxFieldBytes)))
		}
		enc = append(enc, word[:]...)
	}
	if err := r.Done(); err != nil {
		return Hash{}, fmt.Errorf("hash %s: %w", s.Name, err)
	}
	return Hash(crypto.Keccak256(enc)), nil
}

// MarshalMessage gives a payload as the JSON object of an EIP-712 message:
// integers as decimal strings, bytes as 0x hex.
func (s *Schema) MarshalMessage(payload []byte) (json.RawMessage, error) {
	r := wire.NewReader(payload)
	var b strings.Builder
	b.WriteByte('{')
	for i, f := range s.Fields {
		if i > 0 {
			b.WriteByte(',')
		}
		var v string
		switch f.Type {
		case AtomUint16:
			v = strconv.FormatUint(uint64(r.Uint16()), 10)
		case AtomUint32:
			v = strconv.FormatUint(uint64(r.Uint32()), 10)
		case AtomUint64:
			v = strconv.FormatUint(r.Uint64(), 10)
		case AtomAddress:
			var a Address
			r.Copy(a[:])
			v = a.String()
		case AtomBytes32:
			v = "0x" + hex.EncodeToString(r.Fixed(32))
		case AtomString:
			v = readString(r, MaxFieldBytes)
		default:
			v = "0x" + hex.EncodeToString(r.Bytes(MaxFieldBytes))
		}
		q, _ := json.Marshal(v)
		fmt.Fprintf(&b, "%q:%s", f.Name, q)
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("show %s: %w", s.Name, err)
	}
	return json.RawMessage(b.String() + "}"), nil
}

// UnmarshalMessage reads the JSON object of an EIP-712 message into a payload.
// Every field must be there and nothing else; integers may be JSON numbers or
// decimal strings, all else is a string.
func (s *Schema) UnmarshalMessage(msg json.RawMessage) ([]byte, error) {
	in, err := object(msg)
	if err != nil {
		return nil, fmt.Errorf("%w: message of %s: %v", ErrMessage, s.Name, err)
	}
	var b []byte
	for _, f := range s.Fields {
		raw, ok := in[f.Name]
		if !ok {
			return nil, fmt.Errorf("%w: %s lacks the field %q", ErrMessage, s.Name, f.Name)
		}
		delete(in, f.Name)
		text := string(raw)
		if !f.Type.integer() || raw[0] == '"' {
			if err := json.Unmarshal(raw, &text); err != nil || raw[0] != '"' {
				return nil, fmt.Errorf("%w: field %q is not a string", ErrMessage, f.Name)
			}
		}
		if b, err = f.appendText(b, text); err != nil {
			return nil, fmt.Errorf("%w: field %q: %v", ErrMessage, f.Name, err)
		}
	}
	for name := range in {
		return nil, fmt.Errorf("%w: %s has no field %q", ErrMessage, s.Name, clip(name))
	}
	return b, nil
}

// object reads one JSON object without a key that stands twice.
func object(msg []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(msg) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(msg))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := key.(string) // what a Decoder gives for an object's key
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("key %q stands twice", clip(name))
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		out[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the object")
	}
	return out, nil
}

func (f SchemaField) appendText(b []byte, text string) ([]byte, error) {
	switch f.Type {
	case AtomUint16:
		v, err := parseUint(text, 16)
		return wire.AppendUint16(b, uint16(v)), err
	case AtomUint32:
		v, err := parseUint(text, 32)
		return wire.AppendUint32(b, uint32(v)), err
	case AtomUint64:
		v, err := parseUint(text, 64)
		return wire.AppendUint64(b, v), err
	case AtomAddress:
		a, err := ParseAddress(text)
		return append(b, a[:]...), err
	case AtomString:
		if len(text) > MaxFieldBytes {
			return nil, wire.ErrTooLong
		}
		return wire.AppendString(b, text), nil
	}
	v, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	switch {
	case err != nil:
		return nil, err
	case f.Type == AtomBytes && len(v) > MaxFieldBytes:
		return nil, wire.ErrTooLong
	case f.Type == AtomBytes:
		return wire.AppendBytes(b, v), nil
	case len(v) != 32:
		return nil, fmt.Errorf("want 32 bytes, have %d", len(v))
	}
	return append(b, v...), nil
}

// parseUint reads a decimal without sign or leading zeros.
func parseUint(text string, width int) (uint64, error) {
	v, err := strconv.ParseUint(text, 10, width)
	if err != nil || text != strconv.FormatUint(v, 10) {
		return 0, fmt.Errorf("%q is not a decimal of %d bits", clip(text), width)
	}
	return v, nil
}
