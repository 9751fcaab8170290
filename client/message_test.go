package client

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client/ratchet"
	"tunic/onion"
	"tunic/onion/mail"
)

// The ratchet may not import what defines these sizes.
func TestSizesAgree(t *testing.T) {
	if ratchet.ItemSize != mail.FormatOf(onion.Small).Item() || ratchet.RequestSize != mail.RequestSize || ratchet.ContactKeySize != mail.ContactKeySize {
		t.Error("sizes of ratchet and mail differ")
	}
	if partSize != 1105 || maxParts != 60 {
		t.Errorf("parts of %d bytes, at most %d; docs/spec/messenger.md says 1,105 and 60", partSize, maxParts)
	}
}

func TestInner(t *testing.T) {
	full := strings.Repeat("x", partSize)
	for name, c := range map[string]struct {
		m  inner
		ok bool
	}{
		"one part":                    {inner{Kind: kindText, Parts: 1, Text: "hello"}, true},
		"one full part":               {inner{Kind: kindText, Parts: 1, Text: full}, true},
		"first of two":                {inner{Kind: kindText, Parts: 2, Text: full}, true},
		"last of two":                 {inner{Kind: kindText, Part: 1, Parts: 2, Text: "x"}, true},
		"confirmation":                {inner{Kind: kindConfirm, Parts: 1}, true},
		"no text":                     {inner{Kind: kindText, Parts: 1}, false},
		"first of two is short":       {inner{Kind: kindText, Parts: 2, Text: "x"}, false},
		"part beyond":                 {inner{Kind: kindText, Part: 2, Parts: 2, Text: "x"}, false},
		"no parts":                    {inner{Kind: kindText, Text: "x"}, false},
		"too many parts":              {inner{Kind: kindText, Parts: maxParts + 1, Text: full}, false},
		"confirmation with text":      {inner{Kind: kindConfirm, Parts: 1, Text: "x"}, false},
		"confirmation of two parts":   {inner{Kind: kindConfirm, Parts: 2}, false},
		"unknown kind":                {inner{Kind: 3, Parts: 1, Text: "x"}, false},
		"text longer than a part can": {inner{Kind: kindText, Parts: 1, Text: full + "x"}, false},
	} {
		got, err := decodeInner(c.m.encode())
		if c.ok && (err != nil || got != c.m) || !c.ok && !errors.Is(err, errInner) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzInner(f *testing.F) {
	f.Add(inner{Kind: kindText, Parts: 1, Text: "hello"}.encode())
	f.Add(inner{Kind: kindConfirm, Parts: 1}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeInner(b); err == nil && !bytes.Equal(m.encode(), b) {
			t.Error("two encodings of one message")
		}
	})
}

func TestSplit(t *testing.T) {
	for _, n := range []int{1, partSize, partSize + 1, 3 * partSize, MaxText} {
		text := strings.Repeat("y", n)
		parts := split(text)
		if strings.Join(parts, "") != text || len(parts) > maxParts {
			t.Errorf("%d bytes: %d parts", n, len(parts))
		}
		for i, p := range parts {
			m := inner{Kind: kindText, Part: uint16(i), Parts: uint16(len(parts)), Text: p}
			if _, err := decodeInner(m.encode()); err != nil {
				t.Errorf("%d bytes, part %d: %v", n, i, err)
			}
		}
	}
}

func TestPairMailboxes(t *testing.T) {
	a, b := mail.AccountID{1}, mail.AccountID{2}
	seen := map[mail.ID]bool{}
	for _, p := range []pairBox{
		newPairBox([32]byte{1}, [32]byte{9}, a, b, 0), newPairBox([32]byte{1}, [32]byte{9}, b, a, 0),
		newPairBox([32]byte{1}, [32]byte{9}, a, b, 1), newPairBox([32]byte{2}, [32]byte{9}, a, b, 0),
		newPairBox([32]byte{1}, [32]byte{8}, a, b, 0),
	} {
		if seen[p.id] || p.readKey() == p.writeKey() {
			t.Error("mailboxes are not distinct")
		}
		seen[p.id] = true
	}
	first, again := newPairBox([32]byte{1}, [32]byte{9}, a, b, 0), newPairBox([32]byte{1}, [32]byte{9}, a, b, 0)
	if first.id != again.id {
		t.Error("a mailbox is not the same for both")
	}
}

func TestBuckets(t *testing.T) {
	p, _ := genesis.For(genesis.Private) // 144 epochs of 10 min a bucket, mail lives 2 days
	core := genesis.Core{Params: p, Time: 1e12}
	day := core.EpochAt(core.Time + 1 + 24*3600*1000)
	if bucketOf(&core, day-1) != 0 || bucketOf(&core, day) != 1 {
		t.Errorf("epoch %d is of bucket %d", day, bucketOf(&core, day))
	}
	at := core.EpochStart(10 * day)
	for name, c := range map[string]struct {
		ago, want int
	}{
		"new, just after the change": {0, 2}, // the other clock may be behind
		"an hour old":                {1, 2},
		"a day old":                  {24, 3},
		"a year old":                 {8760, 4},
	} {
		got := buckets(&core, 10*day, at, at-chain.Time(c.ago)*3_600_000)
		if len(got) != c.want || got[0] != 10 {
			t.Errorf("%s: %v, want %d", name, got, c.want)
		}
	}
	if got := buckets(&core, 10*day+50, core.EpochStart(10*day+50), core.EpochStart(10*day+50)); len(got) != 1 {
		t.Errorf("new, in the middle: %v", got)
	}
}
