package mailbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tunic/internal/testenv"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// longDir is the name of a folder in which the contents are long.
const longDir = "long"

// crashWithLong stores long items in segments of four and deletes most of them, so
// that segments are emptied all the time; it prints what is acknowledged, and ends
// the process with SIGKILL at the named step.
func crashWithLong(end *testenv.Crash) {
	die := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	l, err := mailbox.OpenLevel(end.Dir, 0)
	die(err)
	l.SegmentSize(4 * 32000)
	l.Reached(func(step string) error {
		end.Kill(step)
		if files := mailbox.Segments(end.Dir); step == "write" && len(files) > 0 {
			// Less than what is written over it in a moment.
			f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
			die(err)
			f.Write(longContent(255)[:20000])
			die(f.Close())
			end.Kill("torn")
		}
		return nil
	})
	cfg := config(l)
	inLarge(&cfg)
	m, err := mailbox.New(cfg)
	die(err)
	for i := 0; i < 120; i++ {
		if r := m.Handle(now, epoch, long(byte(i), 2*byte(i/16), now+1000)); r[0].Code != mail.CodeStored && r[0].Code != mail.CodeFull {
			die(fmt.Errorf("item %d: %s", i, r[0].Code))
		} else if r[0].Code == mail.CodeStored {
			fmt.Println("stored", i)
		}
		if i%4 != 0 {
			fmt.Println("deleting", i)
			if r := m.Handle(now, epoch, erase(byte(i))); r[0].Code != mail.CodeDeleted {
				die(fmt.Errorf("deletion %d: %s", i, r[0].Code))
			}
			fmt.Println("deleted", i)
		}
	}
	l.Idle()
	die(l.Close())
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
			t.Run(fmt.Sprintf("%s %d", point, after), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), longDir)
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
				unknown := 0 // the one under way
				for n := range there {
					if state[n] == "" {
						unknown++
					}
				}
				if unknown > 1 || m.Items() != len(there) {
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
	}
}
