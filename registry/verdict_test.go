package registry_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/internal/testenv"
	"tunic/registry"
	"tunic/staking"
)

const (
	absent     = statement.ReasonAbsent
	loss       = statement.ReasonLoss
	unrevealed = statement.ReasonUnrevealed
	version    = statement.ReasonVersion
)

// Of 6 relays 5 can vote on the sixth, and 4 must agree.
func TestVerdicts(t *testing.T) {
	type ballot struct {
		why   statement.Reasons
		score chain.Permille
	}
	five := func(b ballot) []ballot { return []ballot{b, b, b, b, b} }
	for _, row := range []struct {
		name        string
		cast        []ballot // by the voters, in the order of the draw
		least       chain.Duration
		to          registry.State
		reason      string
		performance chain.Permille
	}{
		{"nobody votes", nil, 0, registry.Active, "", 1000},
		{"three are too few", five(ballot{absent, 1000})[:3], 0, registry.Active, "", 1000},
		{"four are enough", five(ballot{absent, 1000})[:4], 0, registry.Decommissioned, "unavailable: absent", 1000},
		{"five, and no credit", five(ballot{absent, 1000}), 20_001, registry.Deregistered, "unavailable: absent", 1000},
		{"as much credit as needed", five(ballot{loss, 1000}), 20_000, registry.Decommissioned, "unavailable: loss", 1000},
		{"split", []ballot{{0, 1000}, {0, 1000}, {loss, 500}, {loss, 500}, {loss, 500}}, 0, registry.Active, "", 1000},
		{"one lies", []ballot{{0, 1000}, {loss, 800}, {loss, 810}, {loss, 820}, {loss, 830}}, 0, registry.Decommissioned, "unavailable: loss", 810},
		{"all bits and any bits", []ballot{{loss, 700}, {loss | absent, 700}, {loss | unrevealed, 700}, {loss, 700}, {loss | version, 1}}, 0,
			registry.Decommissioned, "unavailable: loss", 700},
		{"none in all", []ballot{{loss, 700}, {absent, 700}, {loss, 700}, {version, 700}}, 0, registry.Decommissioned, "unavailable: absent+loss+version", 700},
		{"fit and slower", []ballot{{0, 950}, {0, 940}, {0, 990}, {0, 960}, {0, 0}}, 0, registry.Active, "", 950},
		{"fit, of an even number the lower", []ballot{{0, 950}, {0, 940}, {0, 990}, {0, 960}}, 0, registry.Active, "", 950},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newCourt(t, 6)
			// Exactly the credit of the start is left: nothing grows.
			c.core.Params.CreditPerDay, c.core.Params.CreditLeast = 0, row.least
			subject := c.relays[0].id()
			voters := c.voters(subject)
			if len(voters) != 5 {
				t.Fatalf("%d voters", len(voters))
			}
			for i, x := range row.cast {
				must(t, c.publish(c.vote(voters[i], subject, x.why, x.score)))
			}
			c.epoch(t, 2)
			n, _ := c.Node(subject)
			if n.State != row.to || n.Performance != row.performance || n.Listed != (row.to == registry.Active) {
				t.Fatalf("%s, performance %d, listed %v", n.State, n.Performance, n.Listed)
			}
			if e, ok := c.ctx.List.Find(subject); ok && e.Performance != row.performance {
				t.Fatalf("listed with performance %d", e.Performance)
			}
			h := c.History(subject)
			last := h[len(h)-1]
			if row.reason != "" && (last.Reason != row.reason || last.Proof != chain.SHA256(subject[:]) || last.To != row.to) {
				t.Fatalf("%+v", last)
			}
			got, counted := c.LastCount(subject)
			if counted != (len(row.cast) > 0) || len(got.Votes) != len(row.cast) {
				t.Fatalf("%+v", got)
			}
			if counted && (got.Epoch != 1 || got.Height != c.ctx.Height || got.Voters != 5 || got.Needed != 4 || got.From != registry.Active || got.To != row.to) {
				t.Fatalf("%+v", got)
			}
			c.commit()
			if len(c.Votes(subject)) != 0 {
				t.Fatal("votes are left")
			}
			for _, v := range c.verdicts {
				checkVerdict(t, c, v, row.to)
			}
			if bond, _ := c.stakes.Bond(subject); (bond.LockedUntil != 0) != (row.to == registry.Deregistered) {
				t.Fatalf("locked until %d", bond.LockedUntil)
			}
			c.epoch(t, 3)
			if n, _ := c.Node(subject); n.State != row.to || len(c.verdicts) != 0 {
				t.Fatal("votes count once")
			}
		})
	}
}

