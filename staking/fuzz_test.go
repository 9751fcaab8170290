package staking_test

import (
	"bytes"
	"testing"

	"tunic/internal/table"
	"tunic/staking"
)

// A row that loads encodes to the same bytes again.
func FuzzBondRow(f *testing.F) {
	b := newBench(0)
	if err := b.open(1, 0, 400); err != nil {
		f.Fatal(err)
	}
	b.commit()
	for r := range b.stakes.Rows() {
		f.Add(r.Value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var stakes, params table.Part
		staking.New(&stakes, &params, &b.prm)
		id := node(1)
		if stakes.Load([]table.Row{{Key: append([]byte{staking.PrefixBonds}, id[:]...), Value: value}}) != nil {
			return
		}
		for r := range stakes.Rows() {
			if !bytes.Equal(r.Value, value) {
				t.Fatalf("%x encodes as %x", value, r.Value)
			}
		}
	})
}
