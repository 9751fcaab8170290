package registry_test

import (
	"bytes"
	"testing"

	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/registry"
)

// A row that loads encodes to the same bytes again.
func FuzzRows(f *testing.F) {
	b := newBench(f)
	r := newRelay(1)
	for _, err := range []error{b.register(r, 1000), b.publish(b.descriptor(r, 1, 0), b.heartbeat(r, 1, 0))} {
		if err != nil {
			f.Fatal(err)
		}
	}
	b.commit()
	for r := range b.nodes.Rows() {
		f.Add(r.Key, r.Value)
	}
	c := newCourt(f, 6)
	c.all(f, r.id(), statement.ReasonLoss)
	c.epoch(f, 2)
	c.all(f, newRelay(2).id(), statement.ReasonAbsent)
	c.commit()
	for r := range c.nodes.Rows() { // votes and counts
		if r.Key[0] == registry.PrefixVotes || r.Key[0] == registry.PrefixCounts {
			f.Add(r.Key, r.Value)
		}
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		var p table.Part
		registry.New(&p, &b.core, b.hash)
		if p.Load([]table.Row{{Key: key, Value: value}}) != nil {
			return
		}
		for r := range p.Rows() {
			if !bytes.Equal(r.Key, key) || !bytes.Equal(r.Value, value) {
				t.Fatalf("%x encodes as %x", value, r.Value)
			}
		}
	})
}