// checkVerdict holds a verdict on relay 0 of epoch 1 against its votes.
func checkVerdict(t *testing.T, c court, v registry.Verdict, to registry.State) {
	t.Helper()
	if v.Epoch != 1 || v.From != registry.Active || v.To != to || v.Operator != operator(0) || v.Subject != c.relays[0].id() || len(v.Votes) < 4 {
		t.Fatalf("%+v", v)
	}
	all, any := ^statement.Reasons(0), statement.Reasons(0)
	var last chain.NodeID
	for _, enc := range v.Votes {
		st, err := statement.Decode(enc)
		if err != nil {
			t.Fatal(err)
		}
		x, err := statement.DecodeVote(st.Body)
		if err != nil || st.Verify(statement.Domain{Genesis: c.hash}) != nil || x.Subject != v.Subject || string(st.Node[:]) <= string(last[:]) {
			t.Fatalf("vote %+v: %v", x, err)
		}
		last = st.Node
		all, any = all&x.Reasons, any|x.Reasons
	}
	if v.All != all || v.Any != any {
		t.Fatalf("all %s, any %s; want %s, %s", v.All, v.Any, all, any)
	}
}

// all lets everybody vote on subject who can.
func (c court) all(t testing.TB, subject chain.NodeID, why statement.Reasons) {
	t.Helper()
	for _, r := range c.voters(subject) {
		must(t, c.publish(c.vote(r, subject, why, 1000)))
	}
}

// Credit begins with 20 s, grows by a sixth of the time that the node is listed
// (4 h a day) to 50 s, and is used up while it is out; coming back costs twice
// the time.
func TestCredit(t *testing.T) {
	c := newCourt(t, 6)
	id := c.relays[0].id()
	is := func(state registry.State, want chain.Duration) {
		t.Helper()
		if n, _ := c.Node(id); n.State != state || c.Credit(n, c.ctx.Time) != want {
			t.Fatalf("epoch %d: %s with %d ms, want %s with %d", c.ctx.Epoch, n.State, c.Credit(n, c.ctx.Time), state, want)
		}
	}
	is(registry.Active, 20_000)
	row, _ := c.Node(id)
	c.at(t, 16_000)
	is(registry.Active, 21_000)
	c.epoch(t, 4) // 30 s after it was listed
	is(registry.Active, 25_000)
	if n, _ := c.Node(id); n.Credit != row.Credit || n.CreditAt != row.CreditAt {
		t.Fatal("a node to which nothing happens is written")
	}
	c.all(t, id, absent)
	c.epoch(t, 5)
	is(registry.Decommissioned, 26_666)
	c.all(t, id, 0) // about a time in which it was active
	c.epoch(t, 6)
	is(registry.Decommissioned, 16_666)
	c.all(t, id, absent) // while there is credit
	c.epoch(t, 7)
	is(registry.Decommissioned, 6_666)
	want := []registry.Unlisted{{Node: id, Decommissioned: true, Since: 5, Performance: 1000}}
	if got := c.Unlisted(); len(got) != 1 || got[0] != want[0] {
		t.Fatalf("%+v", got)
	}
	c.all(t, id, 0)
	c.epoch(t, 8)
	is(registry.Active, 0) // 30 s out cost 60 s
	h := c.History(id)
	if last := h[len(h)-1]; last.Reason != "recommissioned: fit" {
		t.Fatalf("%+v", last)
	}
	c.epoch(t, 14)
	is(registry.Active, 10_000)
	c.all(t, id, absent)
	c.epoch(t, 15)
	is(registry.Decommissioned, 11_666)
	c.epoch(t, 16)
	c.all(t, id, 0)
	c.epoch(t, 17)
	is(registry.Active, 0)
	c.epoch(t, 18)
	c.all(t, id, absent)
	c.epoch(t, 19)
	is(registry.Deregistered, 3_333) // under 10 s there is no second chance
	c.epoch(t, 60)
	is(registry.Deregistered, 3_333)
	for _, r := range c.relays[1:] {
		if n, _ := c.Node(r.id()); c.Credit(n, c.ctx.Time) != 50_000 {
			t.Fatalf("%+v", n)
		}
	}
}

