package cometbft_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// loose signs so that only CometBFT's rule takes it: either R is the honest one
// and a point of order 8, so that only an equation with the cofactor holds, or R
// is the neutral point in its second form, y = 1 + p. None but the owner
// of the key can.
func loose(t *testing.T, key ed25519.PrivateKey, message []byte, secondForm bool) [64]byte {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	digest := sha512.Sum512(key[:32])
	digest[0] &= 248
	digest[31] &= 127
	digest[31] |= 64
	var a, r, k, s scalar.Scalar
	_, err := a.SetBits(digest[:32])
	must(err)
	nonce := sha512.Sum512(append(digest[32:], message...))
	_, err = r.SetBytesModOrderWide(nonce[:])
	must(err)
	var point, torsion curve.EdwardsPoint
	point.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, &r)
	order8 := curve.CompressedEdwardsY{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05}
	_, err = torsion.SetCompressedY(&order8)
	must(err)
	point.Add(&point, &torsion)
	var compressed curve.CompressedEdwardsY
	compressed.SetEdwardsPoint(&point)
	if secondForm {
		r = scalar.Scalar{}
		compressed = curve.CompressedEdwardsY(bytes.Repeat([]byte{0xff}, 32))
		compressed[0], compressed[31] = 0xee, 0x7f
	}
	hash := sha512.New()
	hash.Write(compressed[:])
	hash.Write(key[32:])
	hash.Write(message)
	_, err = k.SetBytesModOrderWide(hash.Sum(nil))
	must(err)
	s.Mul(&k, &a)
	s.Add(&s, &r)
	var sig [64]byte
	copy(sig[:], compressed[:])
	must(s.ToBytes(sig[32:]))
	return sig
}

// TestLooseSignatures: a vote that only CometBFT's rule takes is taken, alone and
// among others, as CometBFT takes it. Otherwise one validator could make headers
// that are final for the chain and not for those who follow it.
func TestLooseSignatures(t *testing.T) {
	for _, n := range []int{1, 2, 4, 120} { // one, few with and many without precomputed keys
		set := setOf(t, equals(0, n))
		trusted := certify(headerAt(3, set, set), set, nil)
		c := certify(headerAt(7, set, set), set, nil)
		for place, secondForm := range map[int]bool{0: false, n / 2: n > 1} {
			c.Commit = commitTo(&c.Header, set, 0, nil)
			v := c.Commit.Vote(place)
			key := keys[set.At(place).Key]
			message := v.SignBytes(chainID)
			sig := loose(t, key, message, secondForm)
			if ed25519.Verify(ed25519.PublicKey(key[32:]), message, sig[:]) {
				t.Fatal("the signature is a strict one")
			}
			c.Commit.Signatures[place].Signature = sig
			ours, theirs := rooted(t, trusted).Accept(c, nowAt(7)), verifyLight(t, config, trusted, c, nowAt(7))
			if ours != nil || theirs != nil {
				t.Errorf("place %d of %d: %v; CometBFT says: %v", place, n, ours, theirs)
			}
			v.Signature = sig
			if err := v.Verify(chainID, set.At(place).Key); err != nil {
				t.Errorf("the vote: %v", err)
			}
			c.Commit.Signatures[place].Signature[40] ^= 1
			if err := rooted(t, trusted).Accept(c, nowAt(7)); !errors.Is(err, cometbft.ErrSignature) {
				t.Errorf("place %d of %d, changed: %v", place, n, err)
			}
		}
	}
	// And whoever votes twice that way is found out all the same.
	key := validator(0, 1).Key
	a, b := voteFor(key, digest("a")), voteFor(key, digest("b"))
	a.Signature = loose(t, keys[key], a.SignBytes(chainID), true)
	d, err := cometbft.NewDuplicateVote(key, a, b)
	if err != nil || d.Verify(chainID) != nil {
		t.Errorf("%v, %v", err, d.Verify(chainID))
	}
}

// voteFor is a signed precommit for a block, or for nil.
func voteFor(key chain.NodeID, block chain.Hash) cometbft.Vote {
	v := cometbft.Vote{Type: cometbft.Precommit, Height: 12, Round: 2, Time: cometbft.Time{Seconds: began, Nanos: 5}, Validator: cometbft.AddressOf(key)}
	if !block.IsZero() {
		v.BlockID = cometbft.BlockID{Hash: block, Parts: cometbft.PartSet{Total: 1, Hash: digest("parts of %s", block)}}
	}
	v.Signature = [64]byte(ed25519.Sign(keys[key], v.SignBytes(chainID)))
	return v
}
