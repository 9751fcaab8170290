package client_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/client"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

// signers are the nodes whose receipts a message has, each once.
func (p *person) signers(id client.MessageID) (out []chain.NodeID) {
	p.t.Helper()
	s, _ := p.Status(id)
	for _, b := range s.Receipts {
		st, err := statement.Decode(b)
		if err != nil {
			p.t.Fatal(err)
		}
		if slices.Contains(out, st.Node) {
			p.t.Errorf("two receipts of one node: %d receipts", len(s.Receipts))
		}
		out = append(out, st.Node)
	}
	return out
}

// stored is the mailbox that holds items of the network's size, and who holds any.
func (n *fakeNet) stored() (box mail.ID, holders []chain.NodeID) {
	for _, r := range n.relays {
		r.mu.Lock()
		for id, list := range r.boxes {
			if slices.ContainsFunc(list, func(it *fakeItem) bool { return len(it.content) == n.format.Item() }) {
				box, holders = id, append(holders, r.id)
			}
		}
		r.mu.Unlock()
	}
	return box, holders
}

func (n *fakeNet) sum(of func(*fakeRelay) int) (total int) {
	for _, r := range n.relays {
		total += r.count(of)
	}
	return total
}

func coordinated(r *fakeRelay) int { return r.stores }

// One packet goes to one member, and brings the receipts of all.
func TestOneStoreBringsTheReceiptsOfAll(t *testing.T) {
	n := newFakeNet(t, 7)
	alice, bob := n.person("alice", func(c *client.Config) { c.Resend = time.Hour }).ready(), n.person("bob", offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	if got := n.sum(coordinated); got != 1 {
		t.Errorf("%d members were sent it", got)
	}
	if got := alice.signers(id); len(got) != 7 {
		t.Errorf("%d receipts", len(got))
	}
}

// Members that reach no other: the client brings the item to a majority itself,
// and to no more.
func TestCoordinatorsAlone(t *testing.T) {
	n := newFakeNet(t, 7)
	n.all(func(f *fakeFaults) { f.alone = true })
	alice, bob := n.person("alice", func(c *client.Config) { c.Resend = time.Hour }).ready(), n.person("bob", offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	if got, asked := alice.signers(id), n.sum(coordinated); len(got) != 4 || asked != 4 {
		t.Errorf("%d receipts of %d members that were asked, of 7", len(got), asked)
	}
}

// What is stored at fewer than a majority is not stored; when more can be
// reached, those are asked.
func TestTooFewMembersAreUp(t *testing.T) {
	n := newFakeNet(t, 7)
	alice, bob := n.person("alice").ready(), n.person("bob", offline).ready()
	alice.add(bob)
	alice.until(alice.send(bob, "while all are up"), client.Stored)
	for _, r := range n.relays[:4] {
		r.fault(func(f *fakeFaults) { f.silent = true })
	}
	id := alice.send(bob, "hello")
	eventually(t, "three have signed", func() bool { return len(alice.signers(id)) == 3 })
	if s, _ := alice.Status(id); s.State != client.Sent {
		t.Errorf("message is %s", s.State)
	}
	n.all(func(f *fakeFaults) { f.silent = false })
	alice.until(id, client.Stored)
	bob.end()
	bob.cfg.Poll = 5 * time.Millisecond
	bob.start()
	alice.delivered(id)
}

// Coordinators that lie: what they show beside receipts that members of the
// mailbox have signed counts for nothing.
func TestLyingCoordinators(t *testing.T) {
	for name, lie := range map[string]func(*fakeFaults){
		"its own several times":     func(f *fakeFaults) { f.twice = true },
		"of nodes that do not keep": func(f *fakeFaults) { f.strangers = true },
		"made up":                   func(f *fakeFaults) { f.forged = true },
	} {
		t.Run(name, func(t *testing.T) {
			n := newFakeNet(t, 10)
			n.mu.Lock()
			for i, r := range n.relays { // two swarms of five
				r.entry.Swarm = directory.SwarmID(i%2) << 63
			}
			n.mu.Unlock()
			n.seal(6, nil)
			n.seal(7, nil)
			n.all(lie)
			alice, bob := n.person("alice", func(c *client.Config) { c.Resend = time.Hour }).ready(), n.person("bob", offline).ready()
			alice.add(bob)
			id := alice.send(bob, "hello")
			alice.until(id, client.Stored)
			box, holders := n.stored()
			keepers, got := n.swarm(box).Members, alice.signers(id)
			if len(keepers) != 5 || len(got) < 3 {
				t.Errorf("%d receipts, %d keep it", len(got), len(keepers))
			}
			for _, node := range got {
				if !slices.Contains(keepers, node) || !slices.Contains(holders, node) {
					t.Errorf("a receipt of %s, who does not have it", node.Short())
				}
			}
		})
	}
}

// In the first epoch after a split a message needs a majority of those who keep
// its mailbox now and of those who did, and a reader asks both.
func TestFirstEpochAfterASplit(t *testing.T) {
	n := newFakeNet(t, 12)
	n.seal(6, nil)
	n.mu.Lock()
	for i, r := range n.relays {
		r.entry.Swarm = directory.SwarmID(i/3) << 62 // four swarms of three, of one of twelve
	}
	n.mu.Unlock()
	n.seal(7, nil)
	n.all(func(f *fakeFaults) { f.alone = true })
	alice, bob := n.person("alice", func(c *client.Config) { c.Resend = time.Hour }).ready(), n.person("bob", offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	box, _ := n.stored()
	sw, got := n.swarm(box), alice.signers(id)
	if len(sw.Members) != 3 || len(sw.Former) != 12 || !sw.Confirmed(func(id chain.NodeID) bool { return slices.Contains(got, id) }) || len(got) < 7 {
		t.Fatalf("%d receipts; members %d, former %d", len(got), len(sw.Members), len(sw.Former))
	}
	// The new members lose it: the former ones have it still.
	for _, m := range sw.Members {
		r := n.relay(m)
		r.mu.Lock()
		r.boxes[box] = nil
		r.mu.Unlock()
	}
	if err := bob.PollNow(within(t)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(bob.got(), []string{"hello"}) {
		t.Errorf("bob has %q", bob.got())
	}
}

// PollNow finds what any majority has, however few members more it asks.
func TestPollNowMeetsTheMajority(t *testing.T) {
	n := newFakeNet(t, 7)
	alice, bob := n.person("alice", offline, func(c *client.Config) { c.Resend = time.Hour }).ready(), n.person("bob", offline).ready()
	alice.add(bob)
	alice.until(alice.send(bob, "first"), client.Stored)
	if err := bob.PollNow(within(t)); err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		for i, r := range n.relays { // another three have nothing each time
			r.fault(func(f *fakeFaults) { f.forget = (i+round)%7 < 3 })
		}
		text := strings.Repeat("x", round+1)
		alice.until(alice.send(bob, text), client.Stored)
		box := bob.pairBoxOf(n)
		polls := func(r *fakeRelay) int { return r.polls[box] }
		before := n.sum(polls)
		if err := bob.PollNow(within(t)); err != nil {
			t.Fatal(err)
		}
		if got := bob.got(); len(got) != round+2 {
			t.Fatalf("round %d: bob has %q", round, got)
		}
		if asked := n.sum(polls) - before; asked > 2*directory.Reads(7) {
			t.Errorf("round %d: %d polls of one mailbox", round, asked)
		}
	}
}

// pairBoxOf is the mailbox of the only pair.
func (p *person) pairBoxOf(n *fakeNet) (box mail.ID) {
	for _, r := range n.relays {
		r.mu.Lock()
		for id := range r.polls {
			if id != mail.AccountMailbox(p.ID()) {
				box = id
			}
		}
		r.mu.Unlock()
	}
	return box
}

// The clock goes round over the members, former ones among them.
func TestPollsGoRound(t *testing.T) {
	n := newFakeNet(t, 6)
	n.seal(6, nil)
	n.mu.Lock()
	for i, r := range n.relays {
		r.entry.Swarm = directory.SwarmID(i%2) << 63
	}
	n.mu.Unlock()
	n.seal(7, nil)
	bob := n.person("bob").ready()
	box := mail.AccountMailbox(bob.ID())
	eventually(t, "all are asked", func() bool { return n.sum(func(r *fakeRelay) int { return min(1, r.polls[box]) }) == 6 })
	low, high := 1<<30, 0
	for _, r := range n.relays {
		k := r.count(func(r *fakeRelay) int { return r.polls[box] })
		low, high = min(low, k), max(high, k)
	}
	if high > 2*low+8 {
		t.Errorf("one was asked %d times, another %d times", low, high)
	}
}

// Who showed an item falls silent before the client can delete it: another member
// is told.
func TestDeletionThroughAnother(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", func(c *client.Config) { c.Resend = time.Hour }).ready(), n.person("bob", offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	n.all(func(f *fakeFaults) { f.mute = true })
	box, _ := n.stored()
	if err := bob.PollNow(within(t)); err != nil {
		t.Fatal(err)
	}
	if len(bob.got()) != 1 {
		t.Fatalf("bob has %q", bob.got())
	}
	// The members that showed it stay so; who did not passes the deletion on.
	shown := 0
	for _, r := range n.relays {
		polled := r.count(func(r *fakeRelay) int { return r.polls[box] }) > 0
		if polled {
			shown++
		}
		r.fault(func(f *fakeFaults) { f.mute = polled })
	}
	if shown == 0 || shown == 6 {
		t.Fatalf("%d members showed it", shown)
	}
	if err := bob.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	for _, r := range n.relays {
		if r.count(func(r *fakeRelay) int { return len(r.boxes[box]) }) > 0 {
			t.Errorf("%s has it still", r.id.Short())
		}
	}
}

// Members hold bundles of different age: the newest counts, and none is believed
// for being the first.
func TestNewestBundleCounts(t *testing.T) {
	n := newFakeNet(t, 6)
	bob := n.person("bob", func(c *client.Config) { c.Note = "" }).ready()
	everywhere := func(renewals int) {
		t.Helper()
		eventually(t, "the bundle is everywhere", func() bool { return n.sum(func(r *fakeRelay) int { return r.renewals }) >= 6*renewals })
	}
	everywhere(1)
	old := map[chain.NodeID]mail.Bundle{}
	for _, r := range n.relays {
		r.mu.Lock()
		old[r.id] = r.bundles[bob.ID()]
		r.mu.Unlock()
	}
	bob.end()
	bob.cfg.Dir = t.TempDir() // and loses all but the mnemonic, so that another one is published
	bob.start()
	bob.ready()
	everywhere(2)
	bob.end() // nobody publishes any more
	newest := uint64(0)
	for _, r := range n.relays {
		r.mu.Lock()
		newest = max(newest, r.bundles[bob.ID()].Serial)
		r.mu.Unlock()
	}
	for i, m := range n.swarm(mail.AccountMailbox(bob.ID())).Members {
		r := n.relay(m)
		r.mu.Lock()
		if i < 2 { // whoever is asked first has the old one
			r.bundles[bob.ID()] = old[m]
		}
		r.mu.Unlock()
	}
	alice := n.person("alice").ready()
	for range 3 {
		b, err := alice.Lookup(within(t), bob.ID())
		if err != nil || b.Serial < newest { // one that was under way may have come since
			t.Errorf("serial %d, want %d: %v", b.Serial, newest, err)
		}
	}
	n.relay(n.swarm(mail.AccountMailbox(bob.ID())).Members[2]).fault(func(f *fakeFaults) { f.silent = true })
	if b, err := alice.Lookup(within(t), bob.ID()); err != nil || b.Serial == 0 {
		t.Errorf("one is silent: %v", err)
	}
}

// A list without some of those that signed: their receipts count no more, and what
// is left does not confirm the message. It is stored again, not before members had
// time to pass it on.
func TestReceiptsOfTheGoneCountNoMore(t *testing.T) {
	n := newFakeNet(t, 9)
	for _, r := range n.relays[5:] { // five sign, four are not reached
		r.fault(func(f *fakeFaults) { f.silent = true })
	}
	alice, bob := n.person("alice", func(c *client.Config) { c.Resend = 2 * time.Second }).ready(), n.person("bob", offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	signed := alice.signers(id)
	if len(signed) != 5 {
		t.Fatalf("%d receipts", len(signed))
	}
	n.all(func(f *fakeFaults) { f.silent = false })
	before := n.sum(coordinated)
	n.mu.Lock()
	n.removed = signed[:1]
	n.mu.Unlock()
	n.seal(5, nil)
	eventually(t, "it is forgotten", func() bool { return len(alice.signers(id)) == 4 })
	if got := n.sum(coordinated) - before; got != 0 {
		t.Errorf("stored again %d times at once", got)
	}
	if s, _ := alice.Status(id); s.State != client.Stored {
		t.Errorf("message is %s", s.State)
	}
	eventually(t, "all have signed", func() bool { return len(alice.signers(id)) == 8 })
	if got := n.sum(coordinated) - before; got > 2 {
		t.Errorf("it took %d stores", got)
	}
	if slices.Contains(alice.signers(id), signed[0]) {
		t.Error("a receipt of who is removed")
	}
}

// The recipient has read a message, and what it said of it is lost: when the
// sender asks long enough it says so again.
func TestConfirmationIsLost(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", onDisk(t), offline).ready(), n.person("bob", onDisk(t), offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	if err := bob.PollNow(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := bob.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	for _, r := range n.relays { // all that waits for anyone
		r.mu.Lock()
		clear(r.boxes)
		r.mu.Unlock()
	}
	for _, p := range []*person{alice, bob} {
		p.cfg.Poll, p.cfg.Resend = 5*time.Millisecond, 20*time.Millisecond
		p.restart()
	}
	alice.delivered(id)
	if got := bob.got(); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("bob has %q", got)
	}
}

// Several members show the same message: it is confirmed once.
func TestOneConfirmationForManyCopies(t *testing.T) {
	n := newFakeNet(t, 7)
	alice, bob := n.person("alice", offline, func(c *client.Config) { c.Resend = time.Hour }).ready(), n.person("bob", offline, func(c *client.Config) { c.Resend = time.Hour }).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	n.all(func(f *fakeFaults) { f.mute = true }) // so that each shows it
	before := n.sum(coordinated)
	if err := bob.PollNow(within(t)); err != nil {
		t.Fatal(err)
	}
	n.all(func(f *fakeFaults) { f.mute = false })
	if err := bob.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := n.sum(coordinated) - before; got != 1 {
		t.Errorf("%d confirmations", got)
	}
}

// A network with large packets: a text of 64 KiB is three items.
func TestLargeGeometry(t *testing.T) {
	n := newFakeNet(t, 6, func(n *fakeNet) { n.core.Params.Geometry = 2 })
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	text := strings.Repeat("0123456789abcdef", client.MaxText/16)
	id := alice.send(bob, text)
	alice.delivered(id)
	if s, _ := alice.Status(id); s.Parts != 3 || !slices.Equal(bob.got(), []string{text}) {
		t.Errorf("%d parts, bob has %d messages", s.Parts, len(bob.got()))
	}
	bob.delivered(bob.send(alice, "short"))
}
