package bench

import (
	"bytes"
	"crypto/ed25519"
	"runtime/pprof"
	"testing"
	"time"

	"tunic/chain/statement"
)

// The innermost function that belongs somewhere says where a sample belongs.
func TestPart(t *testing.T) {
	for want, stack := range map[string][]string{
		"verification":        {"crypto/ed25519.Verify", "tunic/chain/statement.Domain.VerifyRaw", "tunic/ledger/machine.(*Machine).CheckTx", "tunic/api.(*server).PublishStatement"},
		"sealing and machine": {"runtime.mallocgc", "tunic/internal/table.(*Part).Commit", "tunic/ledger.(*Ledger).seal"},
		"feed and API":        {"encoding/json.Unmarshal", "tunic/api/feed.parseBlock", "tunic/relay.(*owner).listen"},
		"relays":              {"tunic/relay.(*owner).act"},
		"garbage collection":  {"runtime.scanobject", "runtime.gcBgMarkWorker"},
		rest:                  {"runtime.futex", "runtime.findRunnable"},
	} {
		if got := part(stack); got != want {
			t.Errorf("%v: %s, want %s", stack, got, want)
		}
	}
}

// A profile of the runtime itself is read: most of a loop of signatures is
// signing.
func TestSharesOfAProfile(t *testing.T) {
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		t.Skip(err) // the test itself is being profiled
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		(statement.Domain{}).SignRaw(key, statement.LabelHeartbeat, nil)
	}
	pprof.StopCPUProfile()
	all, ms, err := shares(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if ms == 0 || len(all) == 0 || all[0].Part != "signing" {
		t.Fatalf("%d ms: %+v", ms, all)
	}
}

func TestBrokenProfiles(t *testing.T) {
	if _, err := readProfile([]byte("no gzip")); err == nil {
		t.Error("read")
	}
	for _, b := range [][]byte{{0x80}, {0x12}, {0x12, 5, 1}, {0x11, 1}, {0x12, 2, 0x0a, 0x80}} {
		if err := fields(b, func(_ int, _ uint64, data []byte) error {
			return fields(data, func(int, uint64, []byte) error { return nil })
		}); err == nil {
			t.Errorf("%x: no error", b)
		}
	}
}
