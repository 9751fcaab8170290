package relay

import (
	"crypto/ed25519"
	"fmt"
	"io"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/durable"
	"tunic/internal/wire"
	"tunic/onion"
)

// KnownKey is a private key of a relay in the hands of whoever reports that it
// can be had (docs/spec/slashing.md, Key-disclosure). It prints as what it is of.
// Wipe it after use.
type KnownKey struct {
	Kind        statement.KeyKind
	Node        chain.NodeID // whose identity key it is; zero for an onion key
	First, Last chain.Epoch  // of an onion key
	Public      [32]byte     // of an onion key, as it stands in the directory

	private []byte // 32 bytes: the onion key, or the identity key's seed
}

// ReadIdentityKey reads a relay's key file.
func ReadIdentityKey(file string) (*KnownKey, error) {
	b, err := durable.ReadFile(file, 4096)
	if err != nil {
		return nil, fmt.Errorf("read node key: %w", err)
	}
	defer clear(b)
	k, err := DecodeKeys(b)
	if err != nil {
		return nil, err
	}
	defer clear(k.Identity)
	defer clear(k.VRF[:])
	return &KnownKey{Kind: statement.KeyIdentity, Node: k.ID(), private: k.Identity.Seed()}, nil
}

// ReadOnionKeys reads the onion keys that a relay of this network keeps in its
// folder, ascending by first epoch.
func ReadOnionKeys(file string, genesis chain.Hash) ([]*KnownKey, error) {
	b, err := durable.ReadFile(file, 1<<16)
	if err != nil {
		return nil, fmt.Errorf("read onion keys: %w", err)
	}
	defer clear(b)
	r := wire.NewReader(b)
	version := r.Uint8()
	var of chain.Hash
	r.Copy(of[:])
	var out []*KnownKey
	for range r.Count(maxOnionKeys, 48) {
		k := &KnownKey{Kind: statement.KeyOnion, First: chain.Epoch(r.Uint64()), Last: chain.Epoch(r.Uint64()), private: make([]byte, 32)}
		r.Copy(k.private)
		key := onion.LoadKey([32]byte(k.private), k.First)
		k.Public = key.Public()
		key.Destroy()
		out = append(out, k)
	}
	if err := r.Done(); err != nil || version != 1 || of != genesis {
		for _, k := range out {
			k.Wipe()
		}
		return nil, fmt.Errorf("%w: %s: version %d, genesis %s: %v", ErrKeyFile, file, version, of, err)
	}
	return out, nil
}

// Disclose signs with the key; rand is for an onion key's signature.
func (k *KnownKey) Disclose(d statement.Domain, x statement.Disclosure, rand io.Reader) ([64]byte, error) {
	if k.Kind == statement.KeyIdentity {
		key := ed25519.NewKeyFromSeed(k.private)
		defer clear(key)
		return d.DiscloseIdentity(key, x), nil
	}
	var random [64]byte
	if _, err := io.ReadFull(rand, random[:]); err != nil {
		return [64]byte{}, fmt.Errorf("read randomness: %w", err)
	}
	return d.DiscloseOnion([32]byte(k.private), k.Public, x, random)
}

// Wipe overwrites the private half.
func (k *KnownKey) Wipe() { clear(k.private) }

func (k *KnownKey) String() string {
	if k.Kind == statement.KeyOnion {
		return fmt.Sprintf("onion key of epoch %d", k.First)
	}
	return "identity key of " + k.Node.String()
}

// GoString keeps the secret out of %#v.
func (k *KnownKey) GoString() string { return k.String() }

// Format keeps it out of %x and every other verb.
func (k *KnownKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }
