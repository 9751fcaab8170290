package client

import (
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/mail"
)

type fixedClock chain.Time

func (c fixedClock) Now() chain.Time { return chain.Time(c) }

// bare is a client with state and no network.
func bare(t *testing.T, now chain.Time) *Client {
	t.Helper()
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{state: newState(), store: &store{}, parts: small, log: slog.New(slog.DiscardHandler), heads: map[headKey]chain.SealedHeader{}}
	c.cfg.Core.Params, c.cfg.Clock = p, fixedClock(now)
	return c
}

func text(n int, sent chain.Time, s string) inner {
	return inner{Kind: kindText, ID: MessageID{byte(n), byte(n >> 8)}, Sent: sent, Parts: 1, Text: s}
}

// What one contact sends is bounded; what may come again is not forgotten.
func TestInboxOfOneContactIsBounded(t *testing.T) {
	const start = chain.Time(1_700_000_000_000)
	c := bare(t, start)
	flood, other := &contactRecord{ID: key32{1}}, &contactRecord{ID: key32{2}}
	take := func(r *contactRecord, m inner) (bool, *inRecord, []row) {
		rows, in, taken := c.textReceivedLocked(r, box{}, m)
		return taken, in, rows
	}
	for i := range maxKept - 1 {
		c.order++
		c.keepLocked(&inRecord{ID: text(i, 0, "").ID, Contact: flood.ID, Text: "x", Sent: start, Order: c.order})
	}
	if taken, in, _ := take(flood, text(maxKept-1, start, "x")); !taken || in == nil {
		t.Fatal("the last one was not taken")
	}
	for i := range maxQueued + 9 {
		c.confirmLocked(flood, box{}, MessageID{byte(i), byte(i >> 8), 1})
	}
	if n := c.confirmsLocked(mail.AccountID(flood.ID)); n != maxQueued {
		t.Errorf("%d confirmations wait", n)
	}
	if taken, _, rows := take(flood, text(maxKept, start, "x")); taken || rows != nil || len(c.in) != maxKept {
		t.Fatal("one too many was taken")
	}
	if taken, _, _ := take(flood, text(0, start, "x")); !taken {
		t.Error("a message that is here already is not taken for new")
	}
	if taken, in, _ := take(other, text(0, start, "x")); !taken || in == nil {
		t.Error("another contact suffers")
	}
	// When the life of the old ones is over they make room, and are not taken a
	// second time.
	later := start + chain.Time(c.cfg.Core.Params.MailboxTTL) + chain.Time(genesis.Hour) + 1
	c.cfg.Clock = fixedClock(later)
	taken, in, rows := take(flood, text(maxKept, later, "new"))
	if !taken || in == nil || c.kept[mail.AccountID(flood.ID)].messages != maxKept {
		t.Fatal("no room was made")
	}
	if c.in[inKey{mail.AccountID(flood.ID), MessageID{}}] != nil || rows[0].value != nil {
		t.Error("the oldest is still here")
	}
	if taken, _, _ := take(flood, text(0, start, "x")); taken {
		t.Error("a forgotten message was shown again")
	}
}

func TestInboxBytesOfOneContactAreBounded(t *testing.T) {
	const start = chain.Time(1_700_000_000_000)
	c := bare(t, start)
	r := &contactRecord{ID: key32{1}}
	long := strings.Repeat("x", MaxText)
	n := maxKeptBytes/MaxText - 2
	for i := range n {
		c.keepLocked(&inRecord{ID: MessageID{byte(i), byte(i >> 8)}, Contact: r.ID, Text: long, Sent: start})
	}
	for ; ; n++ {
		part := inner{Kind: kindText, ID: MessageID{byte(n), byte(n >> 8)}, Sent: start, Parts: uint16(small.most())}
		taken := true
		for i, s := range small.split(long) {
			part.Part, part.Text = uint16(i), s
			if _, _, taken = c.textReceivedLocked(r, box{}, part); !taken {
				break
			}
		}
		if !taken {
			break
		}
	}
	if k := c.kept[mail.AccountID(r.ID)]; n != maxKeptBytes/MaxText || k.bytes != maxKeptBytes || len(c.fragments) != 0 {
		t.Errorf("%d messages, %d bytes, %d unfinished", n, k.bytes, len(c.fragments))
	}
	// What the state counts is what it would count when it is loaded again.
	s := newState()
	for _, in := range c.in {
		if err := s.loadRow(in.row()); err != nil {
			t.Fatal(err)
		}
	}
	if s.kept[mail.AccountID(r.ID)] != c.kept[mail.AccountID(r.ID)] {
		t.Errorf("%+v after a restart", s.kept)
	}
}

