package fault_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion"
)

// A twin sells the keys that its relay holds: they sign disclosures, and print
// nothing of what is secret.
func TestSell(t *testing.T) {
	p := newPair(t)
	if _, err := p.twin.Sell(statement.KeyOnion, 5); err == nil {
		t.Error("a relay that has signed nothing sells an onion key")
	}
	source := p.twin.Rand(rand.Reader)
	var other [64]byte // what is no key is not remembered
	if _, err := source.Read(other[:]); err != nil {
		t.Fatal(err)
	}
	var secret bytes.Buffer
	drawn, err := onion.NewKey(readerOf(func(b []byte) (int, error) {
		n, err := source.Read(b)
		secret.Write(b[:n])
		return n, err
	}), 4)
	if err != nil {
		t.Fatal(err)
	}
	d := statement.Domain{Genesis: chain.Hash{1}}
	body := statement.Descriptor{Version: "1", Endpoints: []string{"127.0.0.1:9"}, Keys: []statement.OnionKey{{First: 4, Last: 9, Key: drawn.Public()}}}
	p.sign.Sign(d, statement.LabelDescriptor, statement.NewSequence(5, 1), body.Encode())
	for _, kind := range []statement.KeyKind{statement.KeyOnion, statement.KeyIdentity} {
		k, err := p.twin.Sell(kind, 5)
		if err != nil {
			t.Fatal(err)
		}
		x := statement.Disclosure{Node: p.id[0], Key: kind, First: k.First, Epoch: 5}
		sig, err := k.Disclose(d, x)
		if err != nil || d.VerifyDisclosure(x, drawn.Public(), sig) != nil {
			t.Errorf("%s: %v", k, err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if out := fmt.Sprintf(verb, k); strings.Contains(out, hex.EncodeToString(secret.Bytes()[:4])) || !strings.Contains(out, "key") {
				t.Errorf("%s prints %q", verb, out)
			}
		}
	}
	if _, err := p.twin.Sell(statement.KeyOnion, 10); err == nil {
		t.Error("it sells a key of an epoch that its descriptor does not name")
	}
}

type readerOf func([]byte) (int, error)

func (f readerOf) Read(b []byte) (int, error) { return f(b) }
