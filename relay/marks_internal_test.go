package relay

import (
	"os"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
)

// Whatever was signed, a mark at least as high is on disk before; most signatures
// need no write of their own, and a commitment none where a heartbeat had one.
func TestMarksStandAhead(t *testing.T) {
	dir := t.TempDir()
	m, err := loadMarks(dir, chain.Hash{1})
	if err != nil {
		t.Fatal(err)
	}
	onDisk := func() map[markKey]statement.Sequence {
		again, err := loadMarks(dir, chain.Hash{1})
		if err != nil {
			t.Fatal(err)
		}
		return again.high
	}
	last := map[statement.Label]statement.Sequence{}
	for _, e := range []chain.Epoch{7, 8} {
		writes, before := 0, ""
		for i := range 40 {
			l := []statement.Label{statement.LabelHeartbeat, statement.LabelCommitment, statement.LabelDescriptor}[i%3]
			seq, err := m.next(0, l, e, 0)
			if err != nil || seq <= last[l] || seq.Epoch() != e || last[l].Epoch() == e && seq != last[l]+1 {
				t.Fatalf("%s: %d after %d: %v", l, seq, last[l], err)
			}
			last[l] = seq
			if kept := onDisk()[markKey{0, l}]; kept < seq || kept.Epoch() != e {
				t.Fatalf("%s: %d signed, %d on disk", l, seq, kept)
			}
			b, err := os.ReadFile(filepath.Join(dir, marksFile))
			if err != nil {
				t.Fatal(err)
			}
			if string(b) != before {
				writes++
			}
			before = string(b)
		}
		if writes != 2 { // 14 of each label: one for the pair, one for descriptors
			t.Fatalf("%d writes in epoch %d", writes, e)
		}
	}
	end := statement.NewSequence(9, 0) - 1
	if err := m.raise(0, statement.LabelHeartbeat, end); err != nil || onDisk()[markKey{0, statement.LabelHeartbeat}] != end {
		t.Fatalf("%v: the mark of the last sequence of an epoch is of another", err)
	}
	if _, err := m.next(0, statement.LabelHeartbeat, 9, 0); err != nil {
		t.Fatal(err)
	}
}
