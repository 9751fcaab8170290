package relay_test

import (
	"bytes"
	"slices"
	"sync/atomic"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/relay"
	"tunic/relay/mailbox"
)

// do sends a command that has one reply, over three hops, to a member.
func (c *client) do(member int, cmd mail.Command) mail.Reply {
	c.n.t.Helper()
	cmd.Replies = [][]byte{c.surb(1, 0)}
	c.send(c.n.wrap(c.n.path(0, 1, 2, member), cmd.Encode()))
	return c.reply()
}

// direct is do over two hops: the guard, which is relay 0, and the member.
func (c *client) direct(member int, cmd mail.Command) mail.Reply {
	c.n.t.Helper()
	cmd.Replies = [][]byte{c.surb(0)}
	c.send(c.n.wrap(c.n.path(0, member), cmd.Encode()))
	return c.reply()
}

// signers are the nodes whose receipts for s are in a reply, each verified.
func (n *network) signers(s *mail.Store, r mail.Reply) (out []chain.NodeID) {
	n.t.Helper()
	if r.Code != mail.CodeStored {
		n.t.Fatalf("store: %s", r.Code)
	}
	f := mail.FormatOf(relay.Geometry(n.l.core))
	receipts, err := f.DecodeReceipts(r.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, b := range receipts {
		st, err := statement.Decode(b)
		if err != nil || st.Label != statement.LabelReceipt || st.Verify(statement.Domain{Genesis: n.l.hash}) != nil {
			n.t.Fatalf("receipt: %v", err)
		}
		x, err := statement.DecodeReceipt(st.Body)
		if err != nil || x.Chunks != mail.ChunkRoot(s.Content) || int(x.Class) != f.Chunks || x.Deleter != s.Deleter {
			n.t.Fatalf("receipt body: %+v, %v", x, err)
		}
		if slices.Contains(out, st.Node) {
			n.t.Fatal("two receipts of one member")
		}
		out = append(out, st.Node)
	}
	return out
}

// rest waits until no relay that runs has anything to do.
func (n *network) rest(nodes ...*node) {
	n.t.Helper()
	if len(nodes) == 0 {
		nodes = n.nodes
	}
	before, calm := uint64(0), 0
	until(n.t, "rest", func() bool {
		now, total := n.hub.Moving()
		for _, nd := range nodes {
			x, sum := nd.Motion()
			now, total = now+x, total+sum
		}
		if now != 0 || total != before {
			calm = 0
		}
		calm++
		before = total
		return calm > 3
	})
}

// standing is a clock that stands still between blocks: what is due in an epoch
// is done at its beginning, and who cannot be reached is tried each time.
func standing(_ int, c *relay.Config) {
	c.StandingClock = true
	c.Links = link.PoolConfig{BackoffMin: 1, BackoffMax: 1, GiveUp: 1, AnonymousBurst: 1 << 20}
}

func (n *network) items() (out []int) {
	for _, nd := range n.nodes {
		out = append(out, nd.Status().Items)
	}
	return out
}

func TestAStoreIsOnAMajorityBeforeItIsAnswered(t *testing.T) {
	n := newNetwork(t, 5, nil, standing)
	n.epoch()
	c := n.client(0)
	s, token, _ := storeCommand(n, genesis.Hour, 7)
	got := n.signers(s, c.do(3, mail.Command{Store: s}))
	if len(got) < 3 || got[0] != n.nodes[3].ID() {
		t.Fatalf("%d receipts, the first of %s", len(got), got[0])
	}
	n.rest()
	if got := n.items(); !slices.Equal(got, []int{1, 1, 1, 1, 1}) {
		t.Fatalf("items: %v", got)
	}
	// Another member is asked for what is missing: it has the item already.
	if got := n.signers(s, c.do(4, mail.Command{Store: s})); got[0] != n.nodes[4].ID() || len(got) < 3 {
		t.Fatalf("%d receipts", len(got))
	}
	// A deletion reaches all.
	if r := c.do(1, mail.Command{Delete: &mail.Delete{Token: token}}); r.Code != mail.CodeDeleted {
		t.Fatal(r.Code)
	}
	n.rest()
	if got := n.items(); !slices.Equal(got, []int{0, 0, 0, 0, 0}) {
		t.Fatalf("items: %v", got)
	}
	for i := range n.nodes {
		if r := c.do(i, mail.Command{Store: s}); r.Code != mail.CodeDeleted || !bytes.Equal(r.Body, token[:]) {
			t.Fatalf("member %d: a deleted item came back, or without its token: %s", i, r.Code)
		}
	}
	n.settled()
	for i, nd := range n.nodes {
		if x := nd.Counters(); refusals(x) > 0 || x.CopiesIn == 0 || x.AcksOut == 0 {
			t.Errorf("member %d: %+v", i, x)
		}
	}
}

// refusals are those that honest relays do not see; at the beginning of an epoch
// one may be asked by another that it does not know yet.
func refusals(x relay.Counters) (n uint64) {
	for why, v := range x.CopiesRefused {
		if why != "stranger" && why != "outsider" {
			n += v
		}
	}
	return n
}

func TestRequestsAndBundlesReachAllMembers(t *testing.T) {
	n := newNetwork(t, 5, nil, standing)
	n.epoch()
	c := n.client(0)
	b := mail.Bundle{Ed: [32]byte(idOf(keyOf(210))), X: [32]byte{1}, Serial: 1, Until: n.l.at().Time + 100_000, Work: 4}
	b.Sign(n.l.hash, keyOf(210))
	if r := c.do(2, mail.Command{PutBundle: &mail.PutBundle{Bundle: b.Encode()}}); r.Code != mail.CodeAccepted {
		t.Fatal(r.Code)
	}
	q := &mail.Request{Account: b.Account(), Epoch: n.list().Epoch, Content: make([]byte, mail.RequestSize)}
	q.Work(4, func() bool { return false })
	n.rest()
	if r := c.do(3, mail.Command{Request: q}); r.Code != mail.CodeAccepted {
		t.Fatal(r.Code)
	}
	n.rest()
	if got := n.items(); !slices.Equal(got, []int{1, 1, 1, 1, 1}) {
		t.Fatalf("requests: %v", got)
	}
	for i := range n.nodes {
		if r := c.do(i, mail.Command{GetBundle: &mail.GetBundle{Account: b.Account()}}); r.Code != mail.CodeFound || !bytes.Equal(r.Body, b.Encode()) {
			t.Fatalf("member %d: %s", i, r.Code)
		}
	}
}

// A member that is down is not waited for longer than it takes to find out; one
// whose disk fails gives no receipt, and others' count for it.
func TestMembersThatAreDown(t *testing.T) {
	disks := make([]*fullDisk, 5)
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		disks[i] = &fullDisk{}
		c.Store = disks[i]
		standing(i, c)
	})
	n.epoch()
	c := n.client(0)
	n.nodes[4].stop()
	disks[3].full.Store(true)
	s, _, _ := storeCommand(n, genesis.Hour, 1)
	got := n.signers(s, c.do(3, mail.Command{Store: s})) // the member that is asked is itself the one with the full disk
	if len(got) != 3 || slices.Contains(got, n.nodes[3].ID()) || slices.Contains(got, n.nodes[4].ID()) {
		t.Fatalf("%d receipts", len(got))
	}
	disks[2].full.Store(true)
	s, _, _ = storeCommand(n, genesis.Hour, 2)
	if got := n.signers(s, c.do(1, mail.Command{Store: s})); len(got) != 2 || got[0] != n.nodes[1].ID() {
		t.Fatalf("%d receipts without a majority", len(got))
	}
	disks[0].full.Store(true)
	disks[1].full.Store(true)
	s, _, _ = storeCommand(n, genesis.Hour, 3)
	if r := c.do(1, mail.Command{Store: s}); r.Code != mail.CodeBusy {
		t.Fatal(r.Code)
	}
	n.rest(n.nodes[:4]...)
	if got := n.items(); !slices.Equal(got[:4], []int{2, 2, 1, 0}) {
		t.Fatalf("items: %v", got)
	}
	if x := n.nodes[2].Counters().CopiesRefused["full"]; x == 0 {
		t.Error("not counted")
	}
}

