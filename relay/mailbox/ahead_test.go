package mailbox_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// do begins commands, in order.
func do(m *mailbox.Mailbox, cmds ...mail.Command) (replies []chan mail.Reply) {
	for _, c := range cmds {
		reply := make(chan mail.Reply, 1)
		m.Do(now, epoch, c, mailbox.ByClient, func(o mailbox.Outcome) { reply <- o.Reply })
		replies = append(replies, reply)
	}
	return replies
}

func expect(t *testing.T, replies []chan mail.Reply, want ...mail.Code) {
	t.Helper()
	for i, reply := range replies {
		if r := <-reply; r.Code != want[i] {
			t.Errorf("command %d: %s, not %s", i, r.Code, want[i])
		}
	}
}

// A group that is carried out while the one before is written sees what that one
// changes, and is answered after it. Where that write fails, nobody has seen
// anything of it, and only its commands have failed.
func TestGroupsSeeTheOneBefore(t *testing.T) {
	const stored, deleted, none, busy = mail.CodeStored, mail.CodeDeleted, mail.CodeNone, mail.CodeBusy
	for name, c := range map[string]struct {
		cmds            []mail.Command
		written, failed []mail.Code // their replies by what became of item 1, which the group before has brought
		left, leftAfter []byte
		files           int // where that has failed; that of its content is kept in this run
	}{
		"delete":    {[]mail.Command{erase(1), long(1, 1, now+1000), long(2, 1, now+1000)}, []mail.Code{deleted, deleted, stored}, []mail.Code{none, stored, stored}, []byte{2, 9}, []byte{1, 2, 9}, 3},
		"again":     {[]mail.Command{long(1, 1, now+1000), long(2, 1, now+1000), erase(2)}, []mail.Code{stored, stored, deleted}, []mail.Code{stored, stored, deleted}, []byte{1, 9}, []byte{1, 9}, 3},
		"room":      {[]mail.Command{long(2, 1, now+1000), long(3, 1, now+1000), erase(9)}, []mail.Code{stored, busy, deleted}, []mail.Code{stored, stored, deleted}, []byte{1, 2}, []byte{2, 3}, 2},
		"long gone": {[]mail.Command{long(2, 1, now+1000), erase(1), erase(1), erase(2)}, []mail.Code{stored, deleted, deleted, deleted}, []mail.Code{stored, none, none, deleted}, []byte{9}, []byte{9}, 2},
	} {
		for _, fails := range []error{nil, errors.New("the disk is gone")} {
			t.Run(name+map[bool]string{true: " written", false: " failed"}[fails == nil], func(t *testing.T) {
				dir := t.TempDir()
				l := openLevel(t, dir)
				l.SegmentSize(1) // a segment for each group
				rows, staged := make(chan error), make(chan struct{}, 10)
				at := make(chan struct{}, 10)
				m := open(t, l, func(cfg *mailbox.Config) {
					inLarge(cfg)
					cfg.MaxItems = 3
					cfg.Kill = func(point string) {
						if point == "staged" {
							staged <- struct{}{}
						}
					}
				})
				l.Reached(func(step string) error {
					if step != "rows" {
						return nil
					}
					at <- struct{}{}
					return <-rows
				})
				first := do(m, long(9, 1, now+1000))
				<-staged
				<-at
				second := do(m, long(1, 1, now+1000))
				<-staged
				third := do(m, c.cmds...) // which waits for the first two, as a whole
				rows <- nil
				expect(t, first, stored)
				<-at
				<-staged // the third
				select {
				case <-at:
					t.Error("rows are written beside those of the group before")
				case <-third[0]:
					t.Error("answered before the group before is written")
				case <-time.After(5 * time.Millisecond):
				}
				rows <- fails
				want, left, files := c.written, c.left, 2
				if fails == nil {
					expect(t, second, stored)
				} else {
					expect(t, second, busy)
					<-staged // once more
					want, left, files = c.failed, c.leftAfter, c.files
				}
				<-at
				rows <- nil
				expect(t, third, want...)
				m.Drain()
				l.Reached(func(string) error { return nil })
				if got := mailbox.Segments(dir); len(got) != files {
					t.Errorf("%d segments: %q", files, got)
				}
				for range 2 {
					if got := slices.Sorted(slices.Values(longIn(t, m, 1, now))); !bytes.Equal(got, left) || m.Items() != len(left) {
						t.Errorf("%v, %d counted, not %v", got, m.Items(), left)
					}
					l.Idle()
					l.Close()
					l = openLevel(t, dir)
					m = open(t, l, inLarge)
				}
				for _, n := range left {
					one(t, m, now, erase(n))
				}
				if l.Close(); len(mailbox.Segments(dir)) > 0 {
					t.Errorf("left of nothing: %q", mailbox.Segments(dir))
				}
			})
		}
	}
}

