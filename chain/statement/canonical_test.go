package statement_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/testenv"
)

// refusedKeys are the points of small order and every y at or above the prime,
// each under either sign.
func refusedKeys(t *testing.T) []chain.NodeID {
	var ids []chain.NodeID
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", // y = 0, order 4
		"0100000000000000000000000000000000000000000000000000000000000000", // y = 1, order 1
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = -1, order 2
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, chain.NodeID(b))
	}
	for low := byte(0xed); low != 0; low++ { // 2^255-19 to 2^255-1
		id := chain.NodeID{0: low, 31: 0x7f}
		for i := 1; i < 31; i++ {
			id[i] = 0xff
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		id[31] |= 0x80
		ids = append(ids, id)
	}
	return ids
}

// order is the order of a point of small order, 0 for any other.
func order(p *curve.EdwardsPoint) int {
	var q curve.EdwardsPoint
	q.Identity()
	for n := 1; n <= 8; n++ {
		q.Add(&q, p)
		if q.IsIdentity() {
			return n
		}
	}
	return 0
}

func TestRefusedKeys(t *testing.T) {
	var sig [64]byte
	orders := map[int]int{}
	for i, id := range refusedKeys(t) {
		if statement.Canonical(id) {
			t.Errorf("%s counts as canonical", id)
		}
		if err := domain.VerifyRaw(id, statement.LabelVote, nil, sig); err != statement.ErrSignature {
			t.Errorf("%s: %v", id, err)
		}
		var y curve.CompressedEdwardsY
		var p curve.EdwardsPoint
		if _, err := y.SetBytes(id[:]); err != nil {
			t.Fatal(err)
		}
		_, err := p.SetCompressedY(&y)
		if i%24 >= 5 {
			continue // not reduced: refused whatever it decodes to
		}
		// The first five of each sign do encode points of small order.
		if err != nil || order(&p) == 0 {
			t.Errorf("%s is not of small order: %v", id, err)
		}
		orders[order(&p)]++
	}
	// Of the eight points two are their own negatives, here under both signs.
	if orders[1] != 2 || orders[2] != 2 || orders[4] != 2 || orders[8] != 4 {
		t.Errorf("orders %v", orders)
	}
}

// Without the check anyone could sign for these keys: S = 5, R = 5 B verifies
// in crypto/ed25519 under the identity, with either sign.
func TestSmallOrderForgery(t *testing.T) {
	var five scalar.Scalar
	var p curve.EdwardsPoint
	var r curve.CompressedEdwardsY
	r.SetEdwardsPoint(p.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, five.SetUint64(5)))
	var sig [64]byte
	copy(sig[:], r[:])
	sig[32] = 5
	for _, id := range []chain.NodeID{{0: 1}, {0: 1, 31: 0x80}} {
		if !ed25519.Verify(id[:], []byte("anything"), sig[:]) {
			t.Error("crypto/ed25519 refuses the forgery by itself")
		}
		if err := domain.VerifyRaw(id, statement.LabelVote, []byte("body"), sig); err != statement.ErrSignature {
			t.Errorf("%s: forged: %v", id, err)
		}
	}
}

// Every key that is made in the ordinary way is canonical, and Canonical says
// of any 32 bytes what the curve's own arithmetic says.
func TestCanonicalAgainstTheCurve(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed")
		if pub := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey); !statement.Canonical(chain.NodeID(pub)) {
			t.Fatalf("the key of seed %x is refused", seed)
		}
		id := chain.NodeID(seed)
		if rapid.Bool().Draw(t, "high") {
			for i := 1; i < 31; i++ {
				id[i] = 0xff
			}
			id[0] |= 0xe0
		}
		y := curve.CompressedEdwardsY(id)
		var p curve.EdwardsPoint
		if _, err := p.SetCompressedY(&y); err != nil {
			return // not on the curve: verification refuses it
		}
		if want := y.IsCanonicalVartime() && !p.IsSmallOrder(); statement.Canonical(id) != want {
			t.Fatalf("%s: canonical is %v, the curve says %v", id, !want, want)
		}
	})
	if !statement.Canonical(chain.NodeID{0: 0xec, 1: 0xff, 31: 0x7f}) {
		t.Error("a y below the prime is refused")
	}
}

// S + L is the same number modulo the order: only the smaller is accepted.
func TestSignatureScalarBelowOrder(t *testing.T) {
	st := statement.Sign(domain, testKey(1), statement.LabelVote, 0, []byte("body"))
	if err := st.Verify(domain); err != nil {
		t.Fatal(err)
	}
	l, err := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	if err != nil {
		t.Fatal(err)
	}
	carry := 0
	for i := range l {
		sum := int(st.Sig[32+i]) + int(l[i]) + carry
		st.Sig[32+i], carry = byte(sum), sum>>8
	}
	if carry != 0 {
		t.Fatal("S + L does not fit")
	}
	if err := st.Verify(domain); err != statement.ErrSignature {
		t.Errorf("S + L: %v", err)
	}
}

// A mixed-order key, a proper point plus one of order 8, verifies only what its
// holder signed for it: the equation has no cofactor.
func TestMixedOrderKey(t *testing.T) {
	key := testKey(3)
	b, _ := hex.DecodeString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
	small, pub := curve.CompressedEdwardsY(b), curve.CompressedEdwardsY(key.Public().(ed25519.PublicKey))
	var p, q curve.EdwardsPoint
	if _, err := p.SetCompressedY(&small); err != nil {
		t.Fatal(err)
	}
	if _, err := q.SetCompressedY(&pub); err != nil {
		t.Fatal(err)
	}
	var mixed curve.CompressedEdwardsY
	mixed.SetEdwardsPoint(p.Add(&p, &q))
	st := statement.Sign(domain, key, statement.LabelVote, 0, []byte("body"))
	st.Node = chain.NodeID(mixed)
	if !statement.Canonical(st.Node) {
		t.Error("a mixed-order key is refused by its form")
	}
	if err := st.Verify(domain); err != statement.ErrSignature {
		t.Errorf("another key's signature: %v", err)
	}
}
