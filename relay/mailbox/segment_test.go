package mailbox_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

var large = mail.FormatOf(onion.Large)

func inLarge(c *mailbox.Config) { c.Format = large }

// long is a store of a content that is a row of its own, drawn from n.
func long(n byte, pair byte, expiry chain.Time) mail.Command {
	c := store(n, pair, expiry)
	c.Store.Content = longContent(n)
	c.Store.Sign(network, key(pair))
	return c
}

func longContent(n byte) []byte {
	b := make([]byte, large.Item())
	rand.NewChaCha8([32]byte{n}).Read(b)
	b[0] = n
	return b
}

// longIn polls a mailbox to its end and returns the first bytes of what is there,
// each of which is whole.
func longIn(t *testing.T, m *mailbox.Mailbox, pair byte, at chain.Time) (got []byte) {
	t.Helper()
	for after := uint64(0); ; {
		r := m.Handle(at, epoch, poll(pair, after, at))
		if r[0].Code == mail.CodeNone {
			return got
		}
		for _, x := range r {
			if x.Code == mail.CodeNone {
				continue
			}
			if x.Code != mail.CodeItem {
				t.Fatalf("polled %s", x.Code)
			}
			i, err := large.DecodeItem(x.Body)
			if err != nil || !bytes.Equal(i.Content, longContent(i.Content[0])) {
				t.Fatalf("an item that was not stored: %v", err)
			}
			got, after = append(got, i.Content[0]), i.Cursor
		}
	}
}

func erase(n byte) mail.Command { return mail.Command{Delete: &mail.Delete{Token: [32]byte{n}}} }

