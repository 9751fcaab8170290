package mailbox_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

var small = mail.FormatOf(onion.Small)

func TestMain(m *testing.M) {
	if c := testenv.Crashing(); c != nil {
		switch filepath.Base(c.Dir) {
		case longDir:
			crashWithLong(c, 1)
		case manyDir:
			crashWithLong(c, manyWriters)
		default:
			crash(c)
		}
		return
	}
	// goleveldb's pool of buffers outlives Close by up to a second.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"))
}

const (
	now   chain.Time  = 1_700_000_000_000
	epoch chain.Epoch = 9
)

// begin is when epoch 0 began.
var begin = now - chain.Time(uint64(epoch)*uint64(params().EpochLength))

var (
	network = chain.Hash{1}
	self    = nodeOf(key(50))
)

func key(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)) }

func nodeOf(k ed25519.PrivateKey) chain.NodeID { return chain.NodeID(k.Public().(ed25519.PublicKey)) }

func params() *genesis.Params {
	p, _ := genesis.For(genesis.Dev)
	p.MailboxQuota = 8
	return &p
}

func open(t testing.TB, s mailbox.Store, change func(*mailbox.Config)) *mailbox.Mailbox {
	t.Helper()
	cfg := config(s)
	if change != nil {
		change(&cfg)
	}
	m, err := mailbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func config(s mailbox.Store) mailbox.Config {
	return mailbox.Config{
		Self: self, Genesis: network, Start: begin, Params: params(), Format: small, Store: s,
		Sign: func(r statement.Receipt) []byte {
			return statement.Sign(statement.Domain{Genesis: network}, key(50), statement.LabelReceipt, 0, r.Encode()).Encode()
		},
	}
}

// both runs f over either store.
func both(t *testing.T, f func(*testing.T, mailbox.Store)) {
	t.Run("memory", func(t *testing.T) { f(t, new(mailbox.Memory)) })
	t.Run("level", func(t *testing.T) {
		l, err := mailbox.OpenLevel(t.TempDir(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f(t, l)
	})
}

func store(n byte, pair byte, expiry chain.Time) mail.Command {
	write, read := key(pair), key(pair+1)
	s := &mail.Store{
		ReadHash: mail.KeyHash([32]byte(nodeOf(read))), Write: [32]byte(nodeOf(write)), Expiry: expiry,
		Deleter: mail.Deleter([32]byte{n}), Content: bytes.Repeat([]byte{n}, small.Item()),
	}
	s.Sign(network, write)
	return mail.Command{Store: s}
}

func poll(pair byte, after uint64, at chain.Time) mail.Command {
	write, read := key(pair), key(pair+1)
	p := &mail.Poll{Kind: mail.KindPair, A: [32]byte(nodeOf(read)), B: mail.KeyHash([32]byte(nodeOf(write))), After: after, At: at, Member: self}
	p.Sign(network, read)
	return mail.Command{Poll: p}
}

func request(t testing.TB, account mail.AccountID, n byte, work int) *mail.Request {
	t.Helper()
	q := &mail.Request{Account: account, Epoch: epoch, Content: make([]byte, mail.RequestSize)}
	for i := 0; ; i++ { // exactly so much work
		q.Content[0], q.Content[1], q.Content[2] = n, byte(i>>8), byte(i)
		q.Work(work, func() bool { return false })
		if q.Bits() == work {
			return q
		}
	}
}

func bundle(n byte, serial uint64, work uint8, until chain.Time) mail.Bundle {
	b := mail.Bundle{Ed: [32]byte(nodeOf(key(n))), X: [32]byte{n}, Serial: serial, Until: until, Work: work}
	b.Sign(network, key(n))
	return b
}

func one(t testing.TB, m *mailbox.Mailbox, at chain.Time, c mail.Command) mail.Reply {
	t.Helper()
	r := m.Handle(at, epoch, c)
	if len(r) != 1 {
		t.Fatalf("%d replies", len(r))
	}
	if _, err := small.DecodeReply(r[0].Encode()); err != nil {
		t.Fatal(err)
	}
	return r[0]
}

func contents(t testing.TB, m *mailbox.Mailbox, pair byte, at chain.Time) (out []byte) {
	t.Helper()
	after := uint64(0)
	for {
		replies := m.Handle(at, epoch, poll(pair, after, at))
		if len(replies) != mail.PollReplies {
			t.Fatalf("%d replies", len(replies))
		}
		for _, r := range replies {
			if r.Code == mail.CodeNone {
				return out
			}
			i, err := small.DecodeItem(r.Body)
			if err != nil || r.Code != mail.CodeItem || i.Cursor <= after {
				t.Fatalf("%s, %+v, %v", r.Code, i.Cursor, err)
			}
			after = i.Cursor
			out = append(out, i.Content[0])
		}
	}
}

func TestLifeOfAnItem(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, nil)
		expiry := now + chain.Time(genesis.Hour)
		var receipts [][]byte
		for i := range byte(5) {
			r := one(t, m, now, store(i, 1, expiry))
			if r.Code != mail.CodeStored {
				t.Fatalf("%s", r.Code)
			}
			receipts = append(receipts, r.Body)
		}
		if got := contents(t, m, 1, now); !bytes.Equal(got, []byte{0, 1, 2, 3, 4}) || m.Items() != 5 {
			t.Fatalf("%v, %d items", got, m.Items())
		}
		r := m.Handle(now, epoch, poll(1, 0, now))
		for n, want := range []uint16{4, 3, 2} {
			if i, _ := small.DecodeItem(r[n].Body); i.More != want {
				t.Errorf("item %d: %d more", n, i.More)
			}
		}
		// Again, later, with another expiry: nothing changes, the same receipt.
		if r := one(t, m, now+5000, store(2, 1, expiry+9)); r.Code != mail.CodeStored || !bytes.Equal(r.Body, receipts[2]) || m.Items() != 5 {
			t.Fatalf("%s, %d items", r.Code, m.Items())
		}
		// Deletion by token.
		if r := one(t, m, now, mail.Command{Delete: &mail.Delete{Token: [32]byte{99}}}); r.Code != mail.CodeNone {
			t.Fatal(r.Code)
		}
		for range 2 {
			if r := one(t, m, now, mail.Command{Delete: &mail.Delete{Token: [32]byte{2}}}); r.Code != mail.CodeDeleted {
				t.Fatal(r.Code)
			}
		}
		if r := one(t, m, now, store(2, 1, expiry)); r.Code != mail.CodeDeleted || !bytes.Equal(r.Body, append([]byte{2}, make([]byte, 31)...)) {
			t.Fatalf("a deleted item came back, or without the token that proves it: %s %x", r.Code, r.Body)
		}
		if got := contents(t, m, 1, now); !bytes.Equal(got, []byte{0, 1, 3, 4}) {
			t.Fatalf("%v", got)
		}
		// Expiry, with and without a sweep.
		if got := contents(t, m, 1, expiry); len(got) != 0 {
			t.Fatalf("expired: %v", got)
		}
		if _, err := m.Sweep(expiry); err != nil || m.Items() != 0 {
			t.Fatalf("%d items, %v", m.Items(), err)
		}
		// The token is kept for the challenge window and no longer.
		window := chain.Time(params().ChallengeWindow)
		if r := one(t, m, expiry, mail.Command{Delete: &mail.Delete{Token: [32]byte{2}}}); r.Code != mail.CodeDeleted {
			t.Fatal(r.Code)
		}
		m.Sweep(expiry + window)
		if r := one(t, m, expiry, mail.Command{Delete: &mail.Delete{Token: [32]byte{2}}}); r.Code != mail.CodeNone {
			t.Fatal(r.Code)
		}
		// In the end nothing is left.
		m.Sweep(expiry + 3*chain.Time(params().MailboxMost))
		rows := 0
		s.Scan(nil, nil, func(_, _ []byte) bool { rows++; return true })
		if rows != 2 { // the version, and the day of the first item
			t.Fatalf("%d rows left", rows)
		}
	})
}

