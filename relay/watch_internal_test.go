package relay

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
)

// A descriptor that a ledger only claims to have in a block accuses nobody: it
// is verified where it matters, and the node's own takes its place.
func TestUnverifiedDescriptorsAccuseNobody(t *testing.T) {
	d := statement.Domain{Genesis: chain.Hash{1}}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	signed := func(version string) statement.Statement {
		body := statement.Descriptor{Version: version, Endpoints: []string{"127.1.0.1:9"}, Keys: []statement.OnionKey{{First: 1, Last: 2}}}
		return statement.Sign(d, key, statement.LabelDescriptor, statement.NewSequence(1, 5), body.Encode())
	}
	honest, second, forged := signed("1"), signed("2"), signed("3")
	forged.Sig[3] ^= 1
	for _, c := range []struct {
		name  string
		see   []statement.Statement
		pairs int
	}{
		{"forged, then honest", []statement.Statement{forged, honest}, 0},
		{"honest, then forged", []statement.Statement{honest, forged}, 0},
		{"forged, honest, second", []statement.Statement{forged, honest, second}, 1},
		{"honest, forged, second", []statement.Statement{honest, forged, second}, 1},
		{"honest twice", []statement.Statement{honest, honest}, 0},
	} {
		for _, verified := range []bool{false, true} {
			w := newWatch()
			for _, s := range c.see {
				w.observe(d, s, s.Encode(), verified && s.Verify(d) == nil)
			}
			if len(w.pairs) != c.pairs {
				t.Errorf("%s, verified %v: %d pairs, want %d", c.name, verified, len(w.pairs), c.pairs)
			}
		}
	}
}
