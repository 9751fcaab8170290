package relay_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/onion/mail"
	"tunic/relay"
	"tunic/relay/mailbox"
)

func memberDir(dir string, i int) string { return filepath.Join(dir, strconv.Itoa(i)) }

// crash is a swarm of three whose client stores items and prints who signed for
// each, until the process is killed at the named point. Every third member is
// asked in turn.
func crash(end *testenv.Crash) {
	t := &bareT{}
	n := newNetwork(t, 3, nil, func(i int, c *relay.Config) {
		standing(i, c)
		l, err := mailbox.OpenLevel(memberDir(end.Dir, i), 0)
		if err != nil {
			t.Fatal(err)
		}
		c.Store = l
		c.Kill = end.Kill
	})
	n.epoch()
	c := n.client(0)
	for i := 0; ; i++ {
		s, _ := n.item(i, genesis.Hour)
		for _, id := range n.signers(s, c.direct(i%3, mail.Command{Store: s})) {
			item := s.Item()
			fmt.Printf("%x %s\n", item[:], id)
		}
	}
}

// bareT is a testing.TB of a process that is no test.
type bareT struct{ testing.TB }

func (*bareT) Helper()        {}
func (*bareT) Cleanup(func()) {}
func (*bareT) Fatal(a ...any) { fmt.Fprintln(os.Stderr, a...); os.Exit(1) }
func (*bareT) Fatalf(f string, a ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", a...)
	os.Exit(1)
}
func (*bareT) Logf(string, ...any) {}

// A receipt of any member, also one that another member collected, is of what
// is on that member's disk, wherever all of them are killed.
func TestNoReceiptOfAnyMemberIsLostInACrash(t *testing.T) {
	members := []chain.NodeID{}
	for i := range 3 {
		members = append(members, idOf(keyOf(byte(i+1))))
	}
	for _, point := range []string{"before-commit", "after-commit", "after-receipt", "after-copies", "before-answer"} {
		for _, after := range []int{1, 2, 11, 40} {
			t.Run(fmt.Sprintf("%s %d", point, after), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				lines := testenv.Killed(t, dir, point, after)
				kept := make([]map[string]bool, 3)
				for i := range kept {
					kept[i] = map[string]bool{}
					l, err := mailbox.OpenLevel(memberDir(dir, i), 0)
					if err != nil {
						t.Fatal(err)
					}
					l.Scan([]byte{'s'}, nil, func(k, v []byte) bool {
						if item, _ := l.Get(append(append([]byte{'i'}, k[1:33]...), v[9:17]...)); item == nil {
							t.Error("a state without its item")
						}
						kept[i][hex.EncodeToString(k[33:])] = true
						return true
					})
					l.Close()
				}
				receipts := 0
				for _, line := range lines {
					item, id, ok := strings.Cut(line, " ")
					if !ok {
						continue
					}
					receipts++
					i := slices.IndexFunc(members, func(m chain.NodeID) bool { return m.String() == id })
					if i < 0 || !kept[i][item] {
						t.Errorf("a receipt of %s, which has not got the item", id)
					}
				}
				if after == 40 && receipts < 2 {
					t.Errorf("%d receipts before the end", receipts)
				}
			})
		}
	}
}