func TestCursorsNeverGoBack(t *testing.T) {
	m := open(t, new(mailbox.Memory), nil)
	one(t, m, now, store(1, 1, now+1000))
	r := m.Handle(now, epoch, poll(1, 0, now))
	i, _ := small.DecodeItem(r[0].Body)
	later := now + 4*chain.Time(params().MailboxMost)
	m.Sweep(later)
	one(t, m, later, store(2, 1, later+1000))
	if r := m.Handle(later, epoch, poll(1, i.Cursor, later)); r[0].Code != mail.CodeItem {
		t.Fatal("a new item hides below an old cursor")
	}
}

func TestRefusals(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, func(c *mailbox.Config) { c.MaxItems = 20; c.MaxBundles = 2 })
		most := chain.Time(params().MailboxMost)
		account := mail.NewAccountID([32]byte(nodeOf(key(60))), [32]byte{60})

		forged := store(1, 1, now+1000)
		forged.Store.Sig[0] ^= 1
		for i := range byte(8) {
			if r := one(t, m, now, store(i, 10, now+1000)); r.Code != mail.CodeStored {
				t.Fatal(r.Code)
			}
		}
		stale := request(t, account, 1, 12)
		stale.Epoch = epoch - 2
		ahead := request(t, account, 1, 12)
		ahead.Epoch = epoch + 1
		other := bundle(60, 5, 3, now+1000)
		forgedBundle := bundle(60, 5, 3, now+1000)
		forgedBundle.Sig[0] ^= 1
		hard := bundle(60, 5, 29, now+1000)
		put := func(b mail.Bundle) mail.Command { return mail.Command{PutBundle: &mail.PutBundle{Bundle: b.Encode()}} }
		rows := []struct {
			name string
			c    mail.Command
			want mail.Code
		}{
			{"store: signature", forged, mail.CodeSignature},
			{"store: expired", store(1, 1, now), mail.CodeStale},
			{"store: too long", store(1, 1, now+most+1), mail.CodeStale},
			{"store: longest", store(1, 1, now+most), mail.CodeStored},
			{"store: quota", store(100, 10, now+1000), mail.CodeFull},
			{"store: there already", store(3, 10, now+1000), mail.CodeStored},
			{"request: old", mail.Command{Request: stale}, mail.CodeStale},
			{"request: ahead", mail.Command{Request: ahead}, mail.CodeStale},
			{"request: work", mail.Command{Request: request(t, account, 1, mail.DefaultWork-1)}, mail.CodeWork},
			{"request", mail.Command{Request: request(t, account, 1, mail.DefaultWork)}, mail.CodeAccepted},
			{"bundle: malformed", mail.Command{PutBundle: &mail.PutBundle{Bundle: []byte{1}}}, mail.CodeMalformed},
			{"bundle: signature", put(forgedBundle), mail.CodeSignature},
			{"bundle: asks too much", put(hard), mail.CodeSignature},
			{"bundle: expired", put(bundle(60, 5, 3, now)), mail.CodeStale},
			{"bundle", put(other), mail.CodeAccepted},
			{"bundle: again", put(other), mail.CodeAccepted},
			{"bundle: another of one serial", put(bundle(60, 5, 4, now+1000)), mail.CodeOutdated},
			{"bundle: older", put(bundle(60, 4, 3, now+1000)), mail.CodeOutdated},
			{"bundle: newer", put(bundle(60, 6, 3, now+1000)), mail.CodeAccepted},
			{"bundle: of another", put(bundle(61, 1, 3, now+1000)), mail.CodeAccepted},
			{"bundle: no room", put(bundle(62, 1, 3, now+1000)), mail.CodeBusy},
			{"request: the owner asks less now", mail.Command{Request: request(t, account, 7, 3)}, mail.CodeAccepted},
			{"request: less than that", mail.Command{Request: request(t, account, 7, 2)}, mail.CodeWork},
			{"get: unknown", mail.Command{GetBundle: &mail.GetBundle{}}, mail.CodeNone},
			{"get", mail.Command{GetBundle: &mail.GetBundle{Account: account}}, mail.CodeFound},
			{"nothing", mail.Command{}, mail.CodeMalformed},
		}
		for _, row := range rows {
			if r := one(t, m, now, row.c); r.Code != row.want {
				t.Errorf("%s: %s, not %s", row.name, r.Code, row.want)
			}
		}
		if r := one(t, m, now, mail.Command{GetBundle: &mail.GetBundle{Account: account}}); !bytes.Equal(r.Body, bundle(60, 6, 3, now+1000).Encode()) {
			t.Error("not the newest bundle")
		}
		if r := one(t, m, now+1000, mail.Command{GetBundle: &mail.GetBundle{Account: account}}); r.Code != mail.CodeNone {
			t.Errorf("expired bundle: %s", r.Code)
		}
		m.Sweep(now + 1000)
		if r := one(t, m, now+1000, put(bundle(62, 1, 3, now+2000))); r.Code != mail.CodeAccepted {
			t.Errorf("after the sweep: %s", r.Code)
		}

		unsigned := poll(1, 0, now)
		unsigned.Poll.Sig[1] ^= 1
		elsewhere := poll(1, 0, now)
		elsewhere.Poll.Member = chain.NodeID{9}
		elsewhere.Poll.Sign(network, key(2))
		skew := chain.Time(mailbox.PollSkew)
		for name, row := range map[string]struct {
			c    mail.Command
			want mail.Code
		}{
			"signature": {unsigned, mail.CodeSignature},
			"member":    {elsewhere, mail.CodeSignature},
			"late":      {poll(1, 0, now-skew-1), mail.CodeStale},
			"early":     {poll(1, 0, now+skew+1), mail.CodeStale},
			"nothing":   {poll(90, 0, now), mail.CodeNone},
			"last":      {poll(1, ^uint64(0), now), mail.CodeNone},
		} {
			r := m.Handle(now, epoch, row.c)
			if len(r) != mail.PollReplies || r[0].Code != row.want || r[2].Code != row.want {
				t.Errorf("poll: %s: %v", name, r)
			}
		}
	})
}

