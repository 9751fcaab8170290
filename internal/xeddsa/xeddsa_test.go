package xeddsa_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"tunic/internal/testenv"
	"tunic/internal/xeddsa"
)

// The curve once more, with big integers and the affine law of RFC 8032, section
// 5.1.4: slow, and independent of what the package uses.
var (
	prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	order = func() *big.Int {
		c, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
		return c.Add(c, new(big.Int).Lsh(big.NewInt(1), 252))
	}()
	d    = mul(big.NewInt(-121665), inv(big.NewInt(121666)))
	base = decode(mul(big.NewInt(4), inv(big.NewInt(5))), 0)
)

type pt struct{ x, y *big.Int }

func mod(x *big.Int) *big.Int    { return new(big.Int).Mod(x, prime) }
func mul(a, b *big.Int) *big.Int { return mod(new(big.Int).Mul(a, b)) }
func add(a, b *big.Int) *big.Int { return mod(new(big.Int).Add(a, b)) }
func sub(a, b *big.Int) *big.Int { return mod(new(big.Int).Sub(a, b)) }
func inv(a *big.Int) *big.Int    { return new(big.Int).ModInverse(mod(a), prime) }

// decode is the point with this y and sign; nil where there is none.
func decode(y *big.Int, sign uint) *pt {
	yy := mul(y, y)
	x := new(big.Int).ModSqrt(mul(sub(yy, big.NewInt(1)), inv(add(mul(d, yy), big.NewInt(1)))), prime)
	if x == nil {
		return nil
	}
	if x.Bit(0) != sign {
		x = mod(new(big.Int).Neg(x))
	}
	return &pt{x, y}
}

func (p *pt) plus(q *pt) *pt {
	k := mul(d, mul(mul(p.x, q.x), mul(p.y, q.y)))
	one := big.NewInt(1)
	return &pt{mul(add(mul(p.x, q.y), mul(p.y, q.x)), inv(add(one, k))), mul(add(mul(p.y, q.y), mul(p.x, q.x)), inv(sub(one, k)))}
}

func (p *pt) times(n *big.Int) *pt {
	out := &pt{big.NewInt(0), big.NewInt(1)}
	for i := n.BitLen() - 1; i >= 0; i-- {
		if out = out.plus(out); n.Bit(i) == 1 {
			out = out.plus(p)
		}
	}
	return out
}

func (p *pt) encode() [32]byte {
	b := little(p.y)
	b[31] |= byte(p.x.Bit(0)) << 7
	return b
}

func little(x *big.Int) (b [32]byte) {
	x.FillBytes(b[:])
	slices.Reverse(b[:])
	return b
}

func number(b []byte) *big.Int {
	c := slices.Clone(b)
	slices.Reverse(c)
	return new(big.Int).SetBytes(c)
}

// edwards is section 2.3: y = (u - 1) / (u + 1), and a sign of 0.
func edwards(u [32]byte) *pt {
	x := number(u[:])
	return decode(mul(sub(x, big.NewInt(1)), inv(add(x, big.NewInt(1)))), 0)
}

// montgomery is u = (1 + y) / (1 - y).
func (p *pt) montgomery() [32]byte {
	one := big.NewInt(1)
	return little(mul(add(one, p.y), inv(sub(one, p.y))))
}

// verify is the equation of section 3, without the cofactor: R = s B - h A.
func verify(u [32]byte, message []byte, sig [64]byte) bool {
	a := edwards(u)
	enc := a.encode()
	h := sha512.Sum512(append(append(slices.Clone(sig[:32]), enc[:]...), message...))
	r := base.times(number(sig[32:])).plus(a.times(new(big.Int).Mod(new(big.Int).Neg(number(h[:])), order)))
	return r.encode() == [32]byte(sig[:32])
}

func key(t testing.TB, i int) (private, public [32]byte) {
	t.Helper()
	private = sha256.Sum256(fmt.Appendf(nil, "xeddsa key %d", i))
	k, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		t.Fatal(err)
	}
	return private, [32]byte(k.PublicKey().Bytes())
}

