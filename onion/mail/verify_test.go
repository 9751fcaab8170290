package mail

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"tunic/chain"
	"tunic/chain/statement"
)

// judged holds verify against the standard library and says what they say.
func judged(t *testing.T, key [32]byte, body []byte, sig [64]byte) bool {
	t.Helper()
	genesis := chain.Hash{1}
	err := verify(labelStore, genesis, key, body, sig)
	if err != nil && !errors.Is(err, ErrSignature) {
		t.Fatal(err)
	}
	want := statement.Canonical(chain.NodeID(key)) && ed25519.Verify(key[:], signed(labelStore, genesis, body), sig[:])
	if got := err == nil; got != want {
		t.Fatalf("key %x, body %x, signature %x: %t, the standard library says %t", key, body, sig, got, want)
	}
	return want
}

func encoded(p *curve.EdwardsPoint) (b [32]byte) {
	var c curve.CompressedEdwardsY
	copy(b[:], c.SetEdwardsPoint(p)[:])
	return b
}

func wide(t *testing.T, h []byte) *scalar.Scalar {
	t.Helper()
	s, err := scalar.New().SetBytesModOrderWide(h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestVerifyIsTheStandard: signatures whose key or R has a part of small order
// are those on which implementations differ, most of all such as hold with the
// cofactor alone.
func TestVerifyIsTheStandard(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte{3})
	draw := func(n int) []byte { b := make([]byte, n); rnd.Read(b); return b }
	body := []byte("body")
	accepted, cofactored := 0, 0
	for round := range 40 {
		a, r := wide(t, draw(64)), wide(t, draw(64))
		for ta, keyTorsion := range curve.EIGHT_TORSION {
			for tr, rTorsion := range curve.EIGHT_TORSION {
				if round >= 3 && ta != round%8 {
					continue // for more messages, of each key's torsion one in eight
				}
				A, R := curve.NewEdwardsPoint().MulBasepoint(curve.ED25519_BASEPOINT_TABLE, a), curve.NewEdwardsPoint().MulBasepoint(curve.ED25519_BASEPOINT_TABLE, r)
				A.Add(A, keyTorsion)
				R.Add(R, rTorsion)
				key, enc := encoded(A), encoded(R)
				h := sha512.New()
				h.Write(enc[:])
				h.Write(key[:])
				h.Write(signed(labelStore, chain.Hash{1}, body))
				k := wide(t, h.Sum(nil))
				s := scalar.New().Add(r, scalar.New().Mul(k, a))
				var sig [64]byte
				copy(sig[:], enc[:])
				if err := s.ToBytes(sig[32:]); err != nil {
					t.Fatal(err)
				}
				switch ok := judged(t, key, body, sig); {
				case ok:
					accepted++
				case !ok:
					cofactored++
				}
				if ta == 0 && tr == 0 {
					hostile(t, key, body, sig)
				}
			}
		}
	}
	if accepted < 40 || cofactored < 200 {
		t.Errorf("%d accepted, %d that hold with the cofactor alone", accepted, cofactored)
	}
}

// hostile bends a good signature.
func hostile(t *testing.T, key [32]byte, body []byte, sig [64]byte) {
	t.Helper()
	if !judged(t, key, body, sig) {
		t.Fatal("a good signature is refused")
	}
	for bit := range 8 * len(sig) {
		bent := sig
		bent[bit/8] ^= 1 << (bit % 8)
		if judged(t, key, body, bent) {
			t.Fatalf("accepted with bit %d of it flipped", bit)
		}
	}
	order := [4]uint64{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}
	more, carry := sig, uint64(0)
	for i, limb := range order {
		was := binary.LittleEndian.Uint64(sig[32+8*i:])
		sum := was + limb + carry
		if sum < was || sum == was && limb+carry != 0 {
			carry = 1
		} else {
			carry = 0
		}
		binary.LittleEndian.PutUint64(more[32+8*i:], sum)
	}
	if judged(t, key, body, more) {
		t.Fatal("accepted with s + order")
	}
	for _, y := range [][32]byte{{}, {0: 1}, {31: 0x80}, {0: 1, 31: 0x80}, [32]byte(append([]byte{0xed}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...)),
		[32]byte(append([]byte{0xee}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...)), [32]byte(bytes.Repeat([]byte{0xff}, 32))} {
		small := sig
		copy(small[:], y[:])
		judged(t, key, body, small)
		judged(t, y, body, sig)
		judged(t, y, body, [64]byte(append(y[:], make([]byte, 32)...)))
	}
}

func FuzzVerify(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	pub := key.Public().(ed25519.PublicKey)
	sig := ed25519.Sign(key, signed(labelStore, chain.Hash{1}, []byte("body")))
	f.Add([]byte(pub), []byte("body"), sig)
	f.Add(make([]byte, 32), []byte("body"), make([]byte, 64))
	f.Fuzz(func(t *testing.T, pub, body, sig []byte) {
		if len(pub) == 32 && len(sig) == 64 {
			judged(t, [32]byte(pub), body, [64]byte(sig))
		}
	})
}
