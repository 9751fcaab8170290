package mailbox_test

import (
	"bytes"
	"fmt"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// twin is a naive member: what its mailboxes must hold, without cursors, rows or
// groups. Contents are told apart by their first byte.
type twin struct {
	items   map[[2]byte]chain.Time // {pair, content} -> expiry
	deleted map[byte]chain.Time    // content -> when its token is forgotten
}

// snapshot is every row of a store.
func snapshot(s mailbox.Store) string {
	var b bytes.Buffer
	s.Scan(nil, nil, func(k, v []byte) bool {
		if k[0] != 'w' { // the day on which the store was begun
			fmt.Fprintf(&b, "%x=%x\n", k, v)
		}
		return true
	})
	return b.String()
}

// FuzzHandle runs a program of commands on a member over a store in memory,
// beside the twin: three bytes a step, which say what is done, with which of
// three pairs' mailboxes, with which content. Between the steps and behind them
// the bytes in raw are handled as a command as they came out of a packet.
//
// What holds: as many answers as reply blocks, each of which fits a reply; what
// is refused changes no row; a store again gives the same receipt; a poll shows
// what the twin has and nothing else; a deleted item stays away; the count of
// items is the twin's; and in the end, when all has expired, nothing is left.
func FuzzHandle(f *testing.F) {
	reply := make([]byte, onion.SURBSize)
	for _, c := range []mail.Command{
		store(1, 1, now+1000), poll(1, 0, now), {Delete: &mail.Delete{Token: [32]byte{1}}},
		{Request: request(f, mail.AccountID{1}, 1, mail.DefaultWork)}, {GetBundle: &mail.GetBundle{Account: mail.AccountID{1}}},
		{PutBundle: &mail.PutBundle{Bundle: fuzzBundle(60, 1)}}, {Head: &mail.Head{}},
	} {
		for range 1 + 2*len(c.Replies) {
			c.Replies = append(c.Replies, reply)
		}
		if c.Poll != nil {
			c.Replies = [][]byte{reply, reply, reply}
		}
		f.Add([]byte("\x00\x00\x01\x01\x00\x00\x02\x00\x01"), c.Encode())
	}
	f.Add([]byte{0, 0, 1, 0, 0, 1, 1, 0, 0, 2, 0, 1, 1, 0, 0, 0, 0, 1, 3, 0, 200, 1, 0, 0}, []byte{})
	f.Add(bytes.Repeat([]byte{0, 1, 2, 0, 2, 3, 4, 1, 9, 5, 0, 0}, 12), []byte{99})

	signed := map[[2]byte]mail.Command{} // signatures are slow
	f.Fuzz(func(t *testing.T, program, raw []byte) {
		program = program[:min(len(program), 3*64)]
		s := new(mailbox.Memory)
		m := open(t, s, nil)
		empty := snapshot(s)
		tw := twin{map[[2]byte]chain.Time{}, map[byte]chain.Time{}}
		at := now
		receipts := map[[2]byte][]byte{}

		handle := func(c mail.Command) []mail.Reply {
			before := snapshot(s)
			replies := m.Handle(at, epoch, c)
			if want := max(1, len(c.Replies)); c.Poll != nil && len(replies) != mail.PollReplies || c.Poll == nil && len(replies) != want {
				t.Fatalf("%d answers", len(replies))
			}
			for _, r := range replies {
				if got, err := small.DecodeReply(r.Encode()); err != nil || got.Code != r.Code {
					t.Fatalf("an answer that is none: %s, %v", r.Code, err)
				}
				if (r.Code.Refused() || c.Poll != nil || c.GetBundle != nil) && snapshot(s) != before {
					t.Fatalf("%s, and rows changed", r.Code)
				}
			}
			return replies
		}
		for step := program; len(step) >= 3; step = step[3:] {
			pair, n := 1+2*(step[1]%3), step[2]%16
			key := [2]byte{pair, n}
			switch step[0] % 6 {
			case 0: // store
				expiry := now + chain.Time(genesis.Minute)*chain.Time(1+n)
				c, ok := signed[key]
				if !ok {
					c = store(n, pair, expiry)
					signed[key] = c
				}
				r := handle(c)[0]
				_, gone := tw.deleted[n]
				_, have := tw.items[key]
				held := 0
				for k := range tw.items {
					if k[0] == pair {
						held++
					}
				}
				want := mail.CodeStored
				switch {
				case expiry <= at:
					want = mail.CodeStale
				case gone:
					want = mail.CodeDeleted
				case !have && held >= int(params().MailboxQuota):
					want = mail.CodeFull
				}
				if r.Code != want {
					t.Fatalf("store %d in %d: %s, want %s", n, pair, r.Code, want)
				}
				if r.Code == mail.CodeStored {
					if have && !bytes.Equal(r.Body, receipts[key]) {
						t.Fatal("another receipt for the same item")
					}
					tw.items[key], receipts[key] = expiry, r.Body
				}
			case 1: // poll to the end
				got := map[byte]bool{}
				for _, c := range contents(t, m, pair, at) {
					got[c] = true
				}
				for k, expiry := range tw.items {
					if k[0] != pair {
						continue
					}
					if got[k[1]] != (expiry > at) {
						t.Fatalf("item %v with expiry %d, at %d: shown %t", k, expiry, at, got[k[1]])
					}
					delete(got, k[1])
				}
				if len(got) > 0 {
					t.Fatalf("items of nobody: %v", got)
				}
			case 2: // delete
				want, last := mail.CodeNone, chain.Time(0)
				for k, expiry := range tw.items {
					if k[1] == n {
						want, last = mail.CodeDeleted, max(last, expiry)
						delete(tw.items, k)
						delete(receipts, k)
					}
				}
				if want == mail.CodeDeleted {
					tw.deleted[n] = last + chain.Time(params().ChallengeWindow)
				} else if _, ok := tw.deleted[n]; ok {
					want = mail.CodeDeleted
				}
				if r := handle(mail.Command{Delete: &mail.Delete{Token: [32]byte{n}}})[0]; r.Code != want {
					t.Fatalf("delete %d: %s, want %s", n, r.Code, want)
				}
			case 3: // time passes
				at += chain.Time(step[2]) * chain.Time(genesis.Second)
			case 4: // sweep
				if _, err := m.Sweep(at); err != nil {
					t.Fatal(err)
				}
				for k, expiry := range tw.items {
					if expiry <= at {
						delete(tw.items, k)
						delete(receipts, k)
					}
				}
				for n, until := range tw.deleted {
					if until <= at {
						delete(tw.deleted, n)
					}
				}
			case 5: // what came out of a packet
				if c, err := small.Decode(raw); err == nil && c.Store == nil && c.Delete == nil {
					before := m.Items()
					handle(c)
					if c.Request == nil && m.Items() != before {
						t.Fatal("items came or went")
					}
				}
			}
		}
		requests := m.Items() - len(tw.items)
		if requests < 0 || requests > mailbox.RequestLimit {
			t.Fatalf("%d items, the twin has %d", m.Items(), len(tw.items))
		}
		if c, err := small.Decode(raw); err == nil {
			handle(c)
		}
		if m.Failures() != 0 {
			t.Fatalf("the store failed %d times", m.Failures())
		}
		if _, err := m.Sweep(at + 5*chain.Time(params().MailboxMost)); err != nil {
			t.Fatal(err)
		}
		if left := snapshot(s); left != empty || m.Items() != 0 {
			t.Fatalf("%d items left, rows:\n%s", m.Items(), left)
		}
	})
}

func fuzzBundle(n byte, serial uint64) []byte {
	b := bundle(n, serial, 3, now+1000)
	return b.Encode()
}
