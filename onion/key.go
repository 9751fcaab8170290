package onion

import (
	"fmt"
	"io"

	"github.com/cloudflare/circl/dh/x25519"

	"tunic/chain"
)

// Selector is the cleartext byte by which a node finds the key of a packet: the
// low byte of the key's first epoch.
func Selector(first chain.Epoch) byte { return byte(first) }

// Key is a node's onion key pair: X25519, or X-Wing for the hybrid geometry. It
// prints as its epoch alone.
type Key struct {
	private, public [32]byte // hybrid: the seed, the hash of the public key
	hybrid          *hybridKey
	first           chain.Epoch
}

// NewKey draws a key that is valid from epoch first on.
func NewKey(rand io.Reader, first chain.Epoch) (*Key, error) { return newKey(LoadKey, rand, first) }

func newKey(load func([32]byte, chain.Epoch) *Key, rand io.Reader, first chain.Epoch) (*Key, error) {
	var private [32]byte
	if _, err := io.ReadFull(rand, private[:]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	defer clear(private[:])
	return load(private, first), nil
}

// LoadKey restores a key from what Private returned.
func LoadKey(private [32]byte, first chain.Epoch) *Key {
	k := &Key{private: private, first: first}
	x25519.KeyGen((*x25519.Key)(&k.public), (*x25519.Key)(&k.private))
	return k
}

// Public is the key's public half, as it stands in the directory; of a hybrid
// key, the SHA-256 of it.
func (k *Key) Public() [32]byte { return k.public }

// Private is the key's secret half, for the node's own disk.
func (k *Key) Private() [32]byte { return k.private }

// FirstEpoch is the first epoch in which the key is valid.
func (k *Key) FirstEpoch() chain.Epoch { return k.first }

// Destroy wipes the secret half. No table with the key may be in use.
func (k *Key) Destroy() {
	clear(k.private[:])
	if k.hybrid != nil {
		*k.hybrid = hybridKey{}
	}
}

func (k *Key) String() string { return fmt.Sprintf("onion key of epoch %d", k.first) }

// GoString keeps the secret out of %#v.
func (k *Key) GoString() string { return k.String() }

// Keys is the table of keys that a node holds at one time. It does not change,
// so any number of goroutines may use it; a node whose keys change makes a new
// table.
type Keys struct {
	geometry Geometry
	genesis  chain.Hash
	keys     []*Key
}

// NewKeys returns the table of keys for packets of one network. Two keys whose
// first epochs agree in the low byte are ErrKeys, as is a key of the other kind.
func NewKeys(g Geometry, genesis chain.Hash, keys ...*Key) (*Keys, error) {
	if g.PayloadSize() == 0 {
		return nil, ErrVersion
	}
	t := &Keys{geometry: g, genesis: genesis}
	for _, k := range keys {
		if t.find(Selector(k.first)) != nil {
			return nil, fmt.Errorf("%w: two with the selector of epoch %d", ErrKeys, k.first)
		}
		if (k.hybrid != nil) != (g == Hybrid) {
			return nil, fmt.Errorf("%w: that of epoch %d is not of the %s geometry", ErrKeys, k.first, g)
		}
		t.keys = append(t.keys, k)
	}
	return t, nil
}

func (t *Keys) find(selector byte) *Key {
	for _, k := range t.keys {
		if Selector(k.first) == selector {
			return k
		}
	}
	return nil
}
