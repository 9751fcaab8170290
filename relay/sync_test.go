package relay_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay"
	"tunic/relay/mailbox"
)

// disk is a store that a test looks into.
type disk struct{ mailbox.Memory }

// states are the rows that members compare: mailbox, id, state.
func (d *disk) states() (out []string) {
	d.Scan([]byte{'s'}, nil, func(k, v []byte) bool {
		out = append(out, fmt.Sprintf("%x %x %d", k[1:9], k[33:41], v[0]))
		return true
	})
	return out
}

func count(states []string, state mail.RowState) (n int) {
	for _, s := range states {
		if s[len(s)-1] == '0'+byte(state) {
			n++
		}
	}
	return n
}

// swarmID is a swarm.
type swarmID = directory.SwarmID

// filler puts mail into a store as if its clients had, without a relay.
type filler struct {
	t   testing.TB
	n   *network
	m   *mailbox.Mailbox
	now chain.Time
}

func (n *network) fill(t testing.TB, s mailbox.Store) *filler {
	t.Helper()
	at := n.l.at()
	m, err := mailbox.New(mailbox.Config{
		Self: chain.NodeID{1}, Genesis: n.l.hash, Start: n.l.core.Time, Params: &n.l.core.Params, Format: mail.FormatOf(relay.Geometry(n.l.core)), Store: s,
		Sign: func(statement.Receipt) []byte { return []byte{0} },
	})
	if err != nil {
		t.Fatal(err)
	}
	return &filler{t, n, m, at.Time}
}

func (f *filler) do(c mail.Command, want mail.Code) {
	f.t.Helper()
	if r := f.m.Handle(f.now, f.n.l.at().DirEpoch, c); r[0].Code != want {
		f.t.Fatalf("%s, not %s", r[0].Code, want)
	}
}

// item is a store whose content, mailbox and token follow from a number. Eight
// share a mailbox.
func (n *network) item(i int, expiry chain.Duration) (*mail.Store, mail.Delete) {
	seed := sha256.Sum256(fmt.Appendf(nil, "write %d", i/8))
	write := mailKey(seed)
	d := mail.Delete{Token: sha256.Sum256(fmt.Appendf(nil, "token %d", i))}
	s := &mail.Store{
		ReadHash: seed, Write: [32]byte(idOf(write)), Expiry: n.l.at().Time + chain.Time(expiry), Deleter: mail.Deleter(d.Token),
		Content: make([]byte, mail.FormatOf(relay.Geometry(n.l.core)).Item()),
	}
	binary.BigEndian.PutUint64(s.Content, uint64(i))
	s.Sign(n.l.hash, write)
	return s, d
}

func (n *network) requestTo(account byte, i, work int) *mail.Request {
	q := &mail.Request{Account: mail.AccountID{account}, Epoch: n.l.at().DirEpoch, Content: make([]byte, mail.RequestSize)}
	binary.BigEndian.PutUint64(q.Content, uint64(i))
	q.Work(work, func() bool { return false })
	return q
}

func (n *network) bundleOf(account byte, serial uint64) *mail.PutBundle {
	b := mail.Bundle{Ed: [32]byte(idOf(keyOf(account))), X: [32]byte{account}, Serial: serial, Until: n.l.at().Time + 1_000_000, Work: 4}
	b.Sign(n.l.hash, keyOf(account))
	return &mail.PutBundle{Bundle: b.Encode()}
}

// swarms is a network whose relays have stores that the test sees.
func swarms(t testing.TB, relays int, change func(*genesis.Core)) (*network, []*disk) {
	t.Helper()
	disks := make([]*disk, relays)
	n := newNetwork(t, relays, change, func(i int, c *relay.Config) {
		standing(i, c)
		disks[i] = &disk{}
		c.Store = disks[i]
	})
	n.epoch()
	n.rest()
	return n, disks
}

// restart starts a relay again with another store.
func (n *network) restart(i int, d *disk) {
	n.t.Helper()
	n.nodes[i].stop()
	cfg := n.nodes[i].cfg
	cfg.Store = d
	n.nodes[i] = n.start(cfg)
	n.nodes[i].reaches(n.t, n.l.at().Height)
}

