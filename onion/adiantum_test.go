package onion_test

import (
	"crypto/aes"
	"encoding/binary"
	"math/bits"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // Adiantum is made of it
)

// twinWide is Adiantum (Crowley and Biggers, "Adiantum: length-preserving
// encryption for entry-level processors", 2018) with XChaCha12, AES-256 and an
// empty tweak, as the paper writes it down.
func twinWide(key, in []byte, decrypt bool) []byte {
	sub := xchacha12(key, []byte{1}, 32+16+16+1072)
	block, err := aes.NewCipher(sub[:32])
	if err != nil {
		panic(err)
	}
	left, right := append([]byte(nil), in[:len(in)-16]...), append([]byte(nil), in[len(in)-16:]...)
	add(right, twinHash(sub[32:], left), false)
	if decrypt { // the stream's nonce is what the block cipher's encryption gives, or was given
		stream := xchacha12(key, append(append([]byte(nil), right...), 1), len(left))
		for i := range left {
			left[i] ^= stream[i]
		}
		block.Decrypt(right, right)
	} else {
		block.Encrypt(right, right)
		stream := xchacha12(key, append(append([]byte(nil), right...), 1), len(left))
		for i := range left {
			left[i] ^= stream[i]
		}
	}
	add(right, twinHash(sub[32:], left), true)
	return append(left, right...)
}

// add adds or subtracts modulo 2^128, little-endian.
func add(a, b []byte, subtract bool) {
	carry := 0
	for i := range a {
		v := int(a[i]) + int(b[i]) + carry
		if subtract {
			v = int(a[i]) - int(b[i]) + carry
		}
		a[i], carry = byte(v), v>>8
	}
}

// twinHash is Poly1305 over length and tweak plus NHPoly1305 over the message.
func twinHash(keys, msg []byte) []byte {
	poly := func(r, in []byte) []byte {
		var key [32]byte
		var sum [16]byte
		copy(key[:16], r)
		poly1305.Sum(&sum, in, &key)
		return sum[:]
	}
	sum := poly(keys[:16], append(binary.LittleEndian.AppendUint64(nil, uint64(8*len(msg))), make([]byte, 8)...))
	var hashes []byte
	for len(msg) > 0 {
		n := min(len(msg), 1024)
		for pass := range 4 {
			var h uint64
			for at := 0; at < n; at += 16 {
				m := func(i int) uint32 {
					return binary.LittleEndian.Uint32(msg[at+4*i:]) + binary.LittleEndian.Uint32(keys[32+16*pass+at+4*i:])
				}
				h += uint64(m(0))*uint64(m(2)) + uint64(m(1))*uint64(m(3))
			}
			hashes = binary.LittleEndian.AppendUint64(hashes, h)
		}
		msg = msg[n:]
	}
	add(sum, poly(keys[16:32], hashes), false)
	return sum
}

// xchacha12 is n bytes of the stream of a 24-byte nonce, zeros where it is shorter.
func xchacha12(key, nonce []byte, n int) (out []byte) {
	var full [24]byte
	copy(full[:], nonce)
	h := chacha12(key, full[:16])
	var sub []byte
	for _, i := range []int{0, 1, 2, 3, 12, 13, 14, 15} {
		sub = binary.LittleEndian.AppendUint32(sub, h[i])
	}
	for counter := uint64(0); len(out) < n; counter++ {
		in := append(binary.LittleEndian.AppendUint64(nil, counter), full[16:]...)
		start := chachaState(sub, in)
		for i, v := range chacha12(sub, in) {
			out = binary.LittleEndian.AppendUint32(out, v+start[i])
		}
	}
	return out[:n]
}

func chachaState(key, in []byte) (s [16]uint32) {
	for i := range s {
		switch {
		case i < 4:
			s[i] = binary.LittleEndian.Uint32([]byte("expand 32-byte k")[4*i:])
		case i < 12:
			s[i] = binary.LittleEndian.Uint32(key[4*(i-4):])
		default:
			s[i] = binary.LittleEndian.Uint32(in[4*(i-12):])
		}
	}
	return s
}

// chacha12 is twelve rounds, without the addition at the end.
func chacha12(key, in []byte) [16]uint32 {
	s := chachaState(key, in)
	quarter := func(a, b, c, d int) {
		s[a] += s[b]
		s[d] = bits.RotateLeft32(s[d]^s[a], 16)
		s[c] += s[d]
		s[b] = bits.RotateLeft32(s[b]^s[c], 12)
		s[a] += s[b]
		s[d] = bits.RotateLeft32(s[d]^s[a], 8)
		s[c] += s[d]
		s[b] = bits.RotateLeft32(s[b]^s[c], 7)
	}
	for range 6 {
		for i := range 4 {
			quarter(i, i+4, i+8, i+12)
		}
		for i := range 4 {
			quarter(i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	return s
}
