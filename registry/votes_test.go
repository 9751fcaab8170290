package registry_test

import (
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/registry"
)

// court is a bench on which n relays of as many operators are listed from epoch
// 1 on, whatever they do: only votes put them out.
type court struct {
	*bench
	relays []relay
}

func newCourt(t testing.TB, n byte) court {
	b := newBench(t)
	b.core.Params.HeartbeatValid = 1 << 40
	c := court{bench: b}
	for i := range n {
		c.relays = append(c.relays, newRelay(i))
	}
	b.join(t, c.relays...)
	b.at(t, 10_000)
	return c
}

// voters are those who can vote on id now, in the order of the draw.
func (c court) voters(id chain.NodeID) []relay {
	var out []relay
	for _, seat := range c.ctx.List.Quorum(c.ctx.Beacon, id, int(c.core.Params.QuorumSize)) {
		for _, r := range c.relays {
			if r.id() == seat && seat != id {
				out = append(out, r)
			}
		}
	}
	return out
}

func (c court) vote(r relay, subject chain.NodeID, why statement.Reasons, score chain.Permille) statement.Statement {
	v := statement.Vote{Subject: subject, Epoch: c.ctx.Epoch, Reasons: why, Score: score}
	return c.sign(r, statement.LabelVote, statement.NewSequence(c.ctx.Epoch, 0), v.Encode())
}

// epoch goes to the first block of epoch e.
func (c court) epoch(t testing.TB, e chain.Epoch) { t.Helper(); c.at(t, chain.Time(e)*10_000) }

