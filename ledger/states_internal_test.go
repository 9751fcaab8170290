package ledger

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/table"
	"tunic/internal/testenv"
	"tunic/ledger/machine"
)

// At most readyStates machines stay, those that were read last.
func TestReadyStates(t *testing.T) {
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	sealer := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	var s states
	var all []*machine.Machine
	for i := range readyStates + 2 {
		g := genesis.Genesis{Core: genesis.Core{ChainID: uint64(i + 1), Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger,
			Engine: genesis.EngineSealer, Time: 1, Sealers: []chain.NodeID{chain.NodeID(sealer)}, Params: prm}}
		m, err := machine.New(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, m); i == readyStates {
			s.get(all[1].HeadHash()) // read again: 0 goes before it
		}
		s.put(m)
	}
	for i, m := range all {
		if got := s.get(m.HeadHash()); (got == m) != (i == 1 || i > 2) {
			t.Errorf("machine %d: %v", i, got == m)
		}
	}
	if len(s.ready) != readyStates || cap(s.ready) > 2*readyStates+2 {
		t.Errorf("%d are ready", len(s.ready))
	}
}

// What undoes a block turns its rows into the former ones, whatever they were.
func TestUndoRecord(t *testing.T) {
	value := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.SampledFrom([]byte("ab")), 0, 30),
		rapid.Map(rapid.IntRange(0, 3), func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 70_000+n) }))
	testenv.Check(t, func(t *rapid.T) {
		var before, after state
		var changes [machine.Parts][]table.Change
		for i := range before {
			before[i], after[i] = map[string][]byte{}, map[string][]byte{}
			for k := range rapid.IntRange(0, 4).Draw(t, "rows") {
				was, is := value.Draw(t, "was"), value.Draw(t, "is")
				key := string([]byte{1, byte(k)})
				if was != nil {
					before[i][key] = was
				}
				if is != nil {
					after[i][key] = is
				}
				if (was == nil) != (is == nil) || !bytes.Equal(was, is) {
					changes[i] = append(changes[i], table.Change{Row: table.Row{Key: []byte(key), Value: is}, Former: was})
				}
			}
		}
		record := encodeUndo(&changes)
		if err := after.undo(record); err != nil {
			t.Fatal(err)
		}
		for i := range before {
			if len(before[i]) != len(after[i]) {
				t.Fatalf("%d rows, were %d", len(after[i]), len(before[i]))
			}
			for k, v := range before[i] {
				if got, ok := after[i][k]; !ok || !bytes.Equal(got, v) {
					t.Fatalf("row %x is %x, was %x", k, got, v)
				}
			}
		}
	})
}

// FuzzUndo: no record makes it panic, whatever the rows.
func FuzzUndo(f *testing.F) {
	row := []table.Change{{Row: table.Row{Key: []byte{1, 2}, Value: []byte("abcdefgh")}, Former: []byte("abcxefgh")}, {Row: table.Row{Key: []byte{1, 3}}, Former: []byte("x")}}
	f.Add(encodeUndo(&[machine.Parts][]table.Change{row, {{Row: table.Row{Key: []byte{1}, Value: []byte{}}}}}))
	f.Add([]byte{0, 0, 0, 1, 1, 1, 2, 0xff, 0xff, 0xff, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, record []byte) {
		var s state
		for i := range s {
			s[i] = map[string][]byte{"\x01\x02": []byte("abcdefgh"), "\x01": {}}
		}
		_ = s.undo(record)
	})
}
