package mail

import (
	"encoding/binary"
	"math/bits"

	"tunic/chain"
	"tunic/internal/wire"
)

// DefaultWork is the least work, in bits, that an account asks for where its
// bundle names nothing else.
const DefaultWork = 12

// MaxWork bounds the work that a bundle may ask for, in bits.
const MaxWork = 28

// Bits is the work in the request: leading zero bits of
// SHA-256(label, mailbox, epoch, H(content), nonce).
func (q Request) Bits() int {
	h := workHash(q.seed(), q.Nonce)
	return leadingZeros(h)
}

func (q Request) seed() chain.Hash {
	id := AccountMailbox(q.Account)
	content := chain.SHA256(q.Content)
	return chain.SHA256([]byte("tunic work"), id[:], wire.AppendUint64(nil, uint64(q.Epoch)), content[:])
}

func workHash(seed chain.Hash, nonce uint64) chain.Hash {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], nonce)
	return chain.SHA256(seed[:], n[:])
}

func leadingZeros(h chain.Hash) int {
	for i := 0; i < len(h); i += 8 {
		if v := binary.BigEndian.Uint64(h[i:]); v != 0 {
			return i*8 + bits.LeadingZeros64(v)
		}
	}
	return 256
}

// Work searches, from nonce 0, for one that carries at least want bits: about
// 2^want hashes. stop is asked every 4,096 tries; if it says true, Work gives up.
func (q *Request) Work(want int, stop func() bool) bool {
	seed := q.seed()
	for n := uint64(0); ; n++ {
		if leadingZeros(workHash(seed, n)) >= want {
			q.Nonce = n
			return true
		}
		if n%4096 == 4095 && stop() {
			return false
		}
	}
}