func (n *network) equal(disks []*disk, want int) {
	n.t.Helper()
	for i, d := range disks {
		if got := d.states(); len(got) != want || !slices.Equal(got, disks[0].states()) {
			n.t.Fatalf("member %d has %d rows, not %d, or others than the first", i, len(got), want)
		}
	}
}

// A member that was away, or has lost its disk, has everything again in the
// epoch in which it is back: items, requests, bundles, and what was deleted.
func TestAMemberThatIsBackIsMadeWhole(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost disk %t", lost), func(t *testing.T) {
			n, disks := swarms(t, 5, nil)
			c := n.client(0)
			for i := range 40 {
				s, _ := n.item(i, genesis.Hour)
				n.signers(s, c.do(3, mail.Command{Store: s}))
			}
			n.rest()
			n.nodes[4].stop()
			for i := 40; i < 80; i++ {
				s, _ := n.item(i, genesis.Hour)
				n.signers(s, c.do(1, mail.Command{Store: s}))
			}
			for i := range 20 {
				_, d := n.item(3*i, genesis.Hour)
				if r := c.do(2, mail.Command{Delete: &d}); r.Code != mail.CodeDeleted {
					t.Fatal(r.Code)
				}
			}
			for i := range 5 {
				if r := c.do(2, mail.Command{Request: n.requestTo(9, i, mail.DefaultWork)}); r.Code != mail.CodeAccepted {
					t.Fatal(r.Code)
				}
			}
			if r := c.do(2, mail.Command{PutBundle: n.bundleOf(210, 1)}); r.Code != mail.CodeAccepted {
				t.Fatal(r.Code)
			}
			n.rest(n.nodes[:4]...)
			if lost {
				disks[4] = &disk{}
			}
			n.restart(4, disks[4])
			n.rest()
			n.equal(disks, 86)
			if got := count(disks[4].states(), mail.RowDeleted); got != 20 {
				t.Fatalf("%d tombstones", got)
			}
			if got := n.nodes[4].Status().Items; got != 65 {
				t.Fatalf("%d items", got)
			}
			// Nothing is passed again, and nothing is to be done.
			before := n.nodes[4].Counters()
			for range 5 {
				n.epoch()
				n.rest()
			}
			after := n.nodes[4].Counters()
			if after.SyncGained != before.SyncGained || after.SyncsFailed > 0 || after.Syncs == before.Syncs || refusals(after) > 0 {
				t.Fatalf("%+v", after)
			}
			// The receipt is given when the client stores again.
			s, _ := n.item(79, genesis.Hour)
			if got := n.signers(s, c.do(4, mail.Command{Store: s})); got[0] != n.nodes[4].ID() {
				t.Fatal("no receipt of its own")
			}
		})
	}
}

// What comes late has a cursor above all that the reader has seen.
func TestLateItemsAreAboveTheReadersCursor(t *testing.T) {
	n, disks := swarms(t, 3, nil)
	n.nodes[2].stop()
	s, _ := n.item(0, genesis.Hour)
	n.fill(t, disks[2]).do(mail.Command{Store: s}, mail.CodeStored)
	older, _ := n.item(1, genesis.Hour)
	n.fill(t, disks[0]).do(mail.Command{Store: older}, mail.CodeStored)
	f := n.fill(t, disks[2])
	f.now += 5000
	newest := lastCursor(disks[2])
	n.restart(2, disks[2])
	for range 4 {
		n.rest()
		n.epoch()
	}
	n.rest()
	if got := lastCursor(disks[2]); got <= newest {
		t.Fatalf("cursor %d is not above %d", got, newest)
	}
	n.equal(disks, 2)
}

// Where the clock stands still between blocks, a member that knows an earlier block, of
// hours ago, answers one that knows the newest: it would wait for it in vain.
func TestWhoKnowsAnEarlierBlockAnswers(t *testing.T) {
	disks := make([]*disk, 2)
	n := newNetwork(t, 2, nil, func(i int, c *relay.Config) {
		standing(i, c)
		disks[i] = &disk{}
		c.Store = disks[i]
		if i == 1 {
			earlier := c.Core.Time - 2*chain.Time(mailbox.PollSkew)
			c.Clock = func() chain.Time { return earlier }
		}
	})
	s, _ := n.item(0, genesis.Hour)
	n.fill(t, disks[1]).do(mail.Command{Store: s}, mail.CodeStored)
	n.epoch()
	n.rest()
	n.equal(disks, 1)
}

