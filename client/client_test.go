package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tyler-smith/go-bip39"
	"go.uber.org/goleak"

	"tunic/client"
	"tunic/internal/flaw"
	"tunic/onion/mail"
)

func TestMain(m *testing.M) {
	// goleveldb lets this one go on for a second after Close.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"))
}

// account is the same for the same name.
func account(t testing.TB, name string) *client.Account {
	t.Helper()
	h := sha256.Sum256([]byte(name))
	m, err := bip39.NewMnemonic(h[:])
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Restore(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// person is a client that can be stopped and started again.
type person struct {
	*client.Client
	t     testing.TB
	cfg   client.Config
	flaws flaw.Set
	stop  func() error
	born  func(*client.Client) // before it runs; nil: nothing
}

func (n *fakeNet) person(name string, change ...func(*client.Config)) *person {
	n.t.Helper()
	p := n.unborn(name, change...)
	p.start()
	return p
}

// unborn is a person whose client does not run yet.
func (n *fakeNet) unborn(name string, change ...func(*client.Config)) *person {
	p := &person{t: n.t, cfg: client.Config{Account: account(n.t, name), Core: n.core, Genesis: n.genesis, Ledger: n,
		Transport: n.mem.Client(), Poll: 5 * time.Millisecond, Timeout: 400 * time.Millisecond, Resend: 300 * time.Millisecond, Rate: 1e6, AcceptAll: true}}
	for _, f := range change {
		f(&p.cfg)
	}
	n.t.Cleanup(func() { p.end() })
	return p
}

func onDisk(t testing.TB) func(*client.Config) {
	dir := filepath.Join(t.TempDir(), "messenger")
	return func(c *client.Config) { c.Dir = dir }
}

func offline(p *client.Config) { p.Poll = time.Hour }

func (p *person) start() {
	p.t.Helper()
	c, err := client.NewFlawed(p.cfg, p.flaws)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.born != nil {
		p.born(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	p.Client = c
	p.stop = func() error {
		cancel()
		err := <-done
		if cerr := c.Close(); err == nil {
			err = cerr
		}
		return err
	}
}

func (p *person) end() error {
	if p.stop == nil {
		return nil
	}
	err := p.stop()
	p.stop = nil
	return err
}

func (p *person) restart() {
	p.t.Helper()
	if err := p.end(); err != nil {
		p.t.Fatal(err)
	}
	p.start()
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (p *person) ready() *person {
	p.t.Helper()
	if err := p.Ready(within(p.t)); err != nil {
		p.t.Fatal(err)
	}
	return p
}

func (p *person) add(o *person) {
	p.t.Helper()
	if err := p.AddContact(o.ID(), ""); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) send(o *person, text string) client.MessageID {
	p.t.Helper()
	id, err := p.Send(within(p.t), o.ID(), text)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *person) delivered(id client.MessageID) {
	p.t.Helper()
	if err := p.WaitDelivered(within(p.t), id); err != nil {
		s, _ := p.Status(id)
		p.t.Fatalf("%v (%s, %s)", err, s.State, s.Reason)
	}
}

// deliversWithin sends a text that must be delivered within d, by a virtual clock; it
// waits until most, to say how long it took.
func (p *person) deliversWithin(to *person, d, most time.Duration) {
	p.t.Helper()
	begin := time.Now()
	id := p.send(to, "after")
	for !p.IsDelivered(id) && time.Since(begin) < most {
		time.Sleep(100 * time.Millisecond)
	}
	if took := time.Since(begin); took > d {
		p.t.Errorf("delivered after %v", took)
	}
}

func (p *person) until(id client.MessageID, want client.State) client.Status {
	p.t.Helper()
	var s client.Status
	eventually(p.t, "message is "+want.String(), func() bool { s, _ = p.Status(id); return s.State >= want })
	if s.State != want {
		p.t.Fatalf("message is %s (%s), want %s", s.State, s.Reason, want)
	}
	return s
}

func (p *person) got() []string {
	var out []string
	for _, m := range p.Inbox() {
		out = append(out, m.Text)
	}
	return out
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestFirstContactMessageConfirmation(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	events := bob.Subscribe(within(t))
	alice.add(bob)
	id, err := alice.SendWithConfirmation(within(t), bob.ID(), "hello")
	if err != nil {
		t.Fatal(err)
	}
	if !alice.IsDelivered(id) || !slices.Equal(bob.got(), []string{"hello"}) {
		t.Fatalf("delivered %v, bob has %q", alice.IsDelivered(id), bob.got())
	}
	for e := range events {
		if e.Kind == client.EventMessage {
			if e.Message.Text != "hello" || e.Message.Contact != alice.ID() {
				t.Errorf("event %+v", e)
			}
			break
		}
	}
	if _, err := bob.SendWithConfirmation(within(t), alice.ID(), "and back"); err != nil {
		t.Fatal(err)
	}
	a, b := alice.Contacts()[0], bob.Contacts()[0]
	if a.State != client.Connected || b.State != client.Connected || a.Safety != b.Safety || len(a.Safety) != 12*6-1 {
		t.Errorf("contacts %+v and %+v", a, b)
	}
	if err := errors.Join(alice.Flush(within(t)), bob.Flush(within(t))); err != nil {
		t.Fatal(err)
	}
	// What was read is deleted at its member.
	eventually(t, "items are deleted", func() bool {
		kept := 0
		for _, r := range n.relays {
			kept += r.count(func(r *fakeRelay) (items int) {
				for _, list := range r.boxes {
					for _, it := range list {
						if len(it.content) == small.Item() {
							items++
						}
					}
				}
				return items
			})
		}
		return kept == 0
	})
}

func TestRecipientIsOfflineFirst(t *testing.T) {
	n := newFakeNet(t, 6)
	bob := n.person("bob").ready() // publishes, and goes
	bob.end()
	alice := n.person("alice").ready()
	alice.add(bob)
	one, two := alice.send(bob, "one"), alice.send(bob, "two")
	s := alice.until(one, client.Stored)
	alice.until(two, client.Stored)
	if len(s.Receipts) != 6 {
		t.Errorf("%d receipts of 6 members", len(s.Receipts))
	}
	bob.start()
	alice.delivered(one)
	alice.delivered(two)
	if got := bob.got(); len(got) != 2 {
		t.Errorf("bob has %q", got)
	}
}

func TestUnknownAccountWaits(t *testing.T) {
	n := newFakeNet(t, 6)
	alice := n.person("alice").ready()
	bob := account(t, "bob")
	if err := alice.AddContact(bob.ID(), "Bob"); err != nil {
		t.Fatal(err)
	}
	id, _ := alice.Send(within(t), bob.ID(), "hello")
	eventually(t, "the reason is known", func() bool { s, _ := alice.Status(id); return s.Reason == "unknown_account" })
	b := n.person("bob").ready()
	alice.delivered(id)
	if len(b.got()) != 1 {
		t.Error(b.got())
	}
}

func TestBothBeginAtOnce(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", offline).ready(), n.person("bob", offline).ready()
	alice.add(bob)
	bob.add(alice)
	a, b := alice.send(bob, "from alice"), bob.send(alice, "from bob")
	alice.until(a, client.Stored) // both under their own secrets
	bob.until(b, client.Stored)
	for range 2 {
		if err := errors.Join(alice.PollNow(within(t)), bob.PollNow(within(t)), alice.Flush(within(t)), bob.Flush(within(t))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(alice.PollNow(within(t)), bob.PollNow(within(t))); err != nil {
		t.Fatal(err)
	}
	if !alice.IsDelivered(a) || !bob.IsDelivered(b) {
		t.Fatal("not delivered")
	}
	// From now on they use one.
	c, d := alice.send(bob, "again"), bob.send(alice, "again")
	alice.until(c, client.Stored)
	bob.until(d, client.Stored)
	if err := errors.Join(alice.PollNow(within(t)), bob.PollNow(within(t))); err != nil {
		t.Fatal(err)
	}
	if len(alice.got()) != 2 || len(bob.got()) != 2 {
		t.Errorf("%q, %q", alice.got(), bob.got())
	}
}

func TestLongText(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	for _, size := range []int{1105, 1106, 20_000, client.MaxText} {
		text := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		id := alice.send(bob, text)
		alice.delivered(id)
		if got := bob.got(); got[len(got)-1] != text {
			t.Fatalf("%d bytes came as %d", size, len(got[len(got)-1]))
		}
	}
	for _, text := range []string{"", strings.Repeat("x", client.MaxText+1), "\xff"} {
		if _, err := alice.Send(within(t), bob.ID(), text); !errors.Is(err, client.ErrMessage) {
			t.Error(err)
		}
	}
	if _, err := alice.Send(within(t), mail.AccountID{1}, "x"); !errors.Is(err, client.ErrNoContact) {
		t.Error(err)
	}
}

func TestDuplicatesAreShownOnce(t *testing.T) {
	n := newFakeNet(t, 6)
	alice := n.person("alice", func(c *client.Config) { c.Resend = 20 * time.Millisecond }).ready()
	bob := n.person("bob", offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	// Sent again and again, each time to another member, and each has it.
	eventually(t, "three members were sent it", func() bool {
		at := 0
		for _, r := range n.relays {
			at += min(1, r.count(func(r *fakeRelay) int { return r.stores }))
		}
		return at == 3
	})
	bob.end()
	bob.cfg.Poll = 2 * time.Millisecond
	bob.start()
	alice.delivered(id)
	time.Sleep(50 * time.Millisecond) // for polls of the other members
	if got := bob.got(); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("bob has %q", got)
	}
}

func TestLostPacketsAreSentAgain(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "before"))
	for _, r := range n.relays {
		r.fault(func(f *fakeFaults) { f.dropNext = 2 })
	}
	alice.delivered(alice.send(bob, "after"))
	if got := bob.got(); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("bob has %q", got)
	}
}

func TestAMemberForgets(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "before"))
	for _, r := range n.relays {
		r.fault(func(f *fakeFaults) { f.forget = true })
	}
	id := alice.send(bob, "after")
	alice.until(id, client.Stored)
	for _, r := range n.relays {
		r.fault(func(f *fakeFaults) { f.forget = false })
	}
	alice.delivered(id)
}

func TestWrongReceiptIsRefused(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob", offline).ready()
	alice.add(bob)
	for _, r := range n.relays {
		r.fault(func(f *fakeFaults) { f.badReceipt = true })
	}
	id := alice.send(bob, "hello")
	eventually(t, "the receipt is refused", func() bool { s, _ := alice.Status(id); return s.Reason == "invalid_receipt" })
	if s, _ := alice.Status(id); s.State >= client.Stored || len(s.Receipts) > 0 {
		t.Errorf("%s with %d receipts", s.State, len(s.Receipts))
	}
	for _, r := range n.relays {
		r.fault(func(f *fakeFaults) { f.badReceipt = false })
	}
	alice.until(id, client.Stored)
}

func TestMailboxFull(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob", offline).ready()
	alice.add(bob)
	for _, r := range n.relays {
		r.fault(func(f *fakeFaults) { f.full = true })
	}
	_, err := alice.SendWithConfirmation(within(t), bob.ID(), "hello")
	if !errors.Is(err, client.ErrFailed) || !strings.Contains(err.Error(), "mailbox is full") {
		t.Fatal(err)
	}
}

func TestRestartBetweenAnyTwoSteps(t *testing.T) {
	n := newFakeNet(t, 6)
	slow := func(c *client.Config) { c.Poll, c.Resend = time.Hour, time.Hour }
	alice, bob := n.person("alice", onDisk(t), slow).ready(), n.person("bob", onDisk(t), slow).ready()
	alice.add(bob)
	alice.restart()
	if len(alice.Contacts()) != 1 {
		t.Fatal("the contact is lost")
	}
	text := strings.Repeat("long ", 600) // three parts
	id := alice.send(bob, text)
	alice.restart() // wherever it is now
	alice.until(id, client.Stored)
	alice.restart()
	if s, ok := alice.Status(id); !ok || s.State != client.Stored || s.Text != text {
		t.Fatalf("after a restart: %+v", s)
	}
	poll := func(p *person) {
		t.Helper()
		if err := p.PollNow(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	poll(bob)
	bob.restart()
	if got := bob.got(); !slices.Equal(got, []string{text}) {
		t.Fatalf("bob has %d messages", len(got))
	}
	if err := bob.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	bob.restart()
	poll(alice)
	if !alice.IsDelivered(id) {
		t.Fatal("not delivered")
	}
	alice.restart()
	if !alice.IsDelivered(id) {
		t.Fatal("the confirmation is forgotten")
	}
	// The session goes on.
	back := bob.send(alice, "back")
	bob.until(back, client.Stored)
	poll(alice)
	poll(bob)
	if !slices.Equal(alice.got(), []string{"back"}) || len(bob.got()) != 1 {
		t.Errorf("%q, %d", alice.got(), len(bob.got()))
	}
}

func TestNothingReadableLiesOnDisk(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", onDisk(t)).ready(), n.person("bob").ready()
	if err := alice.AddContact(bob.ID(), "Bob the Builder"); err != nil {
		t.Fatal(err)
	}
	alice.delivered(alice.send(bob, "the secret text"))
	bob.delivered(bob.send(alice, "another secret"))
	if err := alice.end(); err != nil {
		t.Fatal(err)
	}
	bobID := bob.ID()
	secrets := [][]byte{[]byte("secret"), []byte("Builder"), bobID[:], []byte(fmt.Sprintf("%x", bobID[:]))}
	if info, err := os.Stat(alice.cfg.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Error("folder", info.Mode(), err)
	}
	err := filepath.WalkDir(alice.cfg.Dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		for _, s := range secrets {
			if bytes.Contains(b, s) {
				t.Errorf("%s holds %q", p, s)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := alice.cfg
	cfg.Account = account(t, "eve")
	if _, err := client.New(cfg); !errors.Is(err, client.ErrStore) {
		t.Error("another account opened the state:", err)
	}
}

func TestRequestsWaitForAccept(t *testing.T) {
	n := newFakeNet(t, 6)
	alice := n.person("alice", func(c *client.Config) { c.Note = "somebody" }).ready()
	bob := n.person("bob", func(c *client.Config) { c.AcceptAll = false }).ready()
	if err := alice.SetNote(bob.ID(), "it's me"); !errors.Is(err, client.ErrNoContact) {
		t.Error(err)
	}
	alice.add(bob)
	for _, note := range []string{strings.Repeat("x", client.MaxNote+1), "\xff"} {
		if err := alice.SetNote(bob.ID(), note); !errors.Is(err, client.ErrConfig) {
			t.Errorf("a note of %d bytes: %v", len(note), err)
		}
	}
	if err := alice.SetNote(bob.ID(), "it's me"); err != nil {
		t.Fatal(err)
	}
	id := alice.send(bob, "hello")
	eventually(t, "the request is there", func() bool { return len(bob.Contacts()) == 1 })
	if c := bob.Contacts()[0]; c.State != client.Incoming || c.Note != "it's me" || c.ID != alice.ID() {
		t.Fatalf("%+v", c)
	}
	alice.until(id, client.Stored)
	if len(bob.got()) != 0 {
		t.Fatal("a stranger's message was taken")
	}
	if err := bob.Accept(alice.ID()); err != nil {
		t.Fatal(err)
	}
	alice.delivered(id)
	if err := bob.Accept(mail.AccountID{}); !errors.Is(err, client.ErrNoContact) {
		t.Error(err)
	}
}

func TestRestoredAccountIsReached(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "before"))
	bob.end() // and loses everything but the mnemonic
	id := alice.send(bob, "while bob is away")
	bob.start()
	bob.ready()
	bob.add(alice)
	bob.delivered(bob.send(alice, "I am back"))
	alice.delivered(id)
	alice.delivered(alice.send(bob, "welcome"))
}

func TestTwoHeadsHalt(t *testing.T) {
	n := newFakeNet(t, 6)
	n.mu.Lock()
	other := n.header(n.head.Header.Height, n.lists[5], 7)
	n.hello = &other
	n.mu.Unlock()
	halted := make(chan error, 1)
	alice := n.person("alice", onDisk(t), func(c *client.Config) { c.OnHalt = func(err error) { halted <- err } })
	select {
	case err := <-halted:
		var e *client.TwoHeadsError
		if !errors.As(err, &e) || !errors.Is(err, client.ErrTwoHeads) {
			t.Fatal(err)
		}
		if e.First.Header.Height != 1 || e.Second.Header.Height != 1 || e.First.Header.Hash() == e.Second.Header.Hash() {
			t.Errorf("evidence %+v", e)
		}
	case <-within(t).Done():
		t.Fatal("not halted")
	}
	if err := alice.Ready(within(t)); !errors.Is(err, client.ErrTwoHeads) {
		t.Error(err)
	}
	if err := alice.end(); !errors.Is(err, client.ErrTwoHeads) {
		t.Error("Run returned", err)
	}
	if _, err := os.Stat(filepath.Join(alice.cfg.Dir, "two-heads-1")); err != nil {
		t.Error(err)
	}
	if _, err := client.New(alice.cfg); !errors.Is(err, client.ErrTwoHeads) {
		t.Error("started again:", err)
	}
}

func TestForeignHeaderDoesNotHalt(t *testing.T) {
	n := newFakeNet(t, 6)
	n.mu.Lock()
	other := n.header(n.head.Header.Height, n.lists[5], 7)
	other.Seal[3] ^= 1 // anyone can make one that no sealer signed
	n.hello = &other
	n.mu.Unlock()
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "hello"))
	if err := alice.Halted(); err != nil {
		t.Error(err)
	}
}

func TestTooFewRelays(t *testing.T) {
	n := newFakeNet(t, 3)
	alice := n.person("alice")
	bob := account(t, "bob")
	if err := alice.AddContact(bob.ID(), ""); err != nil {
		t.Fatal(err)
	}
	id, _ := alice.Send(within(t), bob.ID(), "hello")
	eventually(t, "the reason is known", func() bool { s, _ := alice.Status(id); return s.Reason == "no_path" })
}

func TestDeadGuardIsReplaced(t *testing.T) {
	n := newFakeNet(t, 7)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "before"))
	guard, ok := alice.Guard()
	if !ok {
		t.Fatal("no guard")
	}
	n.relay(guard).fault(func(f *fakeFaults) { f.dead = true })
	alice.delivered(alice.send(bob, "after"))
	eventually(t, "another guard is used", func() bool { now, ok := alice.Guard(); return ok && now != guard })
}

func TestLogsNameNobody(t *testing.T) {
	n := newFakeNet(t, 6)
	var log lockedBuffer
	with := func(c *client.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	alice, bob := n.person("alice", with).ready(), n.person("bob", with).ready()
	alice.add(bob)
	for _, r := range n.relays {
		r.fault(func(f *fakeFaults) { f.badReceipt, f.dropNext = true, 3 })
	}
	id := alice.send(bob, "a text")
	eventually(t, "a receipt is refused", func() bool { s, _ := alice.Status(id); return s.Reason == "invalid_receipt" })
	for _, r := range n.relays {
		r.fault(func(f *fakeFaults) { f.badReceipt = false })
	}
	alice.delivered(id)
	if err := errors.Join(alice.end(), bob.end()); err != nil {
		t.Fatal(err)
	}
	said := log.String()
	if !strings.Contains(said, "receipt") {
		t.Errorf("the log does not say what happened: %s", said)
	}
	secrets := []string{"a text", alice.hexID(), bob.hexID(), client.FormatID(alice.ID()), client.FormatID(bob.ID()), "127."}
	for _, r := range n.relays {
		secrets = append(secrets, r.id.Short())
		for box := range r.boxes {
			secrets = append(secrets, fmt.Sprintf("%x", box[:4]))
		}
	}
	for _, s := range secrets {
		if strings.Contains(said, s) {
			t.Errorf("the log holds %q:\n%s", s, said)
		}
	}
}

// hexID is the account id in hex, as a careless log would have it.
func (p *person) hexID() string { id := p.ID(); return fmt.Sprintf("%x", id[:4]) }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }
