package cometbft_test

import (
	"math"
	"testing"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// TestTimeAgainstTheStandardLibrary: moments, sums and order.
func TestTimeAgainstTheStandardLibrary(t *testing.T) {
	rng := seeded(4)
	for range 5000 {
		a, b := randomTime(rng), randomTime(rng)
		if got, want := a.Compare(b), oracleTime(a).Compare(oracleTime(b)); got != want {
			t.Fatalf("%v and %v compare as %d, want %d", a, b, got, want)
		}
		d := chain.Duration(upTo(rng, math.MaxInt64/1_000_000))
		sum := oracleTime(a).Add(oracleDuration(d))
		if got := a.Add(d); sum.Year() <= 9999 && !oracleTime(got).Equal(sum) || sum.Year() > 9999 && got.Seconds != 253402300799 || !got.Valid() {
			t.Fatalf("%v and %d ms are %v, want %v", a, d, got, sum)
		}
		if want := oracleTime(a).UnixMilli(); want >= 0 && a.Millis() != chain.Time(want) || a.Seconds < 0 && a.Millis() != 0 {
			t.Fatalf("%v is %d ms, want %d", a, a.Millis(), want)
		}
		if at := chain.Time(upTo(rng, 253402300799_999)); cometbft.TimeAt(at).Millis() != at || !oracleTime(cometbft.TimeAt(at)).Equal(oracleMillis(at)) {
			t.Fatalf("%d ms are %v", at, cometbft.TimeAt(at))
		}
	}
	end := cometbft.Time{Seconds: 253402300799, Nanos: 999_999_999}
	if cometbft.TimeAt(math.MaxUint64) != end || (cometbft.Time{}).Add(math.MaxUint64) != end || end.Add(0).Seconds != end.Seconds {
		t.Error("time has no end")
	}
	for _, bad := range []cometbft.Time{{Seconds: -62135596801}, {Seconds: 253402300800}, {Nanos: 1_000_000_000}} {
		if bad.Valid() {
			t.Errorf("%v counts as a time", bad)
		}
	}
}