func TestVoteRefusals(t *testing.T) {
	type row struct {
		name, code string
		given      func(*testing.T, *court)
		change     func(*court, *statement.Statement, *statement.Vote)
	}
	body := func(f func(*court, *statement.Vote)) func(*court, *statement.Statement, *statement.Vote) {
		return func(c *court, _ *statement.Statement, v *statement.Vote) { f(c, v) }
	}
	// The subject is relay 0, the voter the first who may vote.
	for _, row := range []row{
		{"unknown voter", registry.CodeUnknownNode, nil, func(_ *court, st *statement.Statement, _ *statement.Vote) { st.Node = newRelay(19).id() }},
		{"tombstoned voter", registry.CodeTombstoned, func(_ *testing.T, c *court) {
			c.Tombstone(c.voters(c.relays[0].id())[0].id(), "x", chain.Hash{}, c.ctx)
		}, nil},
		{"voter on its way out", registry.CodeNotServing, func(t *testing.T, c *court) {
			must(t, c.Unlocking(c.voters(c.relays[0].id())[0].id(), 1, c.ctx))
		}, nil},
		{"another fork", registry.CodeWrongFork, nil, func(_ *court, st *statement.Statement, _ *statement.Vote) { st.Fork = 1 }},
		{"of the last epoch", registry.CodeWrongEpoch, nil, func(_ *court, st *statement.Statement, v *statement.Vote) {
			st.Sequence, v.Epoch = statement.NewSequence(0, 0), 0
		}},
		{"malformed", registry.CodeMalformed, nil, body(func(_ *court, v *statement.Vote) { v.Score = 1001 })},
		{"of the next epoch", registry.CodeWrongEpoch, nil, func(_ *court, st *statement.Statement, v *statement.Vote) {
			st.Sequence, v.Epoch = statement.NewSequence(2, 0), 2
		}},
		{"statement of the next epoch", registry.CodeWrongEpoch, nil, func(_ *court, st *statement.Statement, _ *statement.Vote) {
			st.Sequence = statement.NewSequence(2, 0)
		}},
		{"another epoch in the body", registry.CodeWrongEpoch, nil, body(func(_ *court, v *statement.Vote) { v.Epoch = 2 })},
		{"a counter", registry.CodeWrongEpoch, nil, func(_ *court, st *statement.Statement, _ *statement.Vote) {
			st.Sequence = statement.NewSequence(1, 1)
		}},
		{"before the epoch's first block", registry.CodeWrongEpoch, func(_ *testing.T, c *court) { c.ctx.Epoch = 2 }, func(_ *court, st *statement.Statement, v *statement.Vote) {
			st.Sequence, v.Epoch = statement.NewSequence(2, 0), 2
		}},
		{"without a list", registry.CodeWrongEpoch, func(_ *testing.T, c *court) { c.ctx.List = nil }, nil},
		{"unknown subject", registry.CodeNotJudged, nil, body(func(_ *court, v *statement.Vote) { v.Subject = chain.NodeID{1} })},
		{"subject never listed", registry.CodeNotJudged, func(t *testing.T, c *court) { must(t, c.register(newRelay(9), 500)) },
			body(func(_ *court, v *statement.Vote) { v.Subject = newRelay(9).id() })},
		{"subject tombstoned", registry.CodeNotJudged, func(_ *testing.T, c *court) { c.Tombstone(c.relays[0].id(), "x", chain.Hash{}, c.ctx) }, nil},
		{"subject on its way out", registry.CodeNotJudged, func(t *testing.T, c *court) { must(t, c.Unlocking(c.relays[0].id(), 1, c.ctx)) }, nil},
		{"too few voters", registry.CodeNotJudged, func(_ *testing.T, c *court) {
			few := *c.ctx.List
			few.Entries = few.Entries[:3]
			c.ctx.List = &few
		}, nil},
		{"on itself", registry.CodeNotInQuorum, nil, func(c *court, _ *statement.Statement, v *statement.Vote) {
			v.Subject = c.voters(c.relays[0].id())[0].id()
		}},
		{"no seat", registry.CodeNotInQuorum, nil, func(c *court, st *statement.Statement, _ *statement.Vote) {
			st.Node = c.voters(c.relays[0].id())[0].id()
			for _, r := range c.relays {
				if r.i != 0 && !slices.ContainsFunc(c.voters(c.relays[0].id()), func(v relay) bool { return v.i == r.i }) {
					st.Node = r.id()
				}
			}
		}},
		{"not listed", registry.CodeNotInQuorum, func(t *testing.T, c *court) { c.join(t, newRelay(9)) }, func(_ *court, st *statement.Statement, _ *statement.Vote) {
			st.Node = newRelay(9).id()
		}},
		{"the same again", registry.CodeAlreadyVoted, func(t *testing.T, c *court) {
			must(t, c.publish(c.vote(c.voters(c.relays[0].id())[0], c.relays[0].id(), statement.ReasonLoss, 900)))
		}, nil},
		{"another mind", registry.CodeAlreadyVoted, func(t *testing.T, c *court) {
			must(t, c.publish(c.vote(c.voters(c.relays[0].id())[0], c.relays[0].id(), 0, 1000)))
		}, nil},
		{"changed after signing", registry.CodeBadSignature, nil, func(_ *court, st *statement.Statement, _ *statement.Vote) { st.Sig[1] ^= 1 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newCourt(t, 7)
			c.core.Params.QuorumSize, c.core.Params.QuorumVotes = 5, 4
			voter := c.voters(c.relays[0].id())[0]
			if row.given != nil {
				row.given(t, &c)
			}
			v := statement.Vote{Subject: c.relays[0].id(), Epoch: 1, Reasons: statement.ReasonLoss, Score: 900}
			st := statement.Statement{Label: statement.LabelVote, Node: voter.id(), Sequence: statement.NewSequence(1, 0)}
			sig := [64]byte{}
			if row.change != nil {
				row.change(&c, &st, &v)
				sig = st.Sig
			}
			for _, r := range append(c.relays, newRelay(9)) {
				if r.id() == st.Node {
					st = statement.Sign(statement.Domain{Genesis: c.hash, Fork: st.Fork}, r.key, st.Label, st.Sequence, v.Encode())
				}
			}
			for i := range sig {
				st.Sig[i] ^= sig[i]
			}
			c.refused(t, row.code, func() error { return c.CheckPublish(st, c.ctx) })
			c.refused(t, row.code, func() error { return c.Publish(st, c.ctx) })
		})
	}
	// What the rows change is all that is wrong with them.
	c := newCourt(t, 7)
	subject := c.relays[0].id()
	st := c.vote(c.voters(subject)[0], subject, statement.ReasonLoss, 900)
	must(t, c.CheckPublish(st, c.ctx), c.publish(st))
	c.commit()
	if got := c.Votes(subject); len(got) != 1 || got[0] != (registry.Ballot{Voter: st.Node, Reasons: statement.ReasonLoss, Score: 900}) {
		t.Fatalf("%+v", got)
	}
	if len(c.Votes(c.relays[1].id())) != 0 {
		t.Fatal("a vote stands for another subject")
	}
}

