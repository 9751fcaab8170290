package mailbox_test

import (
	"bytes"
	"sync"
	"testing"

	"tunic/chain/statement"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// watched is a store that counts the items read, and calls scanned before each
// search for the places of a deleter.
type watched struct {
	mailbox.Store
	items   int
	scanned func()
}

func (w *watched) Get(key []byte) ([]byte, error) {
	if key[0] == 'i' {
		w.items++
	}
	return w.Store.Get(key)
}

func (w *watched) Scan(prefix, from []byte, fn func(key, value []byte) bool) error {
	if w.scanned != nil && prefix[0] == 'd' {
		f := w.scanned
		w.scanned = nil
		f()
	}
	return w.Store.Scan(prefix, from, fn)
}

// promise stores an item and reads its receipt.
func promise(t *testing.T, m *mailbox.Mailbox, c mail.Command) statement.Receipt {
	t.Helper()
	r := one(t, m, now, c)
	all, err := small.DecodeReceipts(r.Body)
	if r.Code != mail.CodeStored || err != nil || len(all) != 1 {
		t.Fatal(r.Code, err)
	}
	st, err := statement.Decode(all[0])
	if err != nil {
		t.Fatal(err)
	}
	x, err := statement.DecodeReceipt(st.Body)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Whoever makes up one deleter for many items cannot make the answer to a
// challenge of one of them dear.
func TestFindReadsOneItem(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		w := &watched{Store: s}
		m := open(t, w, nil)
		var all []statement.Receipt
		for n := range byte(40) {
			c := store(1, 100+2*(n/5), now+5000)
			c.Store.Content = bytes.Repeat([]byte{n}, small.Item())
			c.Store.Sign(network, key(100+2*(n/5)))
			all = append(all, promise(t, m, c))
		}
		for n, x := range all {
			w.items = 0
			a, found, err := m.Find(x, 2)
			if err != nil || !found || !a.Shows(x, 2) || w.items != 1 {
				t.Fatalf("item %d: %v, %v, %d items read", n, found, err, w.items)
			}
		}
		foreign := all[0]
		foreign.Chunks[0] ^= 1
		w.items = 0
		if _, found, err := m.Find(foreign, 2); found || err != nil || w.items != 0 {
			t.Fatalf("%v, %v, %d items read", found, err, w.items)
		}
	})
}

// An item that is deleted while it is looked for is shown by its token.
func TestFindWhileItIsDeleted(t *testing.T) {
	w := &watched{Store: new(mailbox.Memory)}
	m := open(t, w, nil)
	x := promise(t, m, store(1, 1, now+5000))
	w.scanned = func() {
		if r := one(t, m, now, mail.Command{Delete: &mail.Delete{Token: [32]byte{1}}}); r.Code != mail.CodeDeleted {
			t.Error(r.Code)
		}
	}
	if a, found, err := m.Find(x, 0); err != nil || !found || a.Token == nil || !a.Shows(x, 0) {
		t.Fatalf("%+v, %v, %v", a, found, err)
	}
}

// Commands may come while somebody waits for those before.
func TestDrainWhileCommandsCome(t *testing.T) {
	m := open(t, new(mailbox.Memory), nil)
	var wg sync.WaitGroup
	for n := range byte(4) {
		wg.Go(func() {
			for range 200 {
				m.Handle(now, epoch, store(n, 2*n+1, now+1000))
			}
		})
	}
	for range 200 {
		m.Drain()
	}
	wg.Wait()
	m.Drain()
	if m.Items() != 4 {
		t.Fatal(m.Items())
	}
}
