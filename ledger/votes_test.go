package ledger_test

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/registry"
)

func nodeID(name string) chain.NodeID {
	return chain.NodeID(nodeKey(name).Public().(ed25519.PublicKey))
}

var judges = []string{"n", "m", "o", "p", "q", "r"}

// court is a ledger in whose epoch 1 six nodes of six operators are listed.
func court(t *testing.T, cfg ledger.Config) *ledger.Ledger {
	t.Helper()
	operators := []string{"a", "b", "c", "d", "e", "f"}
	for _, who := range operators[3:] {
		cfg.Genesis.Allocations = append(cfg.Genesis.Allocations, genesis.Allocation{Address: address(who)})
	}
	slices.SortFunc(cfg.Genesis.Allocations, func(a, b genesis.Allocation) int {
		return strings.Compare(string(a.Address[:]), string(b.Address[:]))
	})
	rich(&cfg)
	l := open(t, cfg)
	for i, n := range judges {
		submit(t, l, register(cfg.Genesis, n, operators[i], 0))
	}
	seal(t, l)
	for _, n := range judges {
		for _, st := range [][]byte{descriptor(l, n, statement.NewSequence(1, 0)), heartbeat(l, n, statement.NewSequence(1, 0))} {
			if _, err := l.Publish(ctxFor(t), st); err != nil {
				t.Fatal(err)
			}
		}
	}
	seal(t, l)
	next(t, l)
	if h := l.Head().Header; h.DirEpoch != 1 || h.DirCount != 6 {
		t.Fatalf("%+v", h)
	}
	return l
}

// next opens the next epoch.
func next(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	if err := l.Clock().Set(l.Core().EpochStart(l.Head().Header.DirEpoch + 1)); err != nil {
		t.Fatal(err)
	}
	seal(t, l)
}

func vote(l *ledger.Ledger, voter, subject string, why statement.Reasons) []byte {
	v := statement.Vote{Subject: nodeID(subject), Epoch: l.Head().Header.DirEpoch, Reasons: why, Score: 1000}
	return statement.Sign(l.Statements(), nodeKey(voter), statement.LabelVote, statement.NewSequence(v.Epoch, 0), v.Encode()).Encode()
}

func commitment(l *ledger.Ledger, node string, n uint32) []byte {
	c := statement.Commitment{Epoch: l.Head().Header.DirEpoch}
	return statement.Sign(l.Statements(), nodeKey(node), statement.LabelCommitment, statement.NewSequence(c.Epoch, n), c.Encode()).Encode()
}

// Of a node's votes one on each subject waits, and the first is final; of its
// commitments the newest.
func TestMempoolVotes(t *testing.T) {
	l := court(t, config("", ledger.ModeManual))
	ctx := ctxFor(t)
	publish := func(code string, st []byte) {
		t.Helper()
		_, err := l.Publish(ctx, st)
		var r *chain.Refusal
		if errors.As(err, &r) != (code != "") || r != nil && r.Code != code {
			t.Fatalf("%v, want %q", err, code)
		}
	}
	for _, subject := range judges[1:] {
		publish("", vote(l, "n", subject, statement.ReasonLoss))
	}
	publish("", vote(l, "n", "m", statement.ReasonLoss)) // the same again
	publish(ledger.CodeAlreadyPending, vote(l, "n", "m", 0))
	publish("", commitment(l, "n", 0))
	publish("", commitment(l, "n", 1)) // in its place
	publish(ledger.CodeAlreadyPending, commitment(l, "n", 0))
	publish("", vote(l, "o", "m", 0))
	var votes, commitments int
	for _, p := range l.Pending() {
		switch p.St.Label {
		case statement.LabelVote:
			votes++
		case statement.LabelCommitment:
			commitments++
		}
	}
	if votes != 6 || commitments != 1 {
		t.Fatalf("%d votes and %d commitments wait", votes, commitments)
	}
	if s := seal(t, l); s.Header.TxCount != 7 || l.Waiting() != 0 {
		t.Fatalf("%d in the block, %d wait", s.Header.TxCount, l.Waiting())
	}
	publish(registry.CodeAlreadyVoted, vote(l, "n", "m", 0))
	check(t, l)
}

// Who is judged though no list names it is told with the first block of the
// present epoch, to whoever follows and whoever comes later in the epoch.
func TestSubscribersHearOfTheUnlisted(t *testing.T) {
	l := court(t, config("", ledger.ModeManual))
	ctx := ctxFor(t)
	heard := func(since, until chain.Height) map[chain.Height][]registry.Unlisted {
		t.Helper()
		out := map[chain.Height][]registry.Unlisted{}
		for e := range l.Subscribe(ctx, since) {
			if len(e.Unlisted) > 0 {
				out[e.Header.Height] = e.Unlisted
			}
			if e.Header.Height == until {
				return out
			}
		}
		t.Fatal("closed")
		return nil
	}
	for _, voter := range judges[1:] {
		if _, err := l.Publish(ctx, vote(l, voter, "n", statement.ReasonLoss)); err != nil {
			t.Fatal(err)
		}
	}
	seal(t, l)
	next(t, l)
	first := l.Head().Header.Height
	want := []registry.Unlisted{{Node: nodeID("n"), Decommissioned: true, Since: 2, Performance: 1000}}
	seal(t, l)
	if got := heard(0, first+1); len(got) != 1 || !slices.Equal(got[first], want) {
		t.Fatalf("%+v", got)
	}
	if got := heard(first, first+1); len(got) != 0 {
		t.Fatalf("in another block than the first: %+v", got)
	}
	next(t, l) // heartbeats have run out: nobody is listed
	head := l.Head().Header
	if got := heard(0, head.Height); len(got) != 1 || len(got[head.Height]) != 6 || head.DirCount != 0 {
		t.Fatalf("%+v", got)
	}
	l.View(func(m *machine.Machine) {
		if n, _ := m.Registry().Node(nodeID("n")); n.State != registry.Decommissioned {
			t.Fatal(n.State)
		}
	})
}
