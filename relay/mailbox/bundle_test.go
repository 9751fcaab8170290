package mailbox_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// onceBundle is one that is handed out once, of an account that began at since.
func onceBundle(n byte, serial uint64, since, until chain.Time) mail.Bundle {
	b := bundle(n, serial, 3, until)
	b.Once, b.Since = true, since
	b.Sign(network, key(n))
	return b
}

func put(b mail.Bundle) mail.Command {
	return mail.Command{PutBundle: &mail.PutBundle{Bundle: b.Encode()}}
}

// Each bundle is handed out once, also over a restart, the oldest first; after
// that everybody gets the last resort.
func TestOnce(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, nil)
		account := bundle(60, 1, 3, now+1000).Account()
		get := func(once bool) mail.Reply {
			t.Helper()
			return one(t, m, now, mail.Command{GetBundle: &mail.GetBundle{Account: account, Once: once}})
		}
		if r := get(true); r.Code != mail.CodeNone {
			t.Errorf("before there is any: %s", r.Code)
		}
		last := bundle(60, 9, 3, now+1000)
		for i, b := range []mail.Bundle{onceBundle(60, 7, 0, now+1000), onceBundle(60, 5, 0, now+1000), last, onceBundle(60, 7, 0, now+1000)} {
			r := one(t, m, now, put(b))
			if want := uint16(min(i+1, 2)); r.Code != mail.CodeAccepted || len(r.Body) != 2 || binary.BigEndian.Uint16(r.Body) != want {
				t.Errorf("bundle %d: %s %x, want %d of them", i, r.Code, r.Body, want)
			}
		}
		changed := onceBundle(60, 7, 0, now+999)
		if r := one(t, m, now, put(changed)); r.Code != mail.CodeOutdated {
			t.Errorf("another one with this serial: %s", r.Code)
		}
		is := func(what string, r mail.Reply, want mail.Bundle) {
			t.Helper()
			if r.Code != mail.CodeFound || !bytes.Equal(r.Body, want.Encode()) {
				t.Errorf("%s: %s", what, r.Code)
			}
		}
		is("last resort", get(false), last)
		is("the oldest", get(true), onceBundle(60, 5, 0, now+1000))
		m = open(t, s, nil)
		is("the next", get(true), onceBundle(60, 7, 0, now+1000))
		m = open(t, s, nil)
		is("none is left", get(true), last)
		is("nor later", get(true), last)
		rows := 0
		s.Scan(nil, nil, func(_, _ []byte) bool { rows++; return true })
		if rows != 4 { // the last resort, its state, when it expires; the version
			t.Errorf("%d rows are left", rows)
		}
	})
}

func TestOnceIsBounded(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, func(c *mailbox.Config) { c.MaxBundles = mailbox.OnceLimit + 2 })
		for i := range uint64(mailbox.OnceLimit) {
			if r := one(t, m, now, put(onceBundle(60, i, 0, now+1000))); r.Code != mail.CodeAccepted {
				t.Fatal(r.Code)
			}
		}
		if r := one(t, m, now, put(onceBundle(60, 1000, 0, now+1000))); r.Code != mail.CodeFull {
			t.Errorf("one more of the account: %s", r.Code)
		}
		for i := range uint64(2) {
			if r := one(t, m, now, put(onceBundle(61, i, 0, now+2000))); r.Code != mail.CodeAccepted {
				t.Errorf("of another account: %s", r.Code)
			}
		}
		m = open(t, s, func(c *mailbox.Config) { c.MaxBundles = mailbox.OnceLimit + 2 })
		if r := one(t, m, now, put(onceBundle(61, 9, 0, now+1000))); r.Code != mail.CodeBusy {
			t.Errorf("one more of the member: %s", r.Code)
		}
		// What has expired is not handed out, and gives its place back.
		if r := one(t, m, now+1000, mail.Command{GetBundle: &mail.GetBundle{Account: bundle(60, 1, 3, now).Account(), Once: true}}); r.Code != mail.CodeNone {
			t.Errorf("expired: %s", r.Code)
		}
		if _, err := m.Sweep(now + 1000); err != nil {
			t.Fatal(err)
		}
		if r := one(t, m, now+1000, put(onceBundle(61, 9, 0, now+2000))); r.Code != mail.CodeAccepted {
			t.Errorf("after the sweep: %s", r.Code)
		}
	})
}

// An account that was restored has none of the private keys of before.
func TestOnceOfARestoredAccount(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, nil)
		account := bundle(60, 1, 3, now+1000).Account()
		for i := range uint64(3) {
			one(t, m, now, put(onceBundle(60, i, 1, now+1000)))
		}
		for i := range uint64(2) {
			one(t, m, now, put(onceBundle(60, 10+i, 5, now+1000)))
		}
		last := func(serial uint64, since chain.Time) mail.Bundle {
			b := bundle(60, serial, 3, now+1000)
			b.Since = since
			b.Sign(network, key(60))
			return b
		}
		one(t, m, now, put(last(20, 1)))
		if r := one(t, m, now, put(last(21, 5))); binary.BigEndian.Uint16(r.Body) != 2 {
			t.Errorf("%s %x: bundles of before are there", r.Code, r.Body)
		}
		if r := one(t, m, now, put(onceBundle(60, 30, 4, now+1000))); r.Code != mail.CodeOutdated {
			t.Errorf("one of before: %s", r.Code)
		}
		r := one(t, m, now, mail.Command{GetBundle: &mail.GetBundle{Account: account, Once: true}})
		if b, err := mail.DecodeBundle(r.Body); err != nil || b.Serial != 10 {
			t.Errorf("%s, serial %d", r.Code, b.Serial)
		}
	})
}

// Other members neither bring such bundles nor get them.
func TestOnceStaysWhereItIs(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, nil)
		for _, via := range []mailbox.Via{mailbox.ByCopy, mailbox.BySync} {
			var code mail.Code
			if m.Do(now, epoch, put(onceBundle(60, 1, 0, now+1000)), via, func(o mailbox.Outcome) { code = o.Reply.Code }) || code != mail.CodeMalformed {
				t.Errorf("by another member: %s", code)
			}
		}
		one(t, m, now, put(onceBundle(60, 1, 0, now+1000)))
		if _, ok, err := m.Beyond(now, nil); ok || err != nil {
			t.Errorf("members compare it: %v", err)
		}
	})
}