// Who is out when the credit is used up is out for good, with its stake locked.
func TestCreditUsedUp(t *testing.T) {
	c := newCourt(t, 6)
	c.core.Params.CreditPerDay = 0
	id := c.relays[0].id()
	c.all(t, id, absent)
	c.epoch(t, 2)
	if n, _ := c.Node(id); n.State != registry.Decommissioned {
		t.Fatal(n.State)
	}
	c.epoch(t, 3)
	c.all(t, id, absent)
	c.at(t, 40_000) // 20 s after
	n, _ := c.Node(id)
	bond, _ := c.stakes.Bond(id)
	if n.State != registry.Deregistered || bond.LockedUntil == 0 || n.Credit != 0 {
		t.Fatalf("%+v", n)
	}
}

// An epoch that a stall skipped has neither list nor votes; those of the epoch
// before it count in the first block after.
func TestVotesAcrossAStall(t *testing.T) {
	c := newCourt(t, 6)
	id := c.relays[0].id()
	c.all(t, id, loss)
	c.epoch(t, 4)
	if n, _ := c.Node(id); n.State != registry.Decommissioned || c.verdicts[0].Epoch != 1 {
		t.Fatal(n.State)
	}
}

// A penalty decommissions in the middle of an epoch: credit is settled then, and
// does not grow until the list is made anew, though this one still names the node.
func TestDecommissionedByAPenalty(t *testing.T) {
	c := newCourt(t, 6)
	id := c.relays[0].id()
	c.at(t, 16_000)
	must(t, c.Decommission(id, "unauthorised-software", chain.Hash{5}, c.ctx))
	n, _ := c.Node(id)
	if n.Credit != 21_000 || !n.Listed || c.Credit(n, c.ctx.Time+5_000) != 16_000 || len(c.Unlisted()) != 0 {
		t.Fatalf("%+v", n)
	}
	c.all(t, id, 0) // cast in the same epoch: it has to show a whole one
	c.epoch(t, 2)
	if n, _ = c.Node(id); n.State != registry.Decommissioned || n.Listed || n.Credit != 21_000 {
		t.Fatalf("%+v", n)
	}
	c.all(t, id, 0)
	c.epoch(t, 3)
	if n, _ = c.Node(id); n.State != registry.Active || n.Credit != 0 { // 14 s out
		t.Fatalf("%+v", n)
	}
}

// Who leaves while votes on it wait is let go.
func TestVotesOnWhoLeaves(t *testing.T) {
	c := newCourt(t, 6)
	id := c.relays[0].id()
	c.all(t, id, loss)
	must(t, c.stakes.RequestUnlock(operator(0), staking.RequestUnlock{Node: id}, c.ctx.Time), c.Unlocking(id, c.ctx.Time+100_000, c.ctx))
	c.epoch(t, 2)
	if n, _ := c.Node(id); n.State != registry.Unlocking || n.Performance != 1000 || len(c.verdicts) != 0 {
		t.Fatalf("%+v", n)
	}
	if _, counted := c.LastCount(id); counted {
		t.Fatal("counted")
	}
}