// What is not a listed node's, not of the form, forged or too much changes
// nothing and is counted.
func TestCopiesThatAreRefused(t *testing.T) {
	n := newNetwork(t, 5, nil, standing)
	n.epoch()
	target := n.nodes[0]
	refused := func(reason string, least uint64) {
		t.Helper()
		until(t, reason, func() bool { return target.Counters().CopiesRefused[reason] >= least })
	}
	send := func(p *link.Pool, data []byte) {
		t.Helper()
		if err := p.Send(target.ID(), link.Frame{Type: link.Swarm, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	good, _, _ := storeCommand(n, genesis.Hour, 1)
	message := func(c mail.Copy) []byte {
		return mail.SwarmMessage{Kind: mail.SwarmCopies, Copies: []mail.Copy{c}}.Encode()
	}
	stranger := n.hubPool(99)
	send(stranger, message(mail.Copy{Serial: 1, Command: mail.Command{Store: good}}))
	refused("stranger", 1)

	n.nodes[4].stop() // its identity is used from here on
	member := n.hubPool(5)
	send(member, []byte{1, 1})
	send(member, nil)
	send(member, message(mail.Copy{Serial: 1, Command: mail.Command{Store: good}})[:100])
	refused("malformed", 3)
	forged := *good
	forged.Sig[0] ^= 1
	send(member, message(mail.Copy{Serial: 1, Command: mail.Command{Store: &forged}}))
	lazy := &mail.Request{Epoch: n.list().Epoch, Content: make([]byte, mail.RequestSize)}
	for lazy.Bits() >= mail.DefaultWork {
		lazy.Nonce++
	}
	send(member, message(mail.Copy{Command: mail.Command{Request: lazy}}))
	refused("forged", 2)
	send(member, mail.SwarmMessage{Kind: mail.SwarmAcks, Acks: []mail.Ack{{Serial: 5, Code: mail.CodeStored}}}.Encode())
	late := *good
	late.Expiry = n.l.at().Time
	late.Sign(n.l.hash, keyOf(200))
	send(member, message(mail.Copy{Serial: 1, Command: mail.Command{Store: &late}}))
	refused("stale", 1)
	if got := target.Status().Items; got != 0 {
		t.Fatalf("%d items", got)
	}
	send(member, message(mail.Copy{Serial: 1, Command: mail.Command{Store: good}}))
	until(t, "stored", func() bool { return target.Status().Items == 1 })
}

// A member that signs falsely does not confirm anything for long: it is found
// out by the one receipt in sixteen that is verified, and from then on all of
// its are.
func TestFalseReceiptsAreFoundOut(t *testing.T) {
	n := newNetwork(t, 3, nil, func(i int, c *relay.Config) {
		standing(i, c)
		if i == 2 {
			c.Signer = liar{relay.NewSigner(c.Identity)}
		}
	})
	n.epoch()
	c := n.client(0)
	c2 := func(fill byte) []chain.NodeID {
		s, _, _ := storeCommand(n, genesis.Hour, fill)
		c.send(n.wrap(n.path(0, 1), mail.Command{Store: s, Replies: [][]byte{c.surb(0)}}.Encode()))
		r := c.reply()
		receipts, err := small.DecodeReceipts(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		var out []chain.NodeID
		for _, b := range receipts {
			st, _ := statement.Decode(b)
			if st.Verify(statement.Domain{Genesis: n.l.hash}) == nil {
				out = append(out, st.Node)
			}
		}
		return out
	}
	caught := func() bool { return n.nodes[1].Counters().CopiesRefused["forged"] > 0 }
	for i := 0; i < 600 && !caught(); i++ {
		c2(byte(i))
	}
	if !caught() {
		t.Fatal("600 false receipts, none found")
	}
	for i := range byte(4) {
		if got := c2(200 + i); len(got) != 2 || got[1] != n.nodes[0].ID() {
			t.Fatalf("%d good receipts", len(got))
		}
	}
}

// fullDisk is a store in memory whose disk can be full.
type fullDisk struct {
	mailbox.Memory
	full atomic.Bool
}

func (d *fullDisk) Write(rows []mailbox.Row) error {
	if d.full.Load() {
		return mailbox.ErrStore
	}
	return d.Memory.Write(rows)
}

// liar signs receipts with zeros.
type liar struct{ relay.Signer }

func (l liar) Sign(d statement.Domain, label statement.Label, seq statement.Sequence, body []byte) statement.Statement {
	s := l.Signer.Sign(d, label, seq, body)
	if label == statement.LabelReceipt {
		s.Sig = [64]byte{1}
	}
	return s
}