func TestCommitmentRefusals(t *testing.T) {
	r := newRelay(1)
	of := func(e, seq chain.Epoch, n uint32) func(*bench) statement.Statement {
		return func(b *bench) statement.Statement {
			return b.sign(r, statement.LabelCommitment, statement.NewSequence(seq, n), statement.Commitment{Epoch: e, Depth: 6, Root: chain.Hash{1, byte(n)}}.Encode())
		}
	}
	// One of epoch 5 with counter 3 was taken.
	for _, row := range []struct {
		name, code string
		st         func(*bench) statement.Statement
	}{
		{"malformed", registry.CodeMalformed, func(b *bench) statement.Statement {
			return b.sign(r, statement.LabelCommitment, statement.NewSequence(5, 4), []byte{1})
		}},
		{"of the last epoch", registry.CodeWrongEpoch, of(4, 4, 9)},
		{"of the next epoch", registry.CodeWrongEpoch, of(6, 6, 0)},
		{"body of the next epoch", registry.CodeWrongEpoch, of(6, 5, 4)},
		{"body of this epoch, statement of the next", registry.CodeWrongEpoch, of(5, 6, 4)},
		{"again", registry.CodeDuplicate, of(5, 5, 3)},
		{"older", registry.CodeStaleSequence, of(5, 5, 2)},
		{"a second one", registry.CodeTooSoon, of(5, 5, 4)},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			must(t, b.register(r, 1000))
			b.at(t, 50_000)
			must(t, b.publish(of(5, 5, 3)(b)))
			st := row.st(b)
			b.refused(t, row.code, func() error { return b.CheckPublish(st, b.ctx) })
			b.refused(t, row.code, func() error { return b.Publish(st, b.ctx) })
		})
	}
	b := newBench(t)
	must(t, b.register(r, 1000))
	b.at(t, 50_000)
	first := of(5, 5, 3)(b)
	forged := first
	forged.Sig[0] ^= 1
	b.refused(t, registry.CodeBadSignature, func() error { return b.Publish(forged, b.ctx) })
	must(t, b.publish(first))
	b.at(t, 60_000)
	must(t, b.publish(of(6, 6, 0)(b)))
	if n, _ := b.Node(r.id()); n.CommitmentSequence != statement.NewSequence(6, 0) {
		t.Fatalf("%+v", n)
	}
}

// What a node declares that it runs is taken down, whatever it is, and then it
// is not listed.
func TestHeartbeatOfAnyVersion(t *testing.T) {
	b := newBench(t)
	r := newRelay(1)
	b.join(t, r)
	b.at(t, 10_000)
	b.core.Params.Versions = []string{"v2"}
	must(t, b.publish(b.heartbeat(r, 2, 0)))
	if n, _ := b.Node(r.id()); n.Version != "v1" || n.HeartbeatSequence.Epoch() != 2 {
		t.Fatalf("%+v", n)
	}
	if l := b.at(t, 20_000); listed(l, r) {
		t.Fatal("listed with a version that is not allowed")
	}
	want := []registry.Unlisted{{Node: r.id(), Performance: 1000}}
	if got := b.Unlisted(); !slices.Equal(got, want) {
		t.Fatalf("%+v", got)
	}
}

// After a revert a member votes anew: what it signed before binds it no more,
// and is not counted.
func TestVotesOfAFormerFork(t *testing.T) {
	c := newCourt(t, 6)
	subject := c.relays[0].id()
	voters := c.voters(subject)
	for _, r := range voters {
		must(t, c.publish(c.vote(r, subject, statement.ReasonLoss, 100)))
	}
	c.ctx.Fork = 1
	must(t, c.publish(c.vote(voters[0], subject, 0, 700)))
	c.refused(t, registry.CodeAlreadyVoted, func() error { return c.Publish(c.vote(voters[0], subject, 0, 700), c.ctx) })
	c.epoch(t, 2)
	got, ok := c.LastCount(subject)
	if !ok || len(got.Votes) != 1 || got.Votes[0].Voter != voters[0].id() || len(c.verdicts) != 0 {
		t.Fatalf("%+v", got)
	}
}
