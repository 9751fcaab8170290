package chain

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Height is a block's number; genesis is 0 and the first block 1.
type Height uint64

// Epoch counts epochs since genesis: floor((header time - genesis time) / epoch length).
type Epoch uint64

// Time is milliseconds since the Unix epoch, as headers carry it.
type Time uint64

// Duration is a length of time in milliseconds.
type Duration uint64

// Amount is a number of token units; 10^9 units are 1 TUN. JSON carries it as
// a decimal string of units.
type Amount uint64

// TUN is the number of units in one token.
const TUN Amount = 1_000_000_000

// BasisPoints is a share in ten-thousandths.
type BasisPoints uint16

// Permille is a share in thousandths.
type Permille uint16

// ErrAmount means that a decimal amount is malformed or does not fit.
var ErrAmount = errors.New("chain: malformed amount")

// Add returns a+b and whether it fits.
func (a Amount) Add(b Amount) (Amount, bool) {
	s, carry := bits.Add64(uint64(a), uint64(b), 0)
	return Amount(s), carry == 0
}

// Sub returns a-b and whether a was at least b.
func (a Amount) Sub(b Amount) (Amount, bool) { return a - b, a >= b }

// MulDiv returns floor(a*num/den) with a 128-bit product; den must be above
// zero and num at most den, so that the result fits.
func (a Amount) MulDiv(num, den uint64) Amount {
	if den == 0 || num > den {
		panic("chain: internal error: MulDiv by a share above one")
	}
	hi, lo := bits.Mul64(uint64(a), num)
	q, _ := bits.Div64(hi, lo, den)
	return Amount(q)
}

// Of returns the share b of a, rounded down; b is at most 10,000.
func (b BasisPoints) Of(a Amount) Amount { return a.MulDiv(uint64(b), 10_000) }

// String gives TUN with up to nine decimals: "12.5".
func (a Amount) String() string {
	s := fmt.Sprintf("%d.%09d", uint64(a/TUN), uint64(a%TUN))
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// MarshalText gives the decimal number of units.
func (a Amount) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(a), 10), nil }

// UnmarshalText reads a decimal number of units without sign or leading zeros.
func (a *Amount) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil || string(b) != strconv.FormatUint(v, 10) {
		return fmt.Errorf("%w: %q is not a number of units", ErrAmount, b)
	}
	*a = Amount(v)
	return nil
}

// ParseTUN reads a decimal number of TUN such as "2000" or "0.5".
func ParseTUN(s string) (Amount, error) {
	whole, frac, dot := strings.Cut(s, ".")
	if whole == "" || len(frac) > 9 || (dot && frac == "") || !digits(whole) || !digits(frac) {
		return 0, fmt.Errorf("%w: %q; write TUN such as 2000 or 0.5", ErrAmount, s)
	}
	w, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || w > ^uint64(0)/uint64(TUN) {
		return 0, fmt.Errorf("%w: %q is too large", ErrAmount, s)
	}
	var f uint64
	if frac != "" {
		f, _ = strconv.ParseUint((frac + "000000000")[:9], 10, 64)
	}
	a, ok := (Amount(w) * TUN).Add(Amount(f))
	if !ok {
		return 0, fmt.Errorf("%w: %q is too large", ErrAmount, s)
	}
	return a, nil
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
