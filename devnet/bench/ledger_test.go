package bench_test

import (
	"encoding/json"
	"testing"

	"tunic/devnet/bench"
)

// TestLedger looks at the shape of a short run; what it measured is for people.
func TestLedger(t *testing.T) {
	opts := bench.LedgerOptions{Rounds: 2, Blocks: 2, BlockTxs: 50, Accounts: 70, Dir: t.TempDir()}
	res, err := bench.Ledger(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	if res.Blocks != 4 || res.Txs != 200 || res.TxPerS <= 0 || res.LimitPerS <= 0 || res.Ratio <= 0 {
		t.Fatalf("measured %+v", res)
	}
}

func TestLedgerRefusals(t *testing.T) {
	for _, opts := range []bench.LedgerOptions{{Rounds: -1}, {Rounds: 101}, {Blocks: 65}, {BlockTxs: 10_001}, {Accounts: 1}} {
		if _, err := bench.Ledger(t.Context(), opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}

func BenchmarkLedger(b *testing.B) {
	for b.Loop() {
		res, err := bench.Ledger(b.Context(), bench.LedgerOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(res.TxPerS), "tx/s")
		b.ReportMetric(float64(res.LimitPerS), "limit/s")
		b.ReportMetric(res.Ratio, "ratio")
	}
}
