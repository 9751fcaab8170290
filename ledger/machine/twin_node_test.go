package machine_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry"
	"tunic/registry/directory"
)

// twinNode is a node's life.
type twinNode struct {
	name, operator string
	state          registry.State
	since, until   chain.Time
	listed         bool
	performance    chain.Permille
	credit         *big.Int // milliseconds, at creditAt
	creditAt       chain.Time
	lapses         int // in a row, while its credit was not full
	backIn         chain.Epoch
	events         int
	last           map[statement.Label]taken
	home, before   directory.SwarmID // its swarm, or the last that it was in; that of the epoch before
}

// taken is the last statement of a kind that a block took.
type taken struct {
	st statement.Statement
	at chain.Time
}

// twinVote is a vote that waits to be counted.
type twinVote struct {
	voter, subject string
	why            statement.Reasons
	score          chain.Permille
}

// creditNow is how long a node may be out.
func (t *twin) creditNow(n *twinNode) *big.Int {
	switch {
	case n.credit == nil:
		return num(0)
	case n.state == registry.Active && n.listed:
		gain := times(num(uint64(t.now-n.creditAt)), num(uint64(t.prm.CreditPerDay)), num(uint64(genesis.Day)))
		return least(plus(n.credit, gain), num(uint64(t.prm.CreditMost)))
	case n.state == registry.Decommissioned:
		silent := n.since // versions are all allowed here
		if heard := n.last[statement.LabelHeartbeat].at; heard > silent {
			silent = heard
		}
		return minus(n.credit, least(n.credit, num(uint64(t.now-silent))))
	}
	return n.credit
}

// enter takes a node into another state, with the credit that it keeps.
func (t *twin) enter(n *twinNode, to registry.State) {
	switch {
	case n.state == registry.Registered && to == registry.Active:
		n.credit = num(uint64(t.prm.CreditStart))
	case n.state == registry.Decommissioned && to == registry.Active:
		n.credit = minus(n.credit, least(n.credit, num(2*uint64(t.now-n.since))))
	default:
		n.credit = t.creditNow(n)
	}
	n.state, n.since, n.until, n.creditAt = to, t.now, 0, t.now
	n.events++
}

// freeze makes the list of the epoch that begins.
func (t *twin) freeze() {
	t.listed = map[string]*big.Int{}
	for _, n := range t.nodes {
		if n.state == registry.Unlocking && t.now >= n.until {
			t.enter(n, registry.Left)
		}
		listed := t.eligible(n)
		if listed && n.state == registry.Registered {
			t.enter(n, registry.Active)
		}
		if listed != n.listed {
			n.credit, n.creditAt, n.listed = t.creditNow(n), t.now, listed
		}
		t.earn(n.name, listed)
		if listed {
			t.listed[n.name] = t.bonds[n.name].sum()
		}
	}
}

func (t *twin) eligible(n *twinNode) bool {
	b := t.bonds[n.name]
	d, described := n.last[statement.LabelDescriptor]
	h, heard := n.last[statement.LabelHeartbeat]
	return (n.state == registry.Registered || n.state == registry.Active) &&
		b != nil && !b.closed() && !less(b.sum(), num(uint64(t.prm.StakingRequirement))) &&
		// Descriptors of the test have a key from their epoch to the twentieth after.
		described && d.st.Sequence.Epoch() <= t.epoch && t.epoch+1 <= d.st.Sequence.Epoch()+20 &&
		heard && h.at+chain.Time(t.prm.HeartbeatValid) > t.now
}

// serves asks of a node what every statement of it is asked.
func (t *twin) serves(node string, seq statement.Sequence) string {
	n := t.nodes[node]
	switch {
	case n == nil:
		return registry.CodeUnknownNode
	case n.state == registry.Tombstoned:
		return registry.CodeTombstoned
	case n.state != registry.Registered && n.state != registry.Active && n.state != registry.Decommissioned:
		return registry.CodeNotServing
	case seq.Epoch() != t.epoch && seq.Epoch() != t.epoch+1:
		return registry.CodeWrongEpoch
	}
	return ""
}