func lastCursor(d *disk) (last uint64) {
	d.Scan([]byte{'i'}, nil, func(k, _ []byte) bool { last = max(last, binary.BigEndian.Uint64(k[33:])); return true })
	return last
}

// placed puts relay i of a network into the swarm of.
func placed(of func(chain.Epoch, int) directory.SwarmID) func(chain.Epoch, []directory.Entry) {
	number := map[chain.NodeID]int{}
	for i := range 20 {
		number[idOf(keyOf(byte(i+1)))] = i
	}
	return func(e chain.Epoch, entries []directory.Entry) {
		for i := range entries {
			x := &entries[i]
			x.Swarm, x.PreviousSwarm = of(e, number[x.Node]), directory.NoSwarm
			if e > 0 {
				x.PreviousSwarm = of(e-1, number[x.Node])
			}
		}
	}
}

// After a swarm was split, and after two were merged, each member has what its
// swarm keeps, whatever it kept before; who kept it before has it still.
func TestSplitAndMerge(t *testing.T) {
	const half, end = directory.SwarmID(1) << 63, ^directory.SwarmID(1)
	n, disks := swarms(t, 6, nil)
	first := n.l.at().DirEpoch
	two := func(e chain.Epoch) bool { return e == first+2 || e == first+3 }
	n.l.place = placed(func(e chain.Epoch, i int) directory.SwarmID {
		switch {
		case two(e) && i < 3:
			return half
		}
		return end
	})
	n.epoch()
	c := n.client(0)
	for i := range 160 {
		s, _ := n.item(i, genesis.Hour)
		n.signers(s, c.do(i%6, mail.Command{Store: s}))
	}
	n.rest()
	n.equal(disks, 160)
	n.epoch() // split
	n.rest()
	for i := 160; i < 320; i++ {
		s, _ := n.item(i, genesis.Hour)
		n.signers(s, c.do(i%6, mail.Command{Store: s}))
	}
	n.rest()
	if got := len(disks[0].states()); got != 320 {
		t.Fatalf("%d rows: in the first epoch both sets take all", got)
	}
	n.epoch()
	n.rest()
	low, high := 0, 0
	for i := 320; i < 480; i++ {
		s, _ := n.item(i, genesis.Hour)
		member, id := 0, s.Mailbox()
		if id[0] >= 0x80 {
			member = 3
			high++
		} else {
			low++
		}
		if got := n.signers(s, c.do(member, mail.Command{Store: s})); len(got) < 2 || len(got) > 3 {
			t.Fatalf("%d receipts of a swarm of three", len(got))
		}
	}
	n.rest()
	for i, d := range disks {
		want := 320 + low
		if i >= 3 {
			want = 320 + high
		}
		if got := len(d.states()); got != want {
			t.Fatalf("member %d: %d rows, not %d", i, got, want)
		}
	}
	n.epoch() // merged
	n.rest()
	n.equal(disks, 480)
}

