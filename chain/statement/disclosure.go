package statement

import (
	"crypto/ed25519"
	"fmt"

	"tunic/chain"
	"tunic/internal/wire"
	"tunic/internal/xeddsa"
)

// KeyKind says which of a node's keys is meant.
type KeyKind uint8

// The keys that can be disclosed.
const (
	KeyIdentity KeyKind = 1
	KeyOnion    KeyKind = 2
)

var keyKinds = map[KeyKind]string{KeyIdentity: "identity", KeyOnion: "onion"}

// Known reports whether k is one of the kinds.
func (k KeyKind) Known() bool { return keyKinds[k] != "" }

func (k KeyKind) String() string {
	if s, ok := keyKinds[k]; ok {
		return s
	}
	return fmt.Sprintf("key kind %d", uint8(k))
}

// Disclosure is what whoever knows a node's key signs with that key, to show that
// it does. No node ever signs one, so that there is no other way to a signature.
type Disclosure struct {
	Node     chain.NodeID
	Key      KeyKind
	First    chain.Epoch   // of the onion key; 0 for the identity key
	Epoch    chain.Epoch   // of the beacon
	Reporter chain.Address // whom the signature serves
	Beacon   chain.Hash    // so that nobody has signed before that epoch began
}

func (x Disclosure) body() []byte {
	b := append(make([]byte, 0, 101), x.Node[:]...)
	b = append(b, byte(x.Key))
	b = wire.AppendUint64(b, uint64(x.First))
	b = wire.AppendUint64(b, uint64(x.Epoch))
	b = append(b, x.Reporter[:]...)
	return append(b, x.Beacon[:]...)
}

// DiscloseIdentity signs with the identity key.
func (d Domain) DiscloseIdentity(key ed25519.PrivateKey, x Disclosure) [64]byte {
	return d.SignRaw(key, LabelDisclosure, x.body())
}

// DiscloseOnion signs with the onion key of this public half, by XEdDSA; random
// must be fresh. xeddsa.ErrKey where the two are not of one key.
func (d Domain) DiscloseOnion(private, public [32]byte, x Disclosure, random [64]byte) ([64]byte, error) {
	defer clear(private[:])
	return xeddsa.Sign(private, public, d.message(LabelDisclosure, x.body()), random)
}

// VerifyDisclosure checks a signature made by DiscloseIdentity or DiscloseOnion;
// onion is the public onion key, where x is of one.
func (d Domain) VerifyDisclosure(x Disclosure, onion [32]byte, sig [64]byte) error {
	switch x.Key {
	case KeyIdentity:
		return d.VerifyRaw(x.Node, LabelDisclosure, x.body(), sig)
	case KeyOnion:
		if xeddsa.Verify(onion, d.message(LabelDisclosure, x.body()), sig) {
			return nil
		}
	}
	return ErrSignature
}
