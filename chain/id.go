package chain

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

// Hash is a SHA-256 digest (headers, trees, transaction ids) or, for account
// signatures alone, a Keccak-256 digest. Text form: 64 lower-case hex digits.
type Hash [32]byte

// NodeID is a node's Ed25519 identity key. Text form: 64 lower-case hex digits.
type NodeID [32]byte

// Address is a ledger account: the last 20 bytes of the Keccak-256 of its
// secp256k1 key. Text form: 0x and 40 hex digits with the EIP-55 checksum.
type Address [20]byte

// ErrID means that the text of a hash, node id or address is malformed.
var ErrID = errors.New("chain: malformed identifier")

// SHA256 hashes the concatenation of parts.
func SHA256(parts ...[]byte) Hash {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return Hash(h.Sum(nil))
}

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is all zeros, which no digest is.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText gives the text form.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the text form; a 0x prefix and upper case are accepted.
func (h *Hash) UnmarshalText(b []byte) error { return parseHex32("hash", (*[32]byte)(h), b) }

func (n NodeID) String() string { return hex.EncodeToString(n[:]) }

// Short is the first eight digits, for people.
func (n NodeID) Short() string { return n.String()[:8] }

// MarshalText gives the text form.
func (n NodeID) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads the text form; a 0x prefix and upper case are accepted.
func (n *NodeID) UnmarshalText(b []byte) error { return parseHex32("node id", (*[32]byte)(n), b) }

func (a Address) String() string { return common.Address(a).Hex() }

// IsZero reports whether a is the zero address, which nobody can sign for.
func (a Address) IsZero() bool { return a == Address{} }

// MarshalText gives the text form.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads 40 hex digits behind 0x; mixed case must carry the right
// EIP-55 checksum.
func (a *Address) UnmarshalText(b []byte) error {
	s := string(b)
	if len(s) != 42 || !strings.HasPrefix(s, "0x") {
		return fmt.Errorf("%w: address %q is not 0x and 40 hex digits", ErrID, clip(s))
	}
	v, err := hex.DecodeString(s[2:])
	if err != nil {
		return fmt.Errorf("%w: address %q is not hex", ErrID, clip(s))
	}
	out := Address(v)
	digits := s[2:]
	if digits != strings.ToLower(digits) && digits != strings.ToUpper(digits) && out.String() != s {
		return fmt.Errorf("%w: address %q has a wrong checksum; check it for a typing error", ErrID, s)
	}
	*a = out
	return nil
}

// ParseNodeID reads a node id's text form.
func ParseNodeID(s string) (n NodeID, err error) { return n, n.UnmarshalText([]byte(s)) }

// ParseAddress reads an address's text form.
func ParseAddress(s string) (a Address, err error) { return a, a.UnmarshalText([]byte(s)) }

// ParseHash reads a hash's text form.
func ParseHash(s string) (h Hash, err error) { return h, h.UnmarshalText([]byte(s)) }

func parseHex32(what string, dst *[32]byte, b []byte) error {
	s := strings.TrimPrefix(string(b), "0x")
	if len(s) != 64 {
		return fmt.Errorf("%w: %s %q is not 64 hex digits", ErrID, what, clip(s))
	}
	v, err := hex.DecodeString(s)
	if err != nil {
		return fmt.Errorf("%w: %s %q is not hex", ErrID, what, clip(s))
	}
	copy(dst[:], v)
	return nil
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
