package ledger_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/ledger"
	"tunic/ledger/recording"
)

// fourValidators reads what CometBFT handed to one of four validators, as blocks:
// transactions of every kind, refused ones, and validators that come, leave and
// are slashed.
func fourValidators(t *testing.T) (g genesis.Genesis, blocks []chain.Block) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "cometbft.recording.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := recording.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := r.Next()
		if err == io.EOF {
			return r.Genesis, blocks
		}
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, b.Block())
	}
}

// TestRecordedImport: the importer alone gives the recorded headers.
func TestRecordedImport(t *testing.T) {
	g, blocks := fourValidators(t)
	l := open(t, ledger.Config{Genesis: g})
	if n, err := l.Import(t.Context(), encodings(blocks)); err != nil || n != len(blocks) {
		t.Fatalf("%d of %d blocks: %v", n, len(blocks), err)
	}
	for _, b := range blocks {
		if h, err := l.Header(b.Header.Height); err != nil || h.Header.Hash() != b.Header.Hash() {
			t.Fatalf("height %d: %v", b.Header.Height, err)
		}
	}
	check(t, l)
	t.Logf("%d blocks on %s", len(blocks), runtime.GOARCH)
}

// TestRecordedElsewhere: so does it on a machine with words of 32 bits, and with
// signatures recovered in Go alone.
func TestRecordedElsewhere(t *testing.T) {
	testenv.Need(t, "go")
	for _, arch := range []string{runtime.GOARCH, "386"} {
		t.Run(arch, func(t *testing.T) {
			bin := filepath.Join(t.TempDir(), "ledger.test")
			build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", bin, ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build: %v\n%s", err, out)
			}
			if out, err := exec.CommandContext(t.Context(), bin, "-test.run", "^$").CombinedOutput(); err != nil {
				testenv.Skip(t, "this machine runs no programs for "+arch+": "+err.Error()+" "+string(out))
			}
			out, err := exec.CommandContext(t.Context(), bin, "-test.run", "^TestRecordedImport$", "-test.v").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
