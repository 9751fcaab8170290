package registry_test

import (
	"testing"

	"tunic/chain"
	"tunic/registry"
)

// Where more than a third of all that are judged would be out for what they
// carried, the worst go and the others stay.
func TestManyLapses(t *testing.T) {
	for _, row := range []struct {
		relays, absent byte // so many of them are found absent
		out            int  // for what they carried
	}{{5, 0, 1}, {6, 0, 2}, {7, 0, 2}, {7, 1, 1}, {7, 2, 0}, {9, 1, 2}} {
		c := newCourt(t, row.relays)
		for i, r := range c.relays {
			for _, voter := range c.voters(r.id()) {
				why := loss
				if i < int(row.absent) {
					why = absent
				}
				must(t, c.publish(c.vote(voter, r.id(), why, chain.Permille(900-10*i))))
			}
		}
		c.epoch(t, 2)
		var lapsed int
		for i, r := range c.relays {
			n, _ := c.Node(r.id())
			worst := i >= int(row.relays)-row.out // the last have the lowest scores
			want := registry.Active
			if i < int(row.absent) || worst {
				want = registry.Decommissioned
			}
			if n.State != want || n.Listed != (want == registry.Active) || n.Performance != chain.Permille(900-10*i) || (n.Lapses == 1) != worst {
				t.Errorf("%d relays, %d absent, relay %d: %s, %d lapses", row.relays, row.absent, i, n.State, n.Lapses)
			}
			if count, _ := c.LastCount(r.id()); count.To != n.State {
				t.Errorf("counted as %s, is %s", count.To, n.State)
			}
			if n.Lapses == 1 {
				lapsed++
			}
		}
		if lapsed != row.out || len(c.verdicts) != int(row.relays) {
			t.Errorf("%d relays, %d absent: %d out, %d verdicts", row.relays, row.absent, lapsed, len(c.verdicts))
		}
	}
}

// A decommissioned node comes back though too few are left to vote on it, as soon
// as its time is over, if it was heard and its software may run.
func TestBackWithoutVotes(t *testing.T) {
	for _, row := range []struct {
		name    string
		silent  int // others that fall silent: of seven relays, six could vote on the first
		beats   bool
		version string
		back    chain.Epoch // 0: not
	}{
		{"four can vote, and do not", 2, true, "v1", 0},
		{"three are left", 3, true, "v1", 4},
		{"nobody else is left", 6, true, "v1", 4},
		{"silent itself", 3, false, "v1", 0},
		{"with software that may not run", 3, true, "v2", 0},
	} {
		c := newCourt(t, 7)
		c.core.Params.HeartbeatValid = 10_001
		subject := c.relays[0]
		c.all(t, subject.id(), loss)
		beat := func() {
			for i, r := range c.relays {
				if i == 0 && row.beats || i > row.silent {
					must(t, c.publish(c.heartbeat(r, c.ctx.Epoch+1, 9)))
				}
			}
		}
		beat()
		c.epoch(t, 2)
		if n, _ := c.Node(subject.id()); n.State != registry.Decommissioned || n.Stay != 2 {
			t.Fatalf("%s: %s, %d epochs", row.name, n.State, n.Stay)
		}
		var back chain.Epoch
		for e := chain.Epoch(3); e <= 8; e++ {
			beat()
			c.core.Params.Versions = []string{row.version}
			c.epoch(t, e)
			c.core.Params.Versions = nil
			n, _ := c.Node(subject.id())
			if n.State == registry.Active && back == 0 {
				back = e
				h := c.History(subject.id())
				if last := h[len(h)-1]; last.Reason != "recommissioned: too few to judge it" || !last.Judged() || !last.Proof.IsZero() || !n.Listed {
					t.Errorf("%s: %+v, listed %t", row.name, last, n.Listed)
				}
			}
		}
		if back != row.back {
			t.Errorf("%s: back in epoch %d, want %d", row.name, back, row.back)
		}
	}
}
