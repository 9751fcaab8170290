package statement_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
)

// seeds adds the bodies of the golden vectors whose names begin with prefix.
func seeds(f *testing.F, prefix string) {
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		f.Fatal(err)
	}
	var file struct {
		Vectors []struct{ Name, Hex string }
	}
	if err := json.Unmarshal(b, &file); err != nil {
		f.Fatal(err)
	}
	n := 0
	for _, v := range file.Vectors {
		if body, err := hex.DecodeString(v.Hex); err == nil && strings.HasPrefix(v.Name, prefix) && strings.HasSuffix(v.Name, " body") {
			f.Add(body)
			n++
		}
	}
	if n == 0 {
		f.Fatalf("no vector of a %s", prefix)
	}
}

// signedBody holds what is true of every body: it survives a statement and its
// wire form, and the signature is of this body, this label and this domain alone.
func signedBody(t *testing.T, l statement.Label, other statement.Label, body []byte) {
	t.Helper()
	st := statement.Sign(domain, testKey(1), l, statement.NewSequence(5, 6), body)
	again, err := statement.Decode(st.Encode())
	if err != nil {
		return // longer than statements are
	}
	if err := again.Verify(domain); err != nil || !bytes.Equal(again.Body, body) || !bytes.Equal(again.Encode(), st.Encode()) {
		t.Fatalf("a statement changed on its way: %v", err)
	}
	moved, forked, changed, relabelled := again, domain, again, again
	moved.Node[0] ^= 1
	forked.Fork++
	changed.Body = bytes.Clone(body)
	changed.Body[len(body)/2] ^= 1
	relabelled.Label = other
	if moved.Verify(domain) == nil || again.Verify(forked) == nil || changed.Verify(domain) == nil || relabelled.Verify(domain) == nil {
		t.Fatal("the signature does not cover node, fork, body and label")
	}
}

// FuzzDescriptor: a descriptor that is read is written as it was, keeps every
// bound, has at most one key for an epoch, and signs like any statement.
func FuzzDescriptor(f *testing.F) {
	seeds(f, "descriptor")
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := statement.DecodeDescriptor(in)
		if err != nil {
			return
		}
		if !bytes.Equal(d.Encode(), in) {
			t.Fatalf("written again as %x", d.Encode())
		}
		if len(d.Endpoints) > statement.MaxEndpoints || len(d.Family) > statement.MaxFamily || len(d.Keys) > statement.MaxOnionKeys ||
			len(d.Version) > statement.MaxVersion {
			t.Fatalf("beyond the bounds: %+v", d)
		}
		for i, e := range d.Endpoints {
			if e == "" || len(e) > statement.MaxEndpoint || strings.ContainsAny(e, " \t\r\n\x00") {
				t.Fatalf("endpoint %d is %q", i, e)
			}
		}
		selectors := map[byte]bool{}
		for _, k := range d.Keys {
			if k.First > k.Last {
				t.Fatalf("a key from epoch %d to %d", k.First, k.Last)
			}
			if selectors[byte(k.First)] {
				t.Fatalf("two keys with the selector of epoch %d", k.First)
			}
			selectors[byte(k.First)] = true
			for _, e := range []chain.Epoch{k.First, k.Last} {
				if got, ok := d.KeyFor(e); !ok || e < got.First || e > got.Last {
					t.Fatalf("epoch %d has key %+v, %t", e, got, ok)
				}
			}
		}
		signedBody(t, statement.LabelDescriptor, statement.LabelHeartbeat, in)
	})
}

// FuzzReceipt: a receipt that is read is written as it was, at one length, and
// signs like any statement.
func FuzzReceipt(f *testing.F) {
	seeds(f, "receipt")
	size := len(statement.Receipt{Class: 1}.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := statement.DecodeReceipt(in)
		if err != nil {
			return
		}
		if !bytes.Equal(x.Encode(), in) || len(in) != size {
			t.Fatalf("%d bytes, written again as %x", len(in), x.Encode())
		}
		signedBody(t, statement.LabelReceipt, statement.LabelVote, in)
	})
}