// publish takes a descriptor, heartbeat or probe commitment.
func (t *twin) publish(node string, st statement.Statement) string {
	if code := t.serves(node, st.Sequence); code != "" {
		return code
	}
	n := t.nodes[node]
	last, any := n.last[st.Label]
	before := last.st.Sequence
	soon := before.Epoch() == st.Sequence.Epoch() && (st.Label == statement.LabelCommitment || t.now < last.at+chain.Time(t.prm.HeartbeatEvery/2))
	switch {
	case st.Label == statement.LabelCommitment && st.Sequence.Epoch() != t.epoch:
		return registry.CodeWrongEpoch
	case any && bytes.Equal(last.st.Encode(), st.Encode()):
		return registry.CodeDuplicate
	case any && st.Sequence <= before:
		return registry.CodeStaleSequence
	case any && soon:
		return registry.CodeTooSoon
	}
	if n.last == nil {
		n.last = map[statement.Label]taken{}
	}
	n.last[st.Label] = taken{st, t.now}
	return ""
}

// voters are the names of those who may vote on a subject, as the world draws
// them, and how many of them must agree.
func (t *twin) voters(subject string) (names []string, needed int) {
	names = t.w.voters(subject, slices.Collect(maps.Keys(t.nodes))...)
	switch v := len(names); {
	case v < 4:
		return names, 0
	case v == int(t.prm.QuorumSize):
		return names, int(t.prm.QuorumVotes)
	default:
		return names, (2*v + 2) / 3
	}
}

func (t *twin) vote(v twinVote, e chain.Epoch) string {
	if code := t.serves(v.voter, statement.NewSequence(e, 0)); code != "" {
		return code
	}
	// In the block that opens an epoch its votes are those of the one before.
	if e != t.epoch {
		return registry.CodeWrongEpoch
	}
	s := t.nodes[v.subject]
	if s == nil || s.state != registry.Active && s.state != registry.Decommissioned {
		return registry.CodeNotJudged
	}
	voters, needed := t.voters(v.subject)
	switch {
	case needed == 0:
		return registry.CodeNotJudged
	case !slices.Contains(voters, v.voter):
		return registry.CodeNotInQuorum
	case slices.ContainsFunc(t.votes, func(o twinVote) bool { return o.voter == v.voter && o.subject == v.subject }):
		return registry.CodeAlreadyVoted
	}
	t.votes = append(t.votes, v)
	return ""
}

// count decides what the votes of the epoch that ends come to.
func (t *twin) count() {
	cast := map[string][2][]twinVote{} // the fit and the unfit
	for _, v := range t.votes {
		both, sort := cast[v.subject], 0
		if v.why != 0 {
			sort = 1
		}
		both[sort] = append(both[sort], v)
		cast[v.subject] = both
	}
	var alone []*twinNode // whom too few could vote on
	for _, n := range t.nodes {
		heard := n.last[statement.LabelHeartbeat].st.Sequence.Epoch()
		if n.state != registry.Decommissioned || t.w.g.EpochAt(n.since) >= t.epoch || heard+1 < t.epoch || t.w.g.EpochAt(t.now) < n.backIn {
			continue
		}
		if _, needed := t.voters(n.name); needed == 0 {
			alone = append(alone, n)
		}
	}
	var lapsed []*twinNode
	for subject, both := range cast {
		n := t.nodes[subject]
		if n.state != registry.Active && n.state != registry.Decommissioned {
			continue
		}
		_, needed := t.voters(subject)
		for _, agree := range both {
			if len(agree) < needed {
				continue
			}
			var any statement.Reasons
			var scores []chain.Permille
			others := 0 // with a reason beside absence
			gone := 0   // with absence or version
			for _, v := range agree {
				if v.why&(statement.ReasonAbsent|statement.ReasonVersion) != 0 {
					gone++
				}
				if v.why > statement.ReasonAbsent {
					others++
				}
				any |= v.why
				scores = append(scores, v.score)
			}
			slices.Sort(scores)
			n.performance = scores[(len(scores)-1)/2]
			if t.verdict(n, any != 0, others < needed, gone < needed) {
				lapsed = append(lapsed, n)
			}
		}
	}
	for _, n := range alone {
		t.ends["back without votes"]++
		t.enter(n, registry.Active)
	}
	t.lapses(lapsed)
}