// A staged store answers as one does that writes a group at a time, whatever the
// groups are; and where writes fail, at any step, what it answers is what it has.
func TestStagedGroupsAnswerAlike(t *testing.T) {
	const commands = 400
	for _, failing := range []bool{false, true} {
		t.Run(map[bool]string{false: "writes", true: "writes that fail"}[failing], func(t *testing.T) {
			dir := t.TempDir()
			l := openLevel(t, dir)
			l.SegmentSize(6 * 32000)
			var ahead, failed, n atomic.Int64
			wake := make(chan struct{}, 1)
			l.Reached(func(step string) error {
				switch step {
				case "rows": // until the next group is staged, where there is one
					select {
					case <-wake:
						ahead.Add(1)
					case <-time.After(2 * time.Millisecond):
					}
				case "counted":
					return nil
				}
				if failing && n.Add(1)%7 == 0 {
					failed.Add(1)
					return errors.New("the disk is gone")
				}
				return nil
			})
			m := open(t, l, func(c *mailbox.Config) {
				inLarge(c)
				c.Kill = func(point string) {
					if point == "staged" {
						select {
						case wake <- struct{}{}:
						default:
						}
					}
				}
			})
			twin := open(t, new(mailbox.Memory), inLarge)
			random := rand.New(rand.NewPCG(1, 2))
			state := map[byte]string{} // of items; "" is both: stored, and not
			for begun := 0; begun < commands; {
				var cmds []mail.Command
				var items []byte
				for range 1 + random.IntN(40) {
					i := byte(random.IntN(60))
					if items = append(items, i); random.IntN(3) > 0 {
						cmds = append(cmds, long(i, 2*(i%4), now+1000))
					} else {
						cmds = append(cmds, erase(i))
					}
				}
				begun += len(cmds)
				replies := do(m, cmds...)
				for k, c := range cmds {
					r := <-replies[k]
					if !failing {
						if want := one(t, twin, now, c); want.Code != r.Code || !bytes.Equal(want.Body, r.Body) {
							t.Fatalf("command %d: %s, not %s", begun-len(cmds)+k, r.Code, want.Code)
						}
					}
					switch r.Code {
					case mail.CodeStored:
						state[items[k]] = "stored"
					case mail.CodeDeleted:
						state[items[k]] = "deleted"
					case mail.CodeBusy, mail.CodeFull, mail.CodeNone:
					default:
						t.Fatal(r.Code)
					}
				}
			}
			m.Drain()
			l.Reached(func(string) error { return nil })
			if ahead.Load() == 0 || failing && failed.Load() == 0 {
				t.Fatalf("%d groups were ahead, %d steps failed", ahead.Load(), failed.Load())
			}
			for range 2 {
				there := map[byte]bool{}
				for pair := byte(0); pair < 8; pair += 2 {
					for _, i := range longIn(t, m, pair, now) {
						if there[i] {
							t.Errorf("item %d is there twice", i)
						}
						there[i] = true
					}
				}
				for i := range byte(60) {
					if (state[i] == "stored") != there[i] {
						t.Errorf("item %d: %s, and there: %t", i, state[i], there[i])
					}
				}
				if m.Items() != len(there) {
					t.Errorf("%d items, %d counted", len(there), m.Items())
				}
				l.Idle()
				l.Close()
				l = openLevel(t, dir)
				m = open(t, l, inLarge)
			}
			for i := range byte(60) {
				one(t, m, now, erase(i))
			}
			l.Idle()
			if l.Close(); len(mailbox.Segments(dir)) > 0 || m.Failures() != 0 {
				t.Errorf("left of nothing: %q; %d failures", mailbox.Segments(dir), m.Failures())
			}
		})
	}
}

// A segment stays while contents in it wait for their rows, and goes when they are
// dropped, or deleted; it is not emptied in between.
func TestSegmentsOfStagedContents(t *testing.T) {
	dir := t.TempDir()
	l := openLevel(t, dir)
	defer l.Close()
	const most = 40000
	l.SegmentSize(5 * most)
	row := func(n byte) []mailbox.Row {
		return []mailbox.Row{{Key: []byte{'c', n}, Value: bytes.Repeat([]byte{n}, most)}}
	}
	stage := func(n byte) (func() error, func()) {
		write, drop, err := l.Stage(row(n))
		if err != nil {
			t.Fatal(err)
		}
		return write, drop
	}
	do := func(write func() error) {
		t.Helper()
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	erase := func(n byte) {
		t.Helper()
		do(func() error { return l.Write([]mailbox.Row{{Key: []byte{'c', n}}}) })
		l.Idle()
	}
	files := func(want int, when string) {
		t.Helper()
		if got := mailbox.Segments(dir); len(got) != want {
			t.Errorf("%s: %q", when, got)
		}
	}
	for n := range byte(4) {
		do(func() error { return l.Write(row(n)) })
	}
	last, _ := stage(4) // the segment is full
	_, drop := stage(5) // so this is in the next one
	for n := range byte(4) {
		erase(n)
	}
	files(2, "with one that waits in each")
	if v, err := l.Get([]byte{'c', 4}); v != nil || err != nil {
		t.Errorf("%d bytes before they are written, %v", len(v), err)
	}
	do(last)
	if v, err := l.Get([]byte{'c', 4}); !bytes.Equal(v, row(4)[0].Value) || err != nil {
		t.Errorf("%d bytes, %v", len(v), err)
	}
	erase(4)
	files(1, "with nothing in the first")
	for n := range byte(4) {
		do(func() error { return l.Write(row(n)) })
	}
	do(func() error { return l.Write(row(6)) })
	for n := range byte(4) {
		erase(n)
	}
	files(2, "with one that waits in the second, and the third")
	drop()
	files(1, "when it is dropped")
}
