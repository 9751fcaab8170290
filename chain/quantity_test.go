package chain_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/internal/testenv"
)

func TestAmountText(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		a := chain.Amount(rapid.Uint64().Draw(t, "amount"))
		if b, err := chain.ParseTUN(a.String()); err != nil || b != a {
			t.Fatalf("%d shows as %s, which reads as %d %v", uint64(a), a, uint64(b), err)
		}
		j, err := json.Marshal(a)
		var b chain.Amount
		if err != nil || json.Unmarshal(j, &b) != nil || b != a {
			t.Fatalf("%d is %s in JSON, which reads as %d", uint64(a), j, uint64(b))
		}
	})
	for a, want := range map[chain.Amount]string{
		0: "0", 1: "0.000000001", chain.TUN: "1", 10 * chain.TUN: "10", chain.TUN / 2: "0.5", 100: "0.0000001",
		12*chain.TUN + 30: "12.00000003", math.MaxUint64: "18446744073.709551615",
	} {
		if a.String() != want {
			t.Errorf("%d shows as %s, want %s", uint64(a), a, want)
		}
	}
}

func TestParseTUN(t *testing.T) {
	for s, want := range map[string]chain.Amount{
		"0": 0, "2000": 2000 * chain.TUN, "0.5": chain.TUN / 2, "007": 7 * chain.TUN, "0.000000001": 1, "1.500000000": 3 * chain.TUN / 2,
		"18446744073.709551615": math.MaxUint64,
	} {
		if a, err := chain.ParseTUN(s); err != nil || a != want {
			t.Errorf("%q: %d, %v", s, uint64(a), err)
		}
	}
	for _, s := range []string{"", ".", ".5", "5.", "-1", "+1", "1e3", "1,5", "1.5.5", " 1", "1 ", "0x1", "1_000", "1.0000000000",
		"18446744073.709551616", "18446744074", "99999999999999999999", "99999999999999999999999999", "١", "1.٥", "NaN"} {
		if a, err := chain.ParseTUN(s); !errors.Is(err, chain.ErrAmount) || a != 0 {
			t.Errorf("%q: %d, %v", s, uint64(a), err)
		}
	}
}

func TestAmountJSON(t *testing.T) {
	for _, s := range []string{`5`, `""`, `"05"`, `"-5"`, `"+5"`, `"5.0"`, `" 5"`, `"0x5"`, `"18446744073709551616"`, `"5_0"`, `{}`, `true`} {
		a := chain.Amount(77)
		if err := json.Unmarshal([]byte(s), &a); err == nil || a != 77 {
			t.Errorf("%s: %d, %v", s, uint64(a), err)
		}
	}
}

func TestAmountArithmetic(t *testing.T) {
	big64 := func(v uint64) *big.Int { return new(big.Int).SetUint64(v) }
	testenv.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		sum, ok := chain.Amount(a).Add(chain.Amount(b))
		if want := new(big.Int).Add(big64(a), big64(b)); want.IsUint64() != ok || (ok && uint64(sum) != want.Uint64()) {
			t.Fatalf("%d + %d is %d, %v", a, b, uint64(sum), ok)
		}
		diff, ok := chain.Amount(a).Sub(chain.Amount(b))
		if ok != (a >= b) || (ok && uint64(diff)+b != a) {
			t.Fatalf("%d - %d is %d, %v", a, b, uint64(diff), ok)
		}
		den := rapid.Uint64Min(1).Draw(t, "den")
		num := rapid.Uint64Max(den).Draw(t, "num")
		want := new(big.Int).Mul(big64(a), big64(num))
		want.Div(want, big64(den))
		if got := chain.Amount(a).MulDiv(num, den); !want.IsUint64() || uint64(got) != want.Uint64() || uint64(got) > a {
			t.Fatalf("%d * %d / %d is %d, want %s", a, num, den, uint64(got), want)
		}
	})
	if got := chain.BasisPoints(2500).Of(10_001); got != 2500 {
		t.Errorf("25 %% of 10001 is %d", uint64(got))
	}
	if got := chain.BasisPoints(10_000).Of(math.MaxUint64); got != math.MaxUint64 {
		t.Errorf("100 %% of all is %d", uint64(got))
	}
	for name, f := range map[string]func(){
		"a share above one": func() { chain.Amount(1).MulDiv(2, 1) },
		"division by zero":  func() { chain.Amount(1).MulDiv(0, 0) },
		"above 100 %":       func() { chain.BasisPoints(10_001).Of(1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", name)
				}
			}()
			f()
		}()
	}
}
