package mailbox_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// After a repair nothing points to what was lost: what is left is served, what
// is lost can be stored again, and in the end nothing stays behind.
func TestRepairLeavesNoRowThatPointsToNothing(t *testing.T) {
	dir := t.TempDir()
	l, err := mailbox.OpenLevel(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, l, nil)
	for i := range byte(40) {
		if r := one(t, m, now, store(i, 2*(i/8), now+1000)); r.Code != mail.CodeStored {
			t.Fatal(r.Code)
		}
	}
	account := mail.AccountID{7}
	for i := range byte(3) {
		one(t, m, now, mail.Command{Request: request(t, account, i, mail.DefaultWork)})
	}
	one(t, m, now, mail.Command{PutBundle: &mail.PutBundle{Bundle: bundle(60, 1, 3, now+1000).Encode()}})
	for i := range byte(5) {
		one(t, m, now, mail.Command{Delete: &mail.Delete{Token: [32]byte{8 * i}}})
	}
	// Some rows of each kind are lost.
	lost := map[byte]int{}
	var gone []mailbox.Row
	n := 0
	l.Scan(nil, nil, func(k, _ []byte) bool {
		if n++; n%3 == 0 && k[0] != 'v' {
			lost[k[0]]++
			gone = append(gone, mailbox.Row{Key: bytes.Clone(k)})
		}
		return true
	})
	if err := l.Write(gone); err != nil {
		t.Fatal(err)
	}
	if len(lost) < 5 {
		t.Fatalf("lost %v", lost)
	}
	l.Close()
	if err := mailbox.Repair(dir); err != nil {
		t.Fatal(err)
	}
	if l, err = mailbox.OpenLevel(dir, 0); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var items, states []string
	l.Scan([]byte{'i'}, nil, func(k, _ []byte) bool { items = append(items, fmt.Sprintf("%x", k[1:])); return true })
	l.Scan([]byte{'s'}, nil, func(k, v []byte) bool {
		if s := mail.RowState(v[0]); s == mail.RowItem || s == mail.RowRequest {
			states = append(states, fmt.Sprintf("%x%x", k[1:33], v[9:17]))
		}
		return true
	})
	slices.Sort(states)
	m = open(t, l, nil)
	if !slices.Equal(items, states) || len(items) == 0 || m.Items() != len(items) {
		t.Fatalf("%d items, %d states, %d counted", len(items), len(states), m.Items())
	}
	for i := range byte(40) {
		r := one(t, m, now, store(i, 2*(i/8), now+1000))
		if r.Code != mail.CodeStored && (i%8 != 0 || r.Code != mail.CodeDeleted) {
			t.Fatalf("item %d: %s", i, r.Code)
		}
	}
	for pair := byte(0); pair < 10; pair += 2 {
		if got := contents(t, m, pair, now); len(got) < 7 || len(got) > 8 {
			t.Fatalf("mailbox %d: %v", pair, got)
		}
	}
	end := now + 3*chain.Time(params().MailboxMost)
	for _, at := range []chain.Time{end, end + 2} { // mailboxes go after their items
		if _, err := m.Sweep(at); err != nil {
			t.Fatal(err)
		}
	}
	rows := 0
	l.Scan(nil, nil, func(_, _ []byte) bool { rows++; return true })
	if rows != 2 || // its version, and when it was begun
		m.Items() != 0 {
		t.Fatalf("%d rows, %d items left", rows, m.Items())
	}
}