// lapses puts out who carried badly, the worst first, as long as at most a third
// is out.
func (t *twin) lapses(lapsed []*twinNode) {
	slices.SortFunc(lapsed, func(a, b *twinNode) int {
		x, y := nodeID(a.name), nodeID(b.name)
		return cmp.Or(cmp.Compare(a.performance, b.performance), bytes.Compare(x[:], y[:]))
	})
	for _, n := range lapsed {
		all, out := 0, 1 // with n
		for _, o := range t.nodes {
			back := o.state == registry.Active && o.since == t.now // by this count
			if o.state == registry.Active || o.state == registry.Decommissioned {
				all++
			}
			if o != n && (o.state == registry.Decommissioned || o.state == registry.Active && !o.listed && !back) {
				out++
			}
		}
		if n.listed && 3*out > all {
			t.ends["spared"]++
			continue
		}
		if t.creditNow(n).Cmp(num(uint64(t.prm.CreditMost))) == 0 {
			n.lapses = 0
		}
		n.lapses = min(n.lapses+1, 6)
		n.backIn = t.w.g.EpochAt(t.now) + [...]chain.Epoch{0, 2, 4, 8, 16, 32, 64}[n.lapses]
		t.verdicts++
		t.enter(n, registry.Decommissioned)
	}
}

// verdict is what follows from votes that agree; absent says that too few of them
// give another reason than absence, there that too few say that it is gone. It
// reports whether n has lapsed, of which lapses decides.
func (t *twin) verdict(n *twinNode, unfit, absent, there bool) (lapsed bool) {
	credit := t.creditNow(n)
	back := absent && n.last[statement.LabelHeartbeat].at >= t.w.g.EpochStart(t.epoch)
	long := t.w.g.EpochAt(n.since) < t.epoch // in its state for all of the epoch
	switch {
	case n.state == registry.Active && (!unfit || back):
	case n.state == registry.Active && there:
		return true
	case n.state == registry.Active && !less(credit, num(uint64(t.prm.CreditLeast))):
		n.backIn = 0
		t.verdicts++
		t.enter(n, registry.Decommissioned)
	case n.state == registry.Active, long && unfit && credit.Sign() == 0 && !back:
		t.verdicts++
		t.lock(n.name)
		t.enter(n, registry.Deregistered)
	case long && !unfit && t.w.g.EpochAt(t.now) >= n.backIn:
		t.enter(n, registry.Active)
	}
	return false
}

func (t *twin) nodesAgree() error {
	r := t.w.m.Registry()
	if r.Len() != len(t.nodes) {
		return fmt.Errorf("%d nodes, twin %d", r.Len(), len(t.nodes))
	}
	for name, n := range t.nodes {
		got, _ := r.Node(nodeID(name))
		credit := num(uint64(r.Credit(got, t.now)))
		if got.State != n.state || got.StateSince != n.since || got.Until != n.until || got.Listed != n.listed ||
			got.Performance != n.performance || int(got.Events) != n.events || credit.Cmp(t.creditNow(n)) != 0 {
			return fmt.Errorf("node %s: %s since %d until %d, listed %t, performance %d, %d events, credit %s; twin: %s since %d until %d, %t, %d, %d, %s",
				name, got.State, got.StateSince, got.Until, got.Listed, got.Performance, got.Events, credit,
				n.state, n.since, n.until, n.listed, n.performance, n.events, t.creditNow(n))
		}
		if got := len(r.Votes(nodeID(name))); got != t.votesOn(name) {
			return fmt.Errorf("%d votes on %s, twin %d", got, name, t.votesOn(name))
		}
	}
	list := t.w.m.List()
	if len(list.Entries) != len(t.listed) {
		return fmt.Errorf("%d listed, twin %d", len(list.Entries), len(t.listed))
	}
	if err := t.swarmsAgree(list); err != nil {
		return err
	}
	for name, stake := range t.listed {
		if e, ok := list.Find(nodeID(name)); !ok || num(uint64(e.Stake)).Cmp(stake) != 0 {
			return fmt.Errorf("%s listed: %t with %d, twin with %s", name, ok, uint64(e.Stake), stake)
		}
	}
	return nil
}

func (t *twin) votesOn(subject string) (n int) {
	for _, v := range t.votes {
		if v.subject == subject {
			n++
		}
	}
	return n
}