// A member that has gone to another swarm and alone has what its former swarm
// keeps hands it over: it still answers for it, and need not push for long.
func TestAFormerMemberHandsOver(t *testing.T) {
	const half, end = directory.SwarmID(1) << 63, ^directory.SwarmID(1)
	for _, late := range []chain.Epoch{0, 6} { // back at once; back when nobody remembers
		t.Run(fmt.Sprintf("%d epochs late", late), func(t *testing.T) {
			n, disks := swarms(t, 7, nil)
			moves := n.l.at().DirEpoch + 2
			n.l.place = placed(func(e chain.Epoch, i int) directory.SwarmID {
				if i < 3 || i == 6 && e < moves {
					return half
				}
				return end
			})
			n.epoch()
			n.nodes[6].stop()
			f := n.fill(t, disks[6])
			rows := 0
			for i := 0; rows < 200; i++ {
				if s, _ := n.item(i, genesis.Hour); s.Mailbox()[0] < 0x80 {
					f.do(mail.Command{Store: s}, mail.CodeStored)
					rows++
				}
			}
			for range late {
				n.l.seal(n.l.at().Time+chain.Time(n.l.core.Params.EpochLength), nil)
			}
			n.nodes[6] = n.start(n.nodes[6].cfg)
			n.epoch()
			n.epoch()
			n.rest()
			for range 3 { // then the members have it from each other
				n.epoch()
				n.rest()
			}
			n.equal([]*disk{disks[0], disks[1], disks[2], disks[6]}, 200)
			before := n.nodes[6].Counters()
			n.epoch()
			n.rest()
			if after := n.nodes[6].Counters(); after.SyncGiven != before.SyncGiven || late > 0 && before.SyncGiven < 200 {
				t.Fatalf("pushed %d, then %d rows", before.SyncGiven, after.SyncGiven)
			}
			for _, i := range []int{3, 4, 5} {
				if got := len(disks[i].states()); got != 0 {
					t.Fatalf("member %d of another swarm got %d rows", i, got)
				}
			}
		})
	}
}

// Each stray has those handed over that came since the last time, not all that
// were ever here: one packet would cost the swarms a disk's worth.
func TestOneStrayIsOneRow(t *testing.T) {
	n, disks := swarms(t, 7, nil)
	n.l.place = placed(func(_ chain.Epoch, i int) directory.SwarmID {
		if i < 3 {
			return 1 << 63
		}
		return ^directory.SwarmID(1)
	})
	n.epoch()
	n.nodes[6].stop()
	f := n.fill(t, disks[6])
	rows, i := 0, 0
	for ; rows < 100; i++ {
		if s, _ := n.item(i, genesis.Hour); s.Mailbox()[0] < 0x80 {
			f.do(mail.Command{Store: s}, mail.CodeStored)
			rows++
		}
	}
	n.l.seal(n.l.at().Time+chain.Time(6*60_000), nil)
	n.nodes[6] = n.start(n.nodes[6].cfg)
	for range 3 {
		n.epoch()
		n.rest()
	}
	before := n.nodes[6].Counters().SyncGiven
	if before < 200 {
		t.Fatalf("pushed %d rows: not all to two of three", before)
	}
	var stray *mail.Store
	for ; stray == nil; i++ {
		if s, _ := n.item(i, genesis.Hour); s.Mailbox()[0] < 0x80 {
			stray = s
		}
	}
	c := n.client(0)
	c.send(n.wrap(n.path(0, 6), mail.Command{Store: stray, Replies: [][]byte{c.surb(2, 0)}}.Encode()))
	if r := c.reply(); r.Code != mail.CodeStored {
		t.Fatal(r.Code)
	}
	n.epoch()
	n.rest()
	if given := n.nodes[6].Counters().SyncGiven - before; given == 0 || given > 3 {
		t.Fatalf("pushed %d rows for one", given)
	}
	for range 2 {
		n.epoch()
		n.rest()
	}
	n.equal(disks[:3], 101)
}