type vector struct {
	Private   string `json:"private"`
	Public    string `json:"public"`
	Random    string `json:"random"`
	Message   string `json:"message"`
	Signature string `json:"signature"`
}

// The golden signatures are still made byte for byte; the equation of the
// specification holds by big integers, and Ed25519 of the standard library takes
// each under the Edwards form of the key.
func TestVectors(t *testing.T) {
	var out struct {
		Command string   `json:"command"`
		Source  string   `json:"source"`
		Vectors []vector `json:"vectors"`
	}
	out.Command = "go test ./internal/xeddsa -run TestVectors -rewrite"
	out.Source = "The XEdDSA and VXEdDSA Signature Schemes, revision 1, sections 2.3, 2.5 and 3"
	signs := map[uint]int{}
	for i := range 12 {
		private, public := key(t, i)
		message := bytes.Repeat([]byte{byte(i)}, i*i)
		random := sha512.Sum512(fmt.Appendf(nil, "xeddsa random %d", i))
		sig, err := xeddsa.Sign(private, public, message, random)
		if err != nil {
			t.Fatal(err)
		}
		if !xeddsa.Verify(public, message, sig) || !verify(public, message, sig) {
			t.Errorf("vector %d does not verify", i)
		}
		a := edwards(public).encode()
		if !ed25519.Verify(a[:], message, sig[:]) {
			t.Errorf("vector %d is no Ed25519 signature under %x", i, a)
		}
		k := private
		k[0], k[31] = k[0]&248, k[31]&127|64
		signs[base.times(number(k[:])).x.Bit(0)]++
		out.Vectors = append(out.Vectors, vector{hex.EncodeToString(private[:]), hex.EncodeToString(public[:]), hex.EncodeToString(random[:]),
			hex.EncodeToString(message), hex.EncodeToString(sig[:])})
	}
	if len(signs) != 2 {
		t.Errorf("all keys have one sign: %v", signs)
	}
	want, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if got := testenv.Golden(t, "testdata/xeddsa.json", append(want, '\n')); !bytes.Equal(got, append(want, '\n')) {
		t.Error("the vectors are not what is made today")
	}
}

