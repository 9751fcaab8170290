package client

import (
	"bytes"
	"errors"
	"math"
	"slices"
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
	if ratchet.RequestSize != mail.RequestSize || ratchet.PrekeySize != mail.PrekeySize {
		t.Error("sizes of ratchet and mail differ")
	}
	for g, want := range map[onion.Geometry][2]int{onion.Small: {1113, 59}, onion.Large: {31_833, 3}} {
		if p := partsOf(mail.FormatOf(g)); int(p) != want[0] || p.most() != want[1] {
			t.Errorf("parts of %d bytes, at most %d; docs/spec/messenger.md says %v", p, p.most(), want)
		}
	}
}

// small is how texts are cut where packets are small.
var small = partsOf(mail.FormatOf(onion.Small))

func TestInner(t *testing.T) {
	full := strings.Repeat("x", int(small))
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
		"too many parts":              {inner{Kind: kindText, Parts: uint16(small.most()) + 1, Text: full}, false},
		"confirmation with text":      {inner{Kind: kindConfirm, Parts: 1, Text: "x"}, false},
		"confirmation of two parts":   {inner{Kind: kindConfirm, Parts: 2}, false},
		"text with a life":            {inner{Kind: kindText, Parts: 1, Life: maxLife, Text: "x"}, true},
		"life too long":               {inner{Kind: kindText, Parts: 1, Life: maxLife + 1, Text: "x"}, false},
		"confirmation with a life":    {inner{Kind: kindConfirm, Parts: 1, Life: 1}, false},
		"unknown kind":                {inner{Kind: 4, Parts: 1, Text: "x"}, false},
		"notice of reading, a text":   {inner{Kind: kindRead, Parts: 1, Text: "x"}, false},
		"text longer than a part can": {inner{Kind: kindText, Parts: 1, Text: full + "x"}, false},
	} {
		got, err := small.decodeInner(c.m.encode())
		if c.ok && (err != nil || got != c.m) || !c.ok && !errors.Is(err, errInner) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The layout, as docs/spec/messenger.md has it, and no other version of it.
func TestInnerLayout(t *testing.T) {
	b := inner{Kind: kindText, ID: MessageID{1}, Sent: 2, Part: 3, Parts: 4, Token: [32]byte{5}, Timer: 6, Life: 7, Text: "x"}.encode()
	want := slices.Concat([]byte{0x21, 1}, make([]byte, 15), []byte{0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 4, 5}, make([]byte, 31), []byte{0, 0, 0, 6, 0, 0, 0, 7}, []byte("x"))
	if !bytes.Equal(b, want) || len(b) != innerHeader+1 {
		t.Errorf("%x", b)
	}
	b = inner{Kind: kindText, Parts: 1, Text: "x"}.encode()
	for _, first := range []byte{0x01, 0x11, 0x20, 0x31} {
		b[0] = first
		if _, err := small.decodeInner(b); !errors.Is(err, errInner) {
			t.Errorf("first byte %x: %v", first, err)
		}
	}
}

func TestLifeEnds(t *testing.T) {
	for name, c := range map[string]struct {
		m    inner
		now  chain.Time
		over bool
	}{
		"none":               {inner{Sent: 1000}, math.MaxUint64 - 1, false},
		"before":             {inner{Sent: 1000, Life: 60}, 60_999, false},
		"at its end":         {inner{Sent: 1000, Life: 60}, 61_000, true},
		"beyond all numbers": {inner{Sent: math.MaxUint64 - 5, Life: 60}, 1000, false},
	} {
		if c.m.ended(c.now) != c.over {
			t.Error(name)
		}
	}
}

func FuzzInner(f *testing.F) {
	f.Add(inner{Kind: kindText, Parts: 1, Text: "hello"}.encode())
	f.Add(inner{Kind: kindText, Parts: 1, Timer: 5, Life: 3600, Text: "hello"}.encode())
	f.Add(inner{Kind: kindRead, Parts: 1}.encode())
	f.Add(append([]byte{0x01}, inner{Kind: kindText, Parts: 1, Text: "of another version"}.encode()[1:]...))
	f.Add(inner{Kind: kindConfirm, Parts: 1}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := small.decodeInner(b); err == nil && !bytes.Equal(m.encode(), b) {
			t.Error("two encodings of one message")
		}
	})
}

func TestSplit(t *testing.T) {
	for _, p := range []parts{small, partsOf(mail.FormatOf(onion.Large))} {
		for _, n := range []int{1, int(p), int(p) + 1, MaxText} {
			text := strings.Repeat("y", n)
			all := p.split(text)
			if strings.Join(all, "") != text || len(all) > p.most() {
				t.Errorf("%d bytes: %d parts", n, len(all))
			}
			for i, part := range all {
				m := inner{Kind: kindText, Part: uint16(i), Parts: uint16(len(all)), Text: part}
				if _, err := p.decodeInner(m.encode()); err != nil {
					t.Errorf("%d bytes, part %d: %v", n, i, err)
				}
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