func TestTotalIsBounded(t *testing.T) {
	m := open(t, new(mailbox.Memory), func(c *mailbox.Config) { c.MaxItems = 3 })
	for i := range byte(3) {
		one(t, m, now, store(i, 10*i, now+1000))
	}
	if r := one(t, m, now, store(4, 40, now+1000)); r.Code != mail.CodeBusy {
		t.Fatal(r.Code)
	}
	if r := one(t, m, now, mail.Command{Request: request(t, mail.AccountID{1}, 1, 12)}); r.Code != mail.CodeBusy {
		t.Fatal(r.Code)
	}
}

// Deleting makes room for items, but what is remembered of deleted ones and of
// emptied mailboxes counts as well, before and after a restart.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		small := func(c *mailbox.Config) { c.MaxItems = 3 }
		m := open(t, s, small)
		kept := 0
		for i := range byte(40) { // each time another mailbox
			if r := one(t, m, now, store(i, 2*i, now+1000)); r.Code == mail.CodeBusy {
				break
			}
			kept++
			if r := one(t, m, now, mail.Command{Delete: &mail.Delete{Token: [32]byte{i}}}); r.Code != mail.CodeDeleted {
				t.Fatal(r.Code)
			}
		}
		if kept != 3*8/2 || m.Items() != 0 {
			t.Fatalf("%d items were deleted before there was no room, %d are there", kept, m.Items())
		}
		m = open(t, s, small)
		if r := one(t, m, now, store(41, 82, now+1000)); r.Code != mail.CodeBusy {
			t.Fatalf("after a restart: %s", r.Code)
		}
		m.Sweep(now + 3*chain.Time(params().MailboxMost))
		later := now + 3*chain.Time(params().MailboxMost)
		if r := one(t, m, later, store(41, 82, later+1000)); r.Code != mail.CodeStored {
			t.Fatalf("after the sweep: %s", r.Code)
		}
	})
}

