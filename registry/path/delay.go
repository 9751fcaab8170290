package path

import (
	"math"
	"math/bits"

	"tunic/chain"
)

// fraction is how many bits of a logarithm are computed.
const fraction = 20

// ln2 is the natural logarithm of 2, times 2^32.
const ln2 = 2977044471

// Delay turns a uniform word into how long a hop is asked to hold a packet: an
// exponential distribution of that mean, rounded down and at most ten times the
// mean, mean * -ln((word + 1) / 2^64) in integers, so that all machines agree.
// Every sender draws by it, probes and cover included: another law, or another
// rounding, would tell packets apart. The unit is the mean's, milliseconds in a
// packet. Rounding down takes half a unit off the mean.
func Delay(word uint64, mean chain.Duration) uint32 {
	if mean == 0 || word == math.MaxUint64 {
		return 0
	}
	// At most 64 * 2^20 * 2^32 * ln 2 < 2^58.
	nats := (64<<fraction - log2(word+1)) * ln2
	hi, lo := bits.Mul64(uint64(mean), nats)
	if hi>>(fraction+32) != 0 {
		return uint32(min(10*uint64(mean), math.MaxUint32))
	}
	ms := hi<<(64-fraction-32) | lo>>(fraction+32)
	return uint32(min(ms, 10*uint64(mean), math.MaxUint32))
}

// log2 is the logarithm of v > 0 to the base 2, times 2^fraction, rounded down
// (but for what is lost below the last bit of each squaring).
func log2(v uint64) uint64 {
	whole := bits.Len64(v) - 1
	out := uint64(whole)
	x := v << (63 - whole) // 2^63 times a number in [1, 2)
	for range fraction {
		hi, lo := bits.Mul64(x, x)
		out <<= 1
		if hi>>63 == 1 { // its square is 2 or more
			out |= 1
			x = hi
		} else {
			x = hi<<1 | lo>>63
		}
	}
	return out
}