// The council may lower the most that a credit can be.
func TestCreditLowered(t *testing.T) {
	c := newCourt(t, 6)
	c.core.Params.CreditMost = 15_000
	c.epoch(t, 2)
	if n, _ := c.Node(c.relays[0].id()); n.Credit != 15_000 || c.Credit(n, c.ctx.Time) != 15_000 {
		t.Fatalf("%+v", n)
	}
}

// Any votes on anybody keep what must hold, a credit never passes its bounds or
// grows faster than time, and what is loaded goes on alike.
func TestRandomJudgement(t *testing.T) {
	testenv.Check(t, func(rt *rapid.T) {
		c := newCourt(t, 6)
		credit := map[chain.NodeID]chain.Duration{}
		for range rapid.IntRange(1, 8).Draw(rt, "epochs") {
			for _, r := range c.relays {
				why := rapid.SampledFrom([]statement.Reasons{0, 0, absent, loss | version, 15}).Draw(rt, "why")
				score := rapid.SampledFrom([]chain.Permille{0, 500, 999, 1000}).Draw(rt, "score")
				n, _ := c.Node(r.id())
				for _, voter := range c.voters(r.id()) {
					if rapid.IntRange(0, 9).Draw(rt, "votes") == 0 {
						continue
					}
					st := c.vote(voter, r.id(), why, score)
					err := c.Publish(st, c.ctx)
					v, _ := c.Node(voter.id())
					judged := n.State == registry.Active || n.State == registry.Decommissioned
					if few := len(c.voters(r.id())) < 4; (err == nil) != (judged && !few && v.State != registry.Deregistered) {
						rt.Fatalf("%s votes on %s: %v", v.State, n.State, err)
					}
				}
			}
			if rapid.IntRange(0, 5).Draw(rt, "penalty") == 0 {
				_ = c.Decommission(c.relays[rapid.IntRange(0, 5).Draw(rt, "who")].id(), "x", chain.Hash{}, c.ctx)
			}
			was := c.ctx.Time
			c.at(t, c.ctx.Time-genesisTime+chain.Time(rapid.IntRange(10_000, 25_000).Draw(rt, "ms")))
			for _, r := range c.relays {
				n, _ := c.Node(r.id())
				now := c.Credit(n, c.ctx.Time)
				if grown := chain.Duration(c.ctx.Time - was); now > 50_000 || now > max(credit[n.ID], 20_000)+grown/6+1 {
					rt.Fatalf("%s: credit %d after %d in %d ms", n.State, now, credit[n.ID], grown)
				}
				if n.State == registry.Decommissioned && n.Listed || n.State == registry.Active != n.Listed {
					rt.Fatalf("%s and listed %v", n.State, n.Listed)
				}
				credit[n.ID] = now
			}
		}
		c.commit()
		var p table.Part
		r := registry.New(&p, &c.core, c.hash)
		if err := p.Load(slices.Collect(c.nodes.Rows())); err != nil || p.Root() != c.nodes.Root() {
			rt.Fatal("loaded state differs", err)
		}
		r.Judge(c.ctx, func(registry.Verdict) chain.Hash { return chain.Hash{} })
		c.Judge(c.ctx, func(registry.Verdict) chain.Hash { return chain.Hash{} })
		p.Commit()
		if c.commit(); p.Root() != c.nodes.Root() {
			rt.Fatal("they part")
		}
	})
}

// Votes that say nothing but absent come to nothing where the subject is heard
// while they are cast, and a voter or two that add a reason do not change that.
// Where as many as are needed give another reason they count.
func TestBackWhileTheQuorumVotes(t *testing.T) {
	for _, row := range []struct {
		other int // voters, of five, that say loss as well; four must agree
		want  registry.State
	}{{0, registry.Active}, {1, registry.Active}, {3, registry.Active}, {4, registry.Decommissioned}, {5, registry.Decommissioned}} {
		c := newCourt(t, 6)
		subject := c.relays[0]
		for i, voter := range c.voters(subject.id()) {
			why := absent
			if i < row.other {
				why |= loss
			}
			must(t, c.publish(c.vote(voter, subject.id(), why, 1000)))
		}
		must(t, c.publish(c.heartbeat(subject, 2, 7)))
		c.epoch(t, 2)
		if n, _ := c.Node(subject.id()); n.State != row.want {
			t.Errorf("%d say loss: %s, want %s", row.other, n.State, row.want)
		}
	}
}