func TestARenewedBundleLeavesNothingBehind(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, nil)
		for i := range uint64(20) {
			b := bundle(60, i, 3, now+1000+chain.Time(i))
			if r := one(t, m, now, mail.Command{PutBundle: &mail.PutBundle{Bundle: b.Encode()}}); r.Code != mail.CodeAccepted {
				t.Fatal(r.Code)
			}
		}
		rows := 0
		s.Scan(nil, nil, func(_, _ []byte) bool { rows++; return true })
		if rows != 4 { // the bundle, its state, when it expires; the version
			t.Fatalf("%d rows", rows)
		}
	})
}

func TestCheapestRequestIsEvicted(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, nil)
		ed, x := key(60), [32]byte{60}
		account := mail.NewAccountID([32]byte(nodeOf(ed)), x)
		one(t, m, now, mail.Command{PutBundle: &mail.PutBundle{Bundle: bundle(60, 1, 2, now+1000).Encode()}})
		send := func(n byte, work int) mail.Code {
			return one(t, m, now, mail.Command{Request: request(t, account, n, work)}).Code
		}
		first := request(t, account, 200, 3)
		for range 2 { // a second copy is the same request
			one(t, m, now, mail.Command{Request: first})
		}
		for i := range byte(mailbox.RequestLimit - 1) {
			if c := send(i, 4); c != mail.CodeAccepted {
				t.Fatal(c)
			}
		}
		if c := send(100, 2); c != mail.CodeFull {
			t.Fatalf("the cheapest was not refused: %s", c)
		}
		if c := send(101, 5); c != mail.CodeAccepted || m.Items() != mailbox.RequestLimit {
			t.Fatalf("%s, %d items", c, m.Items())
		}
		after, found := uint64(0), 0
		for {
			p := &mail.Poll{Kind: mail.KindAccount, A: [32]byte(nodeOf(ed)), B: x, After: after, At: now, Member: self}
			p.Sign(network, ed)
			r := m.Handle(now, epoch, mail.Command{Poll: p})
			if r[0].Code == mail.CodeNone {
				break
			}
			for _, x := range r {
				if x.Code != mail.CodeItem {
					continue
				}
				i, err := small.DecodeItem(x.Body)
				if err != nil || bytes.Equal(i.Content, first.Content) {
					t.Fatalf("the cheapest was not evicted: %v", err)
				}
				after = i.Cursor
				found++
			}
		}
		if found != mailbox.RequestLimit {
			t.Fatalf("%d requests", found)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	both(t, func(t *testing.T, s mailbox.Store) {
		m := open(t, s, nil)
		var wg sync.WaitGroup
		for pair := range byte(8) {
			for i := range byte(8) {
				wg.Go(func() {
					if r := one(t, m, now, store(8*pair+i, 2*pair, now+1000)); r.Code != mail.CodeStored {
						t.Errorf("%s", r.Code)
					}
					if i == 7 {
						one(t, m, now, mail.Command{Delete: &mail.Delete{Token: [32]byte{8*pair + i}}})
					}
				})
			}
		}
		wg.Wait()
		if m.Items() != 56 {
			t.Fatalf("%d items", m.Items())
		}
		for pair := range byte(8) {
			if got := contents(t, m, 2*pair, now); len(got) != 7 {
				t.Fatalf("mailbox %d: %v", pair, got)
			}
		}
		again := open(t, s, nil)
		if again.Items() != 56 {
			t.Fatalf("%d items after a restart", again.Items())
		}
	})
}

