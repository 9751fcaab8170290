package mail_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/mail"
)

const surb = 470

var small = mail.FormatOf(onion.Small)

func key(b byte) (ed25519.PrivateKey, [32]byte) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32))
	return k, [32]byte(k.Public().(ed25519.PublicKey))
}

func commands() map[string]mail.Command {
	genesis := chain.Hash{1}
	wk, w := key(1)
	rk, r := key(2)
	reply := [][]byte{bytes.Repeat([]byte{9}, surb)}
	store := &mail.Store{ReadHash: mail.KeyHash(r), Write: w, Expiry: 77, Deleter: mail.Deleter([32]byte{5}), Content: make([]byte, small.Item())}
	store.Sign(genesis, wk)
	poll := &mail.Poll{Kind: mail.KindPair, A: r, B: mail.KeyHash(w), After: 3, At: 4, Member: chain.NodeID{8}}
	poll.Sign(genesis, rk)
	return map[string]mail.Command{
		"store":      {Store: store, Replies: reply},
		"request":    {Request: &mail.Request{Account: mail.AccountID{4}, Epoch: 9, Nonce: 2, Content: make([]byte, mail.RequestSize)}, Replies: reply},
		"put bundle": {PutBundle: &mail.PutBundle{Bundle: make([]byte, 1371)}, Replies: reply},
		"get bundle": {GetBundle: &mail.GetBundle{Account: mail.AccountID{4}}, Replies: reply},
		"poll":       {Poll: poll, Replies: [][]byte{reply[0], reply[0], reply[0]}},
		"delete":     {Delete: &mail.Delete{Token: [32]byte{5}}, Replies: reply},
		"head":       {Head: &mail.Head{}, Replies: reply},
	}
}

func TestCommandsRoundTripAndFitOnePacket(t *testing.T) {
	const most = 2048 - 32 - 4
	for name, c := range commands() {
		b := c.Encode()
		if len(b) > most {
			t.Errorf("%s: %d bytes, a packet carries %d", name, len(b), most)
		}
		d, err := small.Decode(b)
		if err != nil || !bytes.Equal(d.Encode(), b) {
			t.Errorf("%s: %v", name, err)
		}
		for _, bad := range [][]byte{b[:len(b)-1], append(bytes.Clone(b), 0), {99}, nil} {
			if _, err := small.Decode(bad); !errors.Is(err, mail.ErrMalformed) {
				t.Errorf("%s: %d bytes accepted: %v", name, len(bad), err)
			}
		}
	}
}

func TestSignaturesCoverEverything(t *testing.T) {
	genesis := chain.Hash{1}
	for name, c := range commands() {
		if c.Store == nil && c.Poll == nil {
			continue
		}
		b := c.Encode()
		for i := range len(b) - len(c.Replies)*surb {
			b[i] ^= 1
			d, err := small.Decode(bytes.Clone(b))
			b[i] ^= 1
			if err != nil {
				continue
			}
			switch {
			case d.Store != nil:
				err = d.Store.Verify(genesis)
			case d.Poll != nil:
				err = d.Poll.Verify(genesis)
			default:
				continue // another command
			}
			if err == nil {
				t.Fatalf("%s: byte %d is not covered", name, i)
			}
		}
		if c.Store != nil && (c.Store.Verify(genesis) != nil || c.Store.Verify(chain.Hash{2}) == nil) {
			t.Fatal("store: domain")
		}
		if c.Poll != nil && (c.Poll.Verify(genesis) != nil || c.Poll.Verify(chain.Hash{2}) == nil) {
			t.Fatal("poll: domain")
		}
	}
}

func TestReaderAndWriterNameTheSameMailbox(t *testing.T) {
	c := commands()
	if c["store"].Store.Mailbox() != c["poll"].Poll.Mailbox() {
		t.Fatal("store and poll differ")
	}
	_, ed := key(3)
	x := [32]byte{7}
	p := mail.Poll{Kind: mail.KindAccount, A: ed, B: x}
	if p.Mailbox() != mail.AccountMailbox(mail.NewAccountID(ed, x)) {
		t.Fatal("account mailbox differs")
	}
}

func TestWork(t *testing.T) {
	q := mail.Request{Account: mail.AccountID{1}, Epoch: 2, Content: make([]byte, mail.RequestSize)}
	if !q.Work(10, func() bool { return false }) || q.Bits() < 10 {
		t.Fatal("work not found")
	}
	other := q
	other.Epoch++
	if other.Bits() == q.Bits() && func() bool { other.Account[5] ^= 1; return other.Bits() == q.Bits() }() {
		t.Fatal("work does not depend on epoch and mailbox")
	}
	if q.Work(60, func() bool { return true }) {
		t.Fatal("stop is not asked")
	}
}

func TestBundle(t *testing.T) {
	k, ed := key(6)
	b := mail.Bundle{Ed: ed, X: [32]byte{2}, Serial: 5, Until: 9, Work: 12}
	b.Sign(chain.Hash{1}, k)
	enc := b.Encode()
	d, err := mail.DecodeBundle(enc)
	if err != nil || d != b || d.Verify(chain.Hash{1}) != nil || d.Verify(chain.Hash{2}) == nil {
		t.Fatal("bundle", err)
	}
	for i := range enc {
		enc[i] ^= 1
		if d, err := mail.DecodeBundle(enc); err == nil && d.Verify(chain.Hash{1}) == nil {
			t.Fatalf("byte %d is not covered", i)
		}
		enc[i] ^= 1
	}
}

// FuzzDecode: bytes that are a command have one encoding, in every geometry.
func FuzzDecode(f *testing.F) {
	for _, c := range commands() {
		f.Add(c.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, g := range []onion.Geometry{onion.Small, onion.Large, onion.Hybrid} {
			c, err := mail.FormatOf(g).Decode(b)
			if err != nil {
				continue
			}
			if !bytes.Equal(c.Encode(), b) {
				t.Fatalf("%s: accepted bytes are not canonical", g)
			}
			if want := 1; len(c.Replies) != want && (c.Poll == nil || len(c.Replies) != mail.PollReplies) {
				t.Fatalf("%s: %d reply blocks", g, len(c.Replies))
			}
		}
	})
}

// FuzzReceipts: what a reply to a store says is read as it was written, with at
// least one receipt and no more than there may be.
func FuzzReceipts(f *testing.F) {
	f.Add(mail.EncodeReceipts([][]byte{{1, 2, 3}}))
	f.Add(mail.EncodeReceipts(make([][]byte, mail.MaxReceipts)))
	f.Add(mail.EncodeReceipts(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := small.DecodeReceipts(b)
		if err != nil {
			return
		}
		if len(r) < 1 || len(r) > mail.MaxReceipts || !bytes.Equal(mail.EncodeReceipts(r), b) {
			t.Fatalf("%d receipts, not canonical", len(r))
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add(mail.Reply{Code: mail.CodeItem, Body: mail.Item{Cursor: 1, Content: make([]byte, small.Item())}.Encode()}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := small.DecodeReply(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Encode(), b) {
			t.Fatal("accepted bytes are not canonical")
		}
		if i, err := small.DecodeItem(r.Body); err == nil && !bytes.Equal(i.Encode(), r.Body) {
			t.Fatal("accepted item is not canonical")
		}
	})
}
