package devnet_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/devnet"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// The relay that sees two heads halts and saves them; what it saved is a proof
// that the ledger does not punish; the network goes on.
func TestDoubleSeal(t *testing.T) {
	dir := t.TempDir()
	n, err := devnet.Start(t.Context(), devnet.Spec{Relays: 3, Seed: 5, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	own := n.Ledger.Head()
	witness, err := n.DoubleSeal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if witness.Name() != "relay-2" || !n.Halted(1) || n.Halted(0) || n.Err() != nil {
		t.Fatalf("%s, %v", witness.Name(), n.Err())
	}
	files, err := filepath.Glob(filepath.Join(dir, "relay-2", "two-heads-*.txt"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var saved []chain.SealedHeader
	for line := range bytes.Lines(text) {
		b, err := hex.DecodeString(string(bytes.TrimSpace(line)))
		if err != nil || len(b) == 0 {
			continue
		}
		s, err := chain.DecodeSealedHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		saved = append(saved, s)
	}
	if len(saved) != 2 || saved[0].Header.Height != own.Header.Height {
		t.Fatalf("saved %d headers", len(saved))
	}
	p, err := slashing.AssembleSeals(saved[0], saved[1])
	if err != nil {
		t.Fatal(err)
	}
	anchor, err := light.New(n.File)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slashing.Verify(p, anchor); err != nil {
		t.Error(err)
	}
	n.Ledger.View(func(m *machine.Machine) {
		if err := m.CheckProof(p); !errors.Is(err, slashing.ErrSingleSealer) {
			t.Errorf("on the ledger: %v", err)
		}
	})
	if err := n.AdvanceEpochs(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}