func openLevel(t *testing.T, dir string) *mailbox.Level {
	t.Helper()
	l, err := mailbox.OpenLevel(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// onDisk is how many bytes the segments have.
func onDisk(t *testing.T, dir string) (sum int64) {
	t.Helper()
	for _, name := range mailbox.Segments(dir) {
		if info, err := os.Stat(name); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// A long content lives and goes with its item, over either store.
func TestLongContents(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, inLarge)
		for i := range byte(8) {
			for range 2 { // the second changes nothing
				if r := one(t, m, now, long(i, 1, now+1000+chain.Time(i))); r.Code != mail.CodeStored {
					t.Fatal(r.Code)
				}
			}
		}
		if got := longIn(t, m, 1, now); !bytes.Equal(got, []byte{0, 1, 2, 3, 4, 5, 6, 7}) {
			t.Fatalf("%v", got)
		}
		one(t, m, now, erase(3))
		if got := longIn(t, m, 1, now); !bytes.Equal(got, []byte{0, 1, 2, 4, 5, 6, 7}) {
			t.Fatalf("%v", got)
		}
		if _, err := m.Sweep(now + 1002); err != nil {
			t.Fatal(err)
		}
		if got := longIn(t, m, 1, now); !bytes.Equal(got, []byte{4, 5, 6, 7}) {
			t.Fatalf("%v", got)
		}
		contents := 0
		s.Scan([]byte{'c'}, nil, func(_, v []byte) bool { contents++; return len(v) == large.Item() })
		if contents != 4 {
			t.Fatalf("%d contents", contents)
		}
		// What another member asks for has it too.
		scope := &mail.Scope{At: now}
		rows, _, err := m.List(scope, 100)
		if err != nil {
			t.Fatal(err)
		}
		var shorts []mail.Short
		for _, r := range rows {
			shorts = append(shorts, r.Short)
		}
		copies, err := m.Rows(scope, shorts, 100)
		whole := 0
		for _, c := range copies {
			if st := c.Command.Store; st != nil && bytes.Equal(st.Content, longContent(st.Content[0])) && st.Verify(network) == nil {
				whole++
			}
		}
		if err != nil || whole != 4 {
			t.Fatalf("%d whole of %d, %v", whole, len(copies), err)
		}
		m.Sweep(now + 3*chain.Time(params().MailboxMost))
		m.Sweep(now + 4*chain.Time(params().MailboxMost))
		left := 0
		s.Scan(nil, nil, func(_, _ []byte) bool { left++; return true })
		if left != 2 || m.Failures() != 0 { // the version, and the day of the first item
			t.Fatalf("%d rows, %d failures", left, m.Failures())
		}
	})
}

// The disk has the space of what is gone again, as soon as that is more than what
// is left; what is left is what was stored, also for a reader beside it and after
// a restart.
func TestSpaceComesBack(t *testing.T) {
	dir := t.TempDir()
	l := openLevel(t, dir)
	l.SegmentSize(8 << 15)
	quota := func(c *mailbox.Config) {
		inLarge(c)
		p := *c.Params
		p.MailboxQuota = 1000
		c.Params = &p
	}
	m := open(t, l, quota)
	for i := range byte(120) {
		if r := one(t, m, now, long(i, 2*(i%4), now+1000)); r.Code != mail.CodeStored {
			t.Fatal(r.Code)
		}
	}
	before := onDisk(t, dir)
	if n := len(mailbox.Segments(dir)); n < 5 || before < 120*32000 {
		t.Fatalf("%d segments, %d bytes", n, before)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for pair := range byte(4) {
		readers.Go(func() {
			for {
				longIn(t, m, 2*pair, now)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range byte(120) {
		if i%5 != 0 {
			if r := one(t, m, now, erase(i)); r.Code != mail.CodeDeleted {
				t.Fatal(r.Code)
			}
		}
	}
	l.Idle()
	close(done)
	readers.Wait()
	const live = 24 * 33000
	if after := onDisk(t, dir); after > 2*live+2*(8<<15) {
		t.Errorf("%d bytes before, %d after four fifths were deleted", before, after)
	}
	for range 2 {
		n := 0
		for pair := range byte(4) {
			for _, i := range longIn(t, m, 2*pair, now) {
				if i%5 != 0 {
					t.Errorf("%d is back", i)
				}
				n++
			}
		}
		if n != 24 || m.Failures() != 0 {
			t.Fatalf("%d items, %d failures", n, m.Failures())
		}
		l.Close()
		l = openLevel(t, dir)
		m = open(t, l, quota)
	}
	if _, err := m.Sweep(now + 1000); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if left := mailbox.Segments(dir); len(left) != 0 {
		t.Errorf("left of nothing: %q", left)
	}
}

// A write that fails changes nothing and loses nothing, wherever it fails; the
// next one that does not is as good as ever, and so is a restart.
func TestWritesThatFail(t *testing.T) {
	full := errors.New("no space left")
	for _, step := range []string{"begin", "write", "sync", "rows"} {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			l := openLevel(t, dir)
			m := open(t, l, inLarge)
			if step != "begin" {
				one(t, m, now, long(0, 1, now+1000))
			}
			failed := 0
			l.Reached(func(at string) error {
				if at != step {
					return nil
				}
				failed++
				if step == "write" { // half of it is there
					files := mailbox.Segments(dir)
					f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
					if err != nil {
						return err
					}
					defer f.Close()
					f.Write(make([]byte, 12345))
				}
				return full
			})
			for i := range byte(3) {
				if r := one(t, m, now, long(1+i, 1, now+1000)); r.Code != mail.CodeBusy {
					t.Fatal(r.Code)
				}
			}
			if failed == 0 || m.Failures() != 3 {
				t.Fatalf("%d steps failed, %d failures", failed, m.Failures())
			}
			if size := onDisk(t, dir); step != "rows" && size > 33000 {
				t.Errorf("%d bytes of nobody", size)
			}
			l.Reached(func(string) error { return nil })
			want := []byte{0, 4}
			if step == "begin" {
				want = []byte{4}
			}
			if r := one(t, m, now, long(4, 1, now+1000)); r.Code != mail.CodeStored {
				t.Fatal(r.Code)
			}
			for range 2 {
				if got := longIn(t, m, 1, now); !bytes.Equal(got, want) {
					t.Fatalf("%v", got)
				}
				l.Close()
				l = openLevel(t, dir)
				m = open(t, l, inLarge)
			}
			l.Close()
			// What nobody points to is gone by now.
			if size := onDisk(t, dir); size > int64(len(want))*33000 && step != "rows" {
				t.Errorf("%d bytes", size)
			}
		})
	}
}

// filled is a folder with n long items, in segments of a few.
func filled(t *testing.T, n byte) string {
	t.Helper()
	dir := t.TempDir()
	l := openLevel(t, dir)
	l.SegmentSize(4 * 32000) // four
	m := open(t, l, inLarge)
	for i := range n {
		if r := one(t, m, now, long(i, 2*(i/8), now+1000)); r.Code != mail.CodeStored {
			t.Fatal(r.Code)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func allLong(t *testing.T, m *mailbox.Mailbox) (got []byte) {
	t.Helper()
	for pair := byte(0); pair < 8; pair += 2 {
		got = append(got, longIn(t, m, pair, now)...)
	}
	return got
}

// What a crash leaves behind what counts is nobody's.
func TestTornSegment(t *testing.T) {
	dir := filled(t, 6)
	files := mailbox.Segments(dir)
	last := files[len(files)-1]
	f, err := os.OpenFile(last, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(make([]byte, 50000))
	f.Close()
	// And a segment that was begun alone, and what is no segment.
	os.WriteFile(filepath.Join(filepath.Dir(last), "00000000000000ff.seg"), nil, 0o600)
	os.WriteFile(filepath.Join(filepath.Dir(last), "notes.seg"), nil, 0o600)
	l := openLevel(t, dir)
	defer l.Close()
	m := open(t, l, inLarge)
	if got := allLong(t, m); len(got) != 6 {
		t.Fatalf("%v", got)
	}
	if r := one(t, m, now, long(6, 0, now+1000)); r.Code != mail.CodeStored {
		t.Fatal(r.Code)
	}
	if got := allLong(t, m); len(got) != 7 {
		t.Fatalf("%v", got)
	}
	var names []string
	for _, f := range mailbox.Segments(dir) {
		names = append(names, filepath.Base(f))
	}
	if fmt.Sprint(names) != "[0000000000000001.seg 0000000000000002.seg 0000000000000100.seg notes.seg]" {
		t.Errorf("%v", names)
	}
}

// What is damaged is not served, and is not opened where that shows at once; a
// repair keeps the rest, and the sender can store it again.
func TestDamagedContents(t *testing.T) {
	change := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		opens  bool
		lost   int
	}{
		"a bit":          {change, true, 1},
		"a length":       {func(b []byte) []byte { b[5] ^= 1; return b }, true, 1},
		"cut":            {func(b []byte) []byte { return b[:len(b)-1] }, false, 1},
		"another order":  {func(b []byte) []byte { return append(b[len(b)/2:], b[:len(b)/2]...) }, true, 0}, // a repair finds them
		"empty":          {func(b []byte) []byte { return nil }, false, 4},
		"file":           {nil, false, 4},
		"a bit, and cut": {func(b []byte) []byte { b[100] ^= 1; return b[:len(b)-1] }, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t, 16)
			file := mailbox.Segments(dir)[1] // items 4 to 7
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if os.Remove(file); c.damage != nil {
				os.WriteFile(file, c.damage(b), 0o600)
			}
			l, err := mailbox.OpenLevel(dir, 0)
			if c.opens != (err == nil) || err != nil && !errors.Is(err, mailbox.ErrDamaged) {
				t.Fatalf("open: %v", err)
			}
			if err == nil {
				m := open(t, l, inLarge)
				busy := 0
				box := long(0, 0, now+1000).Store.Mailbox()
				last, err := l.Get(append([]byte{'n'}, box[:]...))
				if err != nil || len(last) < 8 {
					t.Fatal(last, err)
				}
				for after := range uint64(16) {
					if r := m.Handle(now, epoch, poll(0, binary.BigEndian.Uint64(last)-1-after, now)); r[0].Code == mail.CodeBusy {
						busy++
					}
				}
				if busy == 0 || m.Failures() == 0 {
					t.Errorf("a damaged content is not noticed")
				}
				l.Close()
			}
			if err := mailbox.Repair(dir); err != nil {
				t.Fatal(err)
			}
			l = openLevel(t, dir)
			defer l.Close()
			m := open(t, l, inLarge)
			if got := allLong(t, m); len(got) != 16-c.lost || m.Items() != len(got) {
				t.Errorf("%d items are left, %d counted: %v", len(got), m.Items(), got)
			}
			for i := range byte(16) {
				if r := one(t, m, now, long(i, 2*(i/8), now+1000)); r.Code != mail.CodeStored {
					t.Errorf("item %d again: %s", i, r.Code)
				}
			}
			if got := allLong(t, m); len(got) != 16 || m.Failures() != 0 {
				t.Errorf("%d items, %d failures", len(got), m.Failures())
			}
		})
	}
}

// Where the database has lost the place of a content, a repair finds it; and it
// makes nothing of contents whose items are gone.
func TestRepairFindsContents(t *testing.T) {
	dir := filled(t, 16)
	db, err := leveldb.OpenFile(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	it := db.NewIterator(nil, nil)
	lost, orphans := 0, 0
	batch := new(leveldb.Batch)
	for n := 0; it.Next(); n++ {
		switch k := it.Key(); {
		case k[0] == 'c' && n%2 == 0:
			batch.Delete(k)
			lost++
		case k[0] == 'i' && n%5 == 0:
			batch.Delete(k)
			orphans++
		}
	}
	it.Release()
	if err := errors.Join(db.Write(batch, nil), db.Close()); err != nil || lost == 0 || orphans == 0 {
		t.Fatal(err, lost, orphans)
	}
	if err := mailbox.Repair(dir); err != nil {
		t.Fatal(err)
	}
	l := openLevel(t, dir)
	defer l.Close()
	m := open(t, l, inLarge)
	contents := 0
	l.Scan([]byte{'c'}, nil, func(_, _ []byte) bool { contents++; return true })
	if got := allLong(t, m); len(got) != 16-orphans || contents != len(got) {
		t.Fatalf("%d items, %d contents of 16 with %d items lost", len(got), contents, orphans)
	}
}

// A store whose contents stand in their items is read on, by and by replaced.
func TestContentsInTheirItems(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		from := new(mailbox.Memory)
		m := open(t, from, inLarge)
		for i := range byte(4) {
			one(t, m, now, long(i, 1, now+1000))
		}
		var rows []mailbox.Row
		from.Scan(nil, nil, func(k, v []byte) bool {
			rows = append(rows, mailbox.Row{Key: bytes.Clone(k), Value: bytes.Clone(v)})
			return true
		})
		if err := s.Write(mailbox.InlinedContents(rows)); err != nil {
			t.Fatal(err)
		}
		m = open(t, s, inLarge)
		one(t, m, now, long(4, 1, now+1000))
		one(t, m, now, erase(1))
		if got := longIn(t, m, 1, now); !bytes.Equal(got, []byte{0, 2, 3, 4}) {
			t.Fatalf("%v", got)
		}
		if v, _ := s.Get([]byte{'v'}); !bytes.Equal(v, []byte{3}) {
			t.Errorf("version %x", v)
		}
		m.Sweep(now + 3*chain.Time(params().MailboxMost))
		m.Sweep(now + 4*chain.Time(params().MailboxMost))
		left := 0
		s.Scan(nil, nil, func(_, _ []byte) bool { left++; return true })
		if left != 2 { // the version, and the day of the first item
			t.Errorf("%d rows left", left)
		}
	})
}

// A segment is read as far as it is whole, whatever it is.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	l, err := mailbox.OpenLevel(dir, 0)
	if err != nil {
		f.Fatal(err)
	}
	if err := l.Write([]mailbox.Row{{Key: []byte("c1"), Value: []byte("one")}, {Key: []byte("c2"), Value: []byte("two")}}); err != nil {
		f.Fatal(err)
	}
	l.Close()
	whole, err := os.ReadFile(mailbox.Segments(dir)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		file := filepath.Join(dir, "contents", "0000000000000001.seg")
		if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		size := 0
		if err := mailbox.Walk(dir, func(k, v []byte) { size += 12 + len(k) + len(v) }); err != nil || size > len(b) {
			t.Fatalf("%d bytes of records in %d, %v", size, len(b), err)
		}
		if bytes.HasPrefix(b, whole) && size < len(whole) {
			t.Fatal("what is whole is not read")
		}
	})
}