// Whatever two members have, one session makes them equal, and one more finds
// that they are with one question; a deletion wins over its item.
func TestAnyTwoMembersBecomeEqual(t *testing.T) {
	testenv.Check(t, func(rt *rapid.T) {
		n, disks := swarms(t, 2, nil)
		defer func() {
			for _, nd := range n.nodes {
				nd.stop()
			}
		}()
		for _, nd := range n.nodes {
			nd.stop()
		}
		all := rapid.IntRange(0, 250).Draw(rt, "rows")
		common := rapid.IntRange(0, 100).Draw(rt, "percent in common")
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		var items, deleted int
		fillers := []*filler{n.fill(t, disks[0]), n.fill(t, disks[1])}
		for i := range all {
			who := rnd.IntN(2)
			both := rnd.IntN(100) < common
			s, d := n.item(i, genesis.Hour)
			gone := rnd.IntN(8) == 0
			for m := range 2 {
				if !both && m != who {
					continue
				}
				fillers[m].do(mail.Command{Store: s}, mail.CodeStored)
				if gone && m == who {
					fillers[m].do(mail.Command{Delete: &d}, mail.CodeDeleted)
				}
			}
			if gone {
				deleted++
			} else {
				items++
			}
		}
		for m, f := range fillers {
			f.do(mail.Command{PutBundle: n.bundleOf(210, uint64(rnd.IntN(3)))}, mail.CodeAccepted)
			for i := range rnd.IntN(6) {
				f.do(mail.Command{Request: n.requestTo(7, 10*m+i, mail.DefaultWork)}, mail.CodeAccepted)
			}
		}
		for i := range n.nodes {
			n.nodes[i] = n.start(n.nodes[i].cfg)
			n.nodes[i].reaches(t, n.l.at().Height)
		}
		n.rest()
		a, b := disks[0].states(), disks[1].states()
		if !slices.Equal(a, b) || count(a, mail.RowItem) != items || count(a, mail.RowDeleted) != deleted || count(a, mail.RowBundle) != 1 {
			for _, nd := range n.nodes {
				t.Logf("%+v", nd.Counters())
			}
			rt.Fatalf("%d and %d rows, %d items of %d, %d tombstones of %d", len(a), len(b), count(a, mail.RowItem), items, count(a, mail.RowDeleted), deleted)
		}
		_, before := n.hub.Moving()
		packets := n.nodes[0].Counters().In + n.nodes[1].Counters().In
		n.epoch()
		n.rest()
		_, after := n.hub.Moving()
		// Each leads one session: a question and an answer. Beside these there
		// are Hellos.
		packets = n.nodes[0].Counters().In + n.nodes[1].Counters().In - packets
		if frames := after - before - packets; frames > 4+8 {
			rt.Fatalf("%d frames between two that are equal", frames)
		}
	})
}

// An item that was deleted does not come back, though most members still have
// it; one that has expired is not passed on.
func TestDeletedAndExpiredItemsDoNotComeBack(t *testing.T) {
	n, disks := swarms(t, 3, nil)
	n.nodes[2].stop()
	var tokens []mail.Delete
	for i := range 20 {
		s, d := n.item(i, genesis.Hour)
		if i >= 10 {
			s, d = n.item(i, n.l.core.Params.EpochLength)
		}
		tokens = append(tokens, d)
		for m := range 3 {
			n.fill(t, disks[m]).do(mail.Command{Store: s}, mail.CodeStored)
		}
	}
	disks[1] = &disk{}
	for i := range 10 {
		n.fill(t, disks[2]).do(mail.Command{Delete: &tokens[i]}, mail.CodeDeleted)
	}
	n.restart(1, disks[1])
	n.rest(n.nodes[:2]...)
	if got := len(disks[1].states()); got != 20 {
		t.Fatalf("%d rows", got)
	}
	n.l.seal(n.l.at().Time+chain.Time(n.l.core.Params.EpochLength), nil)
	disks[0] = &disk{}
	n.restart(0, disks[0])
	n.restart(2, disks[2])
	n.rest()
	for range 4 {
		n.epoch()
		n.rest()
	}
	for m := range 3 {
		states := disks[m].states()
		if got := count(states, mail.RowDeleted); got != 10 || count(states, mail.RowItem) > 0 {
			t.Fatalf("member %d: %d tombstones, %d items", m, got, count(states, mail.RowItem))
		}
	}
}

func TestLargeGeometry(t *testing.T) {
	n, disks := swarms(t, 3, func(c *genesis.Core) { c.Params.Geometry = 2 })
	n.nodes[2].stop()
	var first *mail.Store
	for i := range 40 {
		s, _ := n.item(i, genesis.Hour)
		if len(s.Content) != 32_000 {
			t.Fatalf("an item of %d bytes", len(s.Content))
		}
		n.fill(t, disks[0]).do(mail.Command{Store: s}, mail.CodeStored)
		if first == nil {
			first = s
		}
	}
	n.restart(2, disks[2])
	n.rest()
	n.epoch()
	n.rest()
	n.equal(disks, 40)
	row := itemOf(disks[2], first.Item())
	row[0] = 'c'
	if v, _ := disks[2].Get(row); !bytes.Equal(v, first.Content) {
		t.Fatal("another content")
	}
	c := n.client(0)
	s, _ := n.item(99, genesis.Hour)
	reply := c.do(1, mail.Command{Store: s})
	if got := n.signers(s, reply); len(got) < 2 || got[0] != n.nodes[1].ID() {
		t.Fatalf("%d receipts", len(got))
	}
}