// Whoever repeats old headers does not make a client forget the newest one.
func TestOldHeadersPushNothingOut(t *testing.T) {
	c := bare(t, 0)
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	c.cfg.Core.Engine = genesis.EngineSealer
	c.cfg.Core.Sealers = []chain.NodeID{chain.NodeID(key.Public().(ed25519.PublicKey))}
	seal := func(height chain.Height, salt byte) chain.SealedHeader {
		h := chain.Header{Height: height, Proposer: c.cfg.Core.Sealers[0], DirEpoch: chain.Epoch(height / 8), State: chain.Hash{salt}}
		hash := h.Hash()
		return chain.SealedHeader{Header: h, Seal: statement.Domain{}.SignRaw(key, statement.LabelSeal, hash[:])}
	}
	if c.compare(seal(5000, 0)) != nil {
		t.Fatal("alone")
	}
	for h := range chain.Height(2 * rememberedHeads) {
		if c.compare(seal(1+h, 0)) != nil {
			t.Fatal("no conflict")
		}
	}
	if len(c.heads) != rememberedHeads {
		t.Errorf("%d are remembered", len(c.heads))
	}
	if e := c.compare(seal(5000, 1)); e == nil {
		t.Fatal("the newest was forgotten")
	}
	// Two of one epoch that disagree about its beacon.
	two := seal(5001, 0)
	two.Header.Beacon[0]++
	hash := two.Header.Hash()
	two.Seal = statement.Domain{}.SignRaw(key, statement.LabelSeal, hash[:])
	if e := c.compare(two); e == nil || e.First.Header.Height == e.Second.Header.Height {
		t.Fatalf("two beacons: %v", e)
	}
}

// A confirmation that no member takes is dropped: it is made anew when its message
// comes again.
func TestRefusedConfirmationIsMadeAnew(t *testing.T) {
	const start = chain.Time(1_700_000_000_000)
	c := bare(t, start)
	c.rand, c.changed = rand.Reader, make(chan struct{})
	r := &contactRecord{ID: key32{1}}
	for range 2 {
		if rows := c.confirmLocked(r, box{}, MessageID{7}); len(rows) != 1 || len(c.out) != 1 {
			t.Fatalf("%d rows, %d wait", len(rows), len(c.out))
		}
		for _, o := range c.out {
			if err := c.shippedLocked(o, errRefused(mail.CodeFull.String())); err != nil {
				t.Fatal(err)
			}
		}
		if len(c.out) != 0 {
			t.Fatal("it stays")
		}
	}
}

// Who is refused is remembered for a year, and of more than the bound the last.
func TestRefusedAreBounded(t *testing.T) {
	const start = chain.Time(1_700_000_000_000)
	c := bare(t, start)
	c.cfg.Account, c.changed = &Account{}, make(chan struct{})
	for i := range maxRefused + 1 {
		c.cfg.Clock = fixedClock(start + chain.Time(i))
		if err := c.Refuse(mail.AccountID{1, byte(i), byte(i >> 8)}); err != nil {
			t.Fatal(err)
		}
	}
	l := c.Refused()
	if len(l) != maxRefused || l[0].Refused != start+maxRefused || l[maxRefused-1].Refused != start+1 {
		t.Fatalf("%d refused, from %d to %d", len(l), l[len(l)-1].Refused-start, l[0].Refused-start)
	}
	s := newState()
	for _, x := range c.refused {
		if err := s.loadRow(x.row()); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.refused) != maxRefused {
		t.Errorf("%d after a restart", len(s.refused))
	}
	if rows := c.sweepRefusedLocked(start + 1 + chain.Time(refusedFor)); len(rows) != 1 || rows[0].value != nil || len(c.refused) != maxRefused-1 {
		t.Errorf("%d are left after a year", len(c.refused))
	}
}