type failing struct {
	mailbox.Store
	fail bool
}

func (f *failing) Write(rows []mailbox.Row) error {
	if f.fail {
		return mailbox.ErrStore
	}
	return f.Store.Write(rows)
}

func TestNoReceiptWhenTheStoreFails(t *testing.T) {
	s := &failing{Store: new(mailbox.Memory)}
	m := open(t, s, nil)
	s.fail = true
	c := mail.Command{PutBundle: &mail.PutBundle{Bundle: bundle(60, 6, 3, now+1000).Encode()}}
	for _, c := range []mail.Command{store(1, 1, now+1000), {Request: request(t, mail.AccountID{1}, 1, 12)}, c} {
		if r := one(t, m, now, c); r.Code != mail.CodeBusy || len(r.Body) > 0 {
			t.Fatal(r.Code)
		}
	}
	if m.Failures() != 3 || m.Items() != 0 {
		t.Fatalf("%d failures, %d items", m.Failures(), m.Items())
	}
	s.fail = false
	if r := one(t, m, now, store(1, 1, now+1000)); r.Code != mail.CodeStored {
		t.Fatal(r.Code)
	}
}

// TestStoresAgree holds the two stores against each other.
func TestStoresAgree(t *testing.T) {
	l, err := mailbox.OpenLevel(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := new(mailbox.Memory)
	rnd := rand.New(rand.NewPCG(1, 2))
	k := func() []byte { return []byte{byte(rnd.IntN(4)), byte(rnd.IntN(4)), byte(rnd.IntN(4))}[:1+rnd.IntN(3)] }
	for range 300 {
		var rows []mailbox.Row
		for range rnd.IntN(4) {
			r := mailbox.Row{Key: k(), Value: []byte{byte(rnd.Uint32())}}
			if rnd.IntN(3) == 0 {
				r.Value = nil
			}
			rows = append(rows, r)
		}
		prefix, from, limit := k(), k(), rnd.IntN(5)
		var seen [2][]byte
		for i, s := range []mailbox.Store{m, l} {
			if err := s.Write(rows); err != nil {
				t.Fatal(err)
			}
			left := limit
			s.Scan(prefix, from, func(k, v []byte) bool {
				seen[i] = append(append(seen[i], k...), v...)
				left--
				return left > 0
			})
			v, _ := s.Get(from)
			seen[i] = append(seen[i], v...)
		}
		if !bytes.Equal(seen[0], seen[1]) {
			t.Fatalf("%x\n%x", seen[0], seen[1])
		}
	}
}

func TestDamagedDatabaseIsNotOpened(t *testing.T) {
	dir := t.TempDir()
	l, err := mailbox.OpenLevel(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, l, nil)
	for i := range byte(8) {
		one(t, m, now, store(i, 1, now+1000))
	}
	l.Close()
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	b, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	os.WriteFile(logs[0], b, 0o600)
	if _, err := mailbox.OpenLevel(dir, 0); !errors.Is(err, mailbox.ErrDamaged) {
		t.Fatalf("opened: %v", err)
	}
	if err := mailbox.Repair(dir); err != nil {
		t.Fatal(err)
	}
	l, err = mailbox.OpenLevel(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