// itemOf is the key of the row of an item.
func itemOf(d *disk, id chain.Hash) (key []byte) {
	d.Scan([]byte{'s'}, nil, func(k, v []byte) bool {
		if bytes.Equal(k[33:], id[:]) {
			key = append(append([]byte{'i'}, k[1:33]...), v[9:17]...)
		}
		return key == nil
	})
	return key
}

func mailKey(seed [32]byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed[:]) }

// Members whose mailboxes are full of different requests come to have the same:
// those with the most work, and they stay; what the owner asks for now does not
// shut out what came when he asked for less.
func TestFullMailboxesOfRequestsBecomeEqual(t *testing.T) {
	n, disks := swarms(t, 2, nil)
	for _, nd := range n.nodes {
		nd.stop()
	}
	bundle := func(serial uint64, work uint8) mail.Command {
		b := mail.Bundle{Ed: [32]byte(idOf(keyOf(210))), X: [32]byte{1}, Serial: serial, Until: n.l.at().Time + 1_000_000, Work: work}
		b.Sign(n.l.hash, keyOf(210))
		return mail.Command{PutBundle: &mail.PutBundle{Bundle: b.Encode()}}
	}
	account := mail.NewAccountID([32]byte(idOf(keyOf(210))), [32]byte{1})
	var works []int
	for m := range 2 {
		f := n.fill(t, disks[m])
		f.do(bundle(1, 1), mail.CodeAccepted)
		for i := range mailbox.RequestLimit {
			q := &mail.Request{Account: account, Epoch: n.l.at().DirEpoch, Content: make([]byte, mail.RequestSize)}
			q.Content[0], q.Content[1] = byte(m), byte(i)
			q.Work(1+i%4, func() bool { return false })
			works = append(works, q.Bits())
			f.do(mail.Command{Request: q}, mail.CodeAccepted)
		}
		if m == 0 {
			f.do(bundle(2, 9), mail.CodeAccepted)
		}
	}
	slices.Sort(works)
	least := works[len(works)-mailbox.RequestLimit]
	for i := range n.nodes {
		n.nodes[i] = n.start(n.nodes[i].cfg)
		n.nodes[i].reaches(t, n.l.at().Height)
	}
	for range 3 {
		n.rest()
		n.epoch()
	}
	n.rest()
	n.equal(disks, mailbox.RequestLimit+1)
	for m, d := range disks {
		d.Scan([]byte{'i'}, nil, func(_, v []byte) bool {
			if got := int(binary.BigEndian.Uint16(v[16:])); got < least {
				t.Errorf("member %d keeps a request of %d bits, though %d with at least %d came", m, got, mailbox.RequestLimit, least)
			}
			return true
		})
	}
	before := n.nodes[0].Counters()
	for range 3 {
		n.epoch()
		n.rest()
	}
	if after := n.nodes[0].Counters(); after.SyncGained != before.SyncGained || after.SyncGiven != before.SyncGiven || refusals(after) != refusals(before) {
		t.Fatalf("they go on: %+v", after)
	}
}

// Each of two members has taken a mailbox's quota, of different items; a third
// must not refuse what a majority may have confirmed.
func TestAQuotaDoesNotKeepMembersApart(t *testing.T) {
	const quota = 4
	n, disks := swarms(t, 2, func(c *genesis.Core) { c.Params.MailboxQuota = quota })
	for m, nd := range n.nodes {
		nd.stop()
		f := n.fill(t, disks[m])
		for i := range quota {
			s, _ := n.item(4*m+i, genesis.Hour) // eight share a mailbox
			f.do(mail.Command{Store: s}, mail.CodeStored)
		}
		s, _ := n.item(7-4*m, genesis.Hour)
		f.do(mail.Command{Store: s}, mail.CodeFull)
	}
	for i := range n.nodes {
		n.nodes[i] = n.start(n.nodes[i].cfg)
		n.nodes[i].reaches(t, n.l.at().Height)
	}
	n.rest()
	n.epoch()
	n.rest()
	n.equal(disks, 2*quota)
}
