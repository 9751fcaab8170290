package mail

import (
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"tunic/chain"
	"tunic/chain/statement"
)

// asStandard asks what crypto/ed25519 asks: the equation without the cofactor, R
// compared as bytes. All members have to judge alike, so that verification of
// whole groups is out of the question: it would let signatures pass that differ by
// a point of small order, now and then.
var asStandard = &ed25519.Options{Verify: ed25519.VerifyOptionsStdLib}

// verify checks a signature by a mailbox's or an account's key. A member does so
// for everything that it is asked, and this implementation takes seven tenths of
// the time of crypto/ed25519 (decision 0035); TestVerifyIsTheStandard and
// FuzzVerify hold the two against each other.
func verify(label string, genesis chain.Hash, key [32]byte, body []byte, sig [64]byte) error {
	if !statement.Canonical(chain.NodeID(key)) || !ed25519.VerifyWithOptions(key[:], signed(label, genesis, body), sig[:], asStandard) {
		return ErrSignature
	}
	return nil
}