// Whatever bit of key, message or signature is changed, it does not verify.
func TestEveryBit(t *testing.T) {
	private, public := key(t, 1)
	message := []byte("what is signed")
	sig, err := xeddsa.Sign(private, public, message, [64]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 512 {
		bad := sig
		if bad[i/8] ^= 1 << (i % 8); xeddsa.Verify(public, message, bad) {
			t.Errorf("bit %d of the signature", i)
		}
	}
	for i := range 255 { // the last is ignored, as X25519 does
		bad := public
		if bad[i/8] ^= 1 << (i % 8); xeddsa.Verify(bad, message, sig) {
			t.Errorf("bit %d of the key", i)
		}
	}
	for i := range len(message) * 8 {
		bad := slices.Clone(message)
		if bad[i/8] ^= 1 << (i % 8); xeddsa.Verify(public, bad, sig) {
			t.Errorf("bit %d of the message", i)
		}
	}
}

// Strict: s below the order, canonical points, none of low order.
func TestStrict(t *testing.T) {
	private, public := key(t, 2)
	message := []byte("m")
	sig, err := xeddsa.Sign(private, public, message, [64]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	high := sig
	s := little(new(big.Int).Add(number(sig[32:]), order))
	copy(high[32:], s[:])
	if xeddsa.Verify(public, message, high) {
		t.Error("s plus the order")
	}
	// s = 0, R of low order: holds for every message if the key is of low order too.
	for _, u := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, err := hex.DecodeString(u)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []byte{0, 1} {
			if xeddsa.Verify([32]byte(b), message, [64]byte{0: r}) {
				t.Errorf("low order %s", u)
			}
		}
		if _, err := xeddsa.Sign(private, [32]byte(b), message, [64]byte{}); err != xeddsa.ErrKey {
			t.Errorf("signed for %s: %v", u, err)
		}
	}
	if _, other := key(t, 3); xeddsa.Verify(other, message, sig) {
		t.Error("another key")
	}
	if other, _ := key(t, 3); func() bool { _, err := xeddsa.Sign(other, public, message, [64]byte{}); return err == nil }() {
		t.Error("another private key signs")
	}
}

// A public key is what X25519 reads: bytes that agree on the same secrets have the
// same signatures.
func TestKeyAsX25519ReadsIt(t *testing.T) {
	private, public := key(t, 2)
	sig, err := xeddsa.Sign(private, public, []byte("m"), [64]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	topBit := public
	topBit[31] |= 0x80
	if again, err := xeddsa.Sign(private, topBit, []byte("m"), [64]byte{1}); err != nil || again != sig || !xeddsa.Verify(topBit, []byte("m"), sig) {
		t.Errorf("a key with its top bit set: %v", err)
	}
	// u = 9, the base, is the key of 1 and of nothing that X25519 takes; in three forms.
	nine := [32]byte{9}
	above := little(new(big.Int).Add(prime, big.NewInt(9)))
	both := above
	both[31] |= 0x80
	if edwards(nine).y.Cmp(base.y) != 0 {
		t.Fatal("9 is not the base point")
	}
	r := big.NewInt(77)
	enc := base.encode()
	if enc[31]>>7 != 0 {
		t.Fatal("the base point has a sign")
	}
	bigR := base.times(r).encode()
	h := sha512.Sum512(append(append(slices.Clone(bigR[:]), enc[:]...), 'm'))
	s := little(new(big.Int).Mod(new(big.Int).Add(r, number(h[:])), order))
	copy(sig[:32], bigR[:])
	copy(sig[32:], s[:])
	for i, u := range [][32]byte{nine, above, both} {
		if !xeddsa.Verify(u, []byte("m"), sig) {
			t.Errorf("form %d of the base point", i)
		}
	}
}

// A public key with a point of low order added agrees on the same secrets, so
// that a relay could serve with it. Its private key signs for it all the same.
func TestLowOrderAdded(t *testing.T) {
	private, public := key(t, 4)
	k := private
	k[0], k[31] = k[0]&248, k[31]&127|64
	own := base.times(number(k[:]))
	if own.montgomery() != public {
		t.Fatal("the test's curve is not the package's")
	}
	// A point of order 8, by clearing the large factor of any other.
	var low *pt
	for y := int64(2); low == nil; y++ {
		p := decode(big.NewInt(y), 0)
		if p == nil {
			continue
		}
		if q := p.times(order); q.times(big.NewInt(4)).y.Cmp(big.NewInt(1)) != 0 {
			low = q
		}
	}
	mine, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		t.Fatal(err)
	}
	peerPrivate, peerPublic := key(t, 5)
	peer, err := ecdh.X25519().NewPrivateKey(peerPrivate[:])
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ecdh.X25519().NewPublicKey(peerPublic[:])
	if err != nil {
		t.Fatal(err)
	}
	secret, err := mine.ECDH(theirs)
	if err != nil {
		t.Fatal(err)
	}
	for i := int64(1); i < 8; i++ {
		u := own.plus(low.times(big.NewInt(i))).montgomery()
		pub, err := ecdh.X25519().NewPublicKey(u[:])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := peer.ECDH(pub); err != nil || !bytes.Equal(got, secret) {
			t.Fatalf("%d: another secret: %v", i, err)
		}
		for n := range byte(8) { // the plain equation would hold for one in eight
			sig, err := xeddsa.Sign(private, u, []byte{n}, [64]byte{n})
			if err != nil || !xeddsa.Verify(u, []byte{n}, sig) || xeddsa.Verify(public, []byte{n}, sig) {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	private, public := key(f, 6)
	sig, err := xeddsa.Sign(private, public, []byte("m"), [64]byte{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(public[:], []byte("m"), sig[:])
	f.Fuzz(func(t *testing.T, u, message, sig []byte) {
		if len(u) != 32 || len(sig) != 64 {
			return
		}
		if xeddsa.Verify([32]byte(u), message, [64]byte(sig)) && [32]byte(u) == public && string(message) != "m" {
			t.Fatal("a forgery")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	private, public := key(b, 7)
	sig, err := xeddsa.Sign(private, public, []byte("m"), [64]byte{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		xeddsa.Verify(public, []byte("m"), sig)
	}
}
