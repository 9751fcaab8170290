package relay_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/wire"
	"tunic/onion"
	"tunic/relay"
)

// Keys that stand in a relay's folder sign disclosures of themselves, print
// nothing of what is secret, and are gone once wiped.
func TestKnownKeys(t *testing.T) {
	dir := t.TempDir()
	node, _, err := relay.LoadOrCreateKeys(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	gen := chain.Hash{7}
	private := [32]byte(bytes.Repeat([]byte{0xa5}, 32))
	b := append([]byte{1}, gen[:]...)
	b = wire.AppendUint32(b, 1)
	b = wire.AppendUint64(wire.AppendUint64(b, 5), 9)
	file := filepath.Join(dir, "onion.keys")
	if err := os.WriteFile(file, append(b, private[:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.ReadOnionKeys(file, chain.Hash{8}); err == nil {
		t.Error("keys of another network")
	}
	onions, err := relay.ReadOnionKeys(file, gen)
	if err != nil || len(onions) != 1 || onions[0].First != 5 || onions[0].Last != 9 || onions[0].Public != onion.LoadKey(private, 5).Public() {
		t.Fatalf("%v, %v", onions, err)
	}
	identity, err := relay.ReadIdentityKey(filepath.Join(dir, relay.KeyFile))
	if err != nil || identity.Node != node.ID() {
		t.Fatalf("%v, %v", identity, err)
	}
	d := statement.Domain{Genesis: gen}
	for _, k := range []*relay.KnownKey{onions[0], identity} {
		x := statement.Disclosure{Node: node.ID(), Key: k.Kind, First: k.First, Epoch: 6}
		sig, err := k.Disclose(d, x, rand.Reader)
		if err != nil || d.VerifyDisclosure(x, k.Public, sig) != nil {
			t.Errorf("%s: %v", k, err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			out := fmt.Sprintf(verb, k)
			if strings.Contains(out, hex.EncodeToString(private[:4])) || strings.Contains(out, hex.EncodeToString(node.Identity.Seed()[:4])) || strings.Contains(out, "165 165") {
				t.Errorf("%s prints %s", verb, out)
			}
		}
		k.Wipe()
		if sig, err := k.Disclose(d, x, rand.Reader); err == nil && d.VerifyDisclosure(x, k.Public, sig) == nil {
			t.Errorf("%s: it signs once wiped", k)
		}
	}
}
