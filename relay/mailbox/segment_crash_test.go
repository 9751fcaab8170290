package mailbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/internal/testenv"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// The names of folders in which the contents are long: those of one writer and of
// many at once.
const (
	longDir = "long"
	manyDir = "many"

	manyWriters = 8
)

// crashWithLong stores long items in segments of four and deletes most of them, so
// that segments are emptied all the time; it prints what is acknowledged, and ends
// the process with SIGKILL at the named step. With many writers, "ahead" is at the
// rows of a group when the next one has its contents on disk, and "behind" the same
// with these rows written.
func crashWithLong(end *testenv.Crash, writers int) {
	l, err := mailbox.OpenLevel(end.Dir, 0)
	end.Must(err)
	l.SegmentSize(4 * 32000)
	var waiting atomic.Int64 // groups that are staged and whose rows have not begun
	ahead := false           // what l calls at rows and counted, it calls one after the other
	l.Reached(func(step string) error {
		if step == "rows" {
			for range 50 {
				if ahead = waiting.Load() > 0; ahead || writers == 1 {
					break
				}
				time.Sleep(100 * time.Microsecond)
			}
			if ahead {
				end.Kill("ahead")
			}
		}
		if step == "counted" && ahead {
			end.Kill("behind")
		}
		end.Kill(step)
		if files := mailbox.Segments(end.Dir); step == "write" && len(files) > 0 {
			// Less than what is written over it in a moment.
			f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
			end.Must(err)
			f.Write(longContent(255)[:20000])
			end.Must(f.Close())
			end.Kill("torn")
		}
		return nil
	})
	cfg := config(l)
	inLarge(&cfg)
	cfg.Params.MailboxQuota = 16
	cfg.Kill = func(point string) {
		switch point {
		case "staged":
			waiting.Add(1)
		case "before-commit":
			waiting.Add(-1)
		}
		end.Kill(point)
	}
	m, err := mailbox.New(cfg)
	end.Must(err)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := w; i < 120; i += writers {
				r := m.Handle(now, epoch, long(byte(i), 2*byte(i/16), now+1000))
				if r[0].Code != mail.CodeStored {
					end.Must(fmt.Errorf("item %d: %s", i, r[0].Code))
				}
				fmt.Println("stored", i)
				if i%4 == 0 {
					continue
				}
				fmt.Println("deleting", i)
				if r := m.Handle(now, epoch, erase(byte(i))); r[0].Code != mail.CodeDeleted {
					end.Must(fmt.Errorf("deletion %d: %s", i, r[0].Code))
				}
				fmt.Println("deleted", i)
			}
		})
	}
	group.Wait()
	l.Idle()
	end.Must(l.Close())
	fmt.Println("closed")
}

// Killed at any step of any write, also of those that empty a segment: what has a
// receipt is there and whole, what was deleted is not, and no file is left to which
// nothing points.
func TestNoLongContentIsLostInACrash(t *testing.T) {
	for _, point := range []string{"begin", "write", "torn", "sync", "rows", "counted"} {
		for _, after := range []int{1, 2, 7, 30, 61} {
			if point == "begin" && after > 7 {
				after /= 3
			}
			killedWithLong(t, longDir, 1, point, after)
		}
	}
}

// The same with many at once, so that groups are staged while others are written.
func TestNoLongContentOfManyIsLostInACrash(t *testing.T) {
	for _, point := range []string{"torn", "sync", "staged", "before-commit", "ahead", "rows", "behind", "counted", "after-commit", "after-receipt"} {
		for _, after := range []int{1, 3, 8, 13} {
			killedWithLong(t, manyDir, manyWriters, point, after)
		}
	}
}

func killedWithLong(t *testing.T, name string, writers int, point string, after int) {
	t.Run(fmt.Sprintf("%s %d", point, after), func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), name)
		lines := testenv.Killed(t, dir, point, after)
		state := map[byte]string{}
		for _, line := range lines {
			var what string
			var n byte
			if _, err := fmt.Sscan(line, &what, &n); err == nil {
				state[n] = what
			}
		}
		l := openLevel(t, dir)
		defer l.Close()
		m := open(t, l, inLarge)
		there := map[byte]bool{}
		for pair := byte(0); pair < 16; pair += 2 {
			for _, n := range longIn(t, m, pair, now) {
				there[n] = true
			}
		}
		for n, what := range state {
			if what == "stored" && !there[n] || what == "deleted" && there[n] {
				t.Errorf("item %d: %s, and there: %t", n, what, there[n])
			}
		}
		unknown := 0 // those under way
		for n := range there {
			if state[n] == "" {
				unknown++
			}
		}
		if unknown > writers || m.Items() != len(there) {
			t.Errorf("%d items nobody stored; %d there, %d counted", unknown, len(there), m.Items())
		}
		for n := range there {
			one(t, m, now, erase(n))
		}
		l.Idle()
		if err := l.Close(); err != nil || len(mailbox.Segments(dir)) > 0 || m.Failures() != 0 {
			t.Errorf("%v; left of nothing: %q; %d failures", err, mailbox.Segments(dir), m.Failures())
		}
	})
}