// Whoever was started anew signs for the next epoch first, so that the quorum
// does not find a heartbeat for the epoch before. That does not end its life:
// it is heard, and from then on its credit is not used up, unless its software
// may not run.
func TestBackAsTheCreditEnds(t *testing.T) {
	for why, want := range map[statement.Reasons]registry.State{absent: registry.Decommissioned, version: registry.Deregistered, absent | version: registry.Deregistered} {
		c := newCourt(t, 6)
		c.core.Params.CreditPerDay = 0
		subject := c.relays[0]
		c.all(t, subject.id(), absent)
		c.epoch(t, 2) // out, with 20 s of credit
		must(t, c.publish(c.heartbeat(subject, 3, 7)))
		c.epoch(t, 3)
		c.all(t, subject.id(), why)
		c.at(t, 36_000)
		must(t, c.publish(c.heartbeat(subject, 4, 7)))
		left := chain.Duration(16_000)
		if why&version != 0 {
			c.core.Params.Versions, left = []string{"v2"}, 0
		}
		c.at(t, 40_000)
		n, _ := c.Node(subject.id())
		if n.State != want || c.Credit(n, c.ctx.Time) != left {
			t.Fatalf("%s: %s with %d ms, want %s with %d", why, n.State, c.Credit(n, c.ctx.Time), want, left)
		}
		if want != registry.Decommissioned {
			continue
		}
		c.all(t, subject.id(), 0)
		c.epoch(t, 5)
		if n, _ := c.Node(subject.id()); n.State != registry.Active {
			t.Fatal(n.State)
		}
	}
}

// Who only carries badly is out for two epochs, then four, then eight and so on,
// for as long as its credit is never full in between; it is not deregistered,
// however little credit is left, and hears nothing of the former lapses once it
// was full.
func TestLapses(t *testing.T) {
	c := newCourt(t, 6)
	c.core.Params.CreditPerDay = 0 // never full again
	subject := c.relays[0]
	e := chain.Epoch(1)
	for lapse := range 3 {
		c.all(t, subject.id(), loss)
		out := e + 1
		c.epoch(t, out)
		n, _ := c.Node(subject.id())
		if n.State != registry.Decommissioned || n.Stay != 2<<lapse || int(n.Lapses) != lapse+1 {
			t.Fatalf("lapse %d: %s, %d epochs, %d lapses", lapse, n.State, n.Stay, n.Lapses)
		}
		for e = out; n.State == registry.Decommissioned; {
			must(t, c.publish(c.heartbeat(subject, e+1, 7)))
			if e > out {
				c.all(t, subject.id(), 0)
			}
			e++
			c.epoch(t, e)
			n, _ = c.Node(subject.id())
		}
		if n.State != registry.Active || e != out+2<<lapse {
			t.Fatalf("lapse %d: out in epoch %d, %s in epoch %d", lapse, out, n.State, e)
		}
	}
	c.core.Params.CreditPerDay = 1000 * genesis.Day
	c.epoch(t, e+1)
	if n, _ := c.Node(subject.id()); c.Credit(n, c.ctx.Time) != c.core.Params.CreditMost {
		t.Fatalf("credit %d", c.Credit(n, c.ctx.Time))
	}
	c.all(t, subject.id(), loss)
	c.epoch(t, e+2)
	if n, _ := c.Node(subject.id()); n.Lapses != 1 || n.Stay != 2 {
		t.Fatalf("after full credit: %d lapses, %d epochs", n.Lapses, n.Stay)
	}
}
