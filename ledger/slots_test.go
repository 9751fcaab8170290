package ledger_test

import (
	"errors"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger"
)

// heavy is a probe commitment of about size bytes.
func heavy(l *ledger.Ledger, node string, size int) []byte {
	c := statement.Commitment{Epoch: l.Head().Header.DirEpoch, Open: &statement.Opening{Siblings: make([]chain.Hash, size/32)}}
	return statement.Sign(l.Statements(), nodeKey(node), statement.LabelCommitment, statement.NewSequence(c.Epoch, 0), c.Encode()).Encode()
}

// Whatever the ids of those who commit at the beginning of an epoch, what others
// are listed and judged by comes into the block first.
func TestUrgentStatementsFirst(t *testing.T) {
	l := court(t, config("", ledger.ModeManual))
	for _, n := range judges {
		for _, st := range [][]byte{heavy(l, n, 8000), vote(l, n, judges[(slices.Index(judges, n)+1)%6], 0),
			heartbeat(l, n, statement.NewSequence(2, 0)), descriptor(l, n, statement.NewSequence(2, 0))} {
			if _, err := l.Publish(ctxFor(t), st); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []statement.Label
	for _, p := range l.Pending() {
		if n := len(got); n == 0 || got[n-1] != p.St.Label {
			got = append(got, p.St.Label)
		}
	}
	want := []statement.Label{statement.LabelHeartbeat, statement.LabelDescriptor, statement.LabelVote, statement.LabelCommitment}
	if !slices.Equal(got, want) {
		t.Fatalf("%v", got)
	}
	if s := seal(t, l); s.Header.TxCount != 24 {
		t.Fatalf("%d in the block", s.Header.TxCount)
	}
}

// Commitments fill half of the pool and no more.
func TestCommitmentsLeaveRoom(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	cfg.Pool = ledger.PoolLimits{Count: 100, Bytes: 40_000, PerSender: 8}
	l := court(t, cfg)
	publish := func(code string, st []byte) {
		t.Helper()
		_, err := l.Publish(ctxFor(t), st)
		var r *chain.Refusal
		if errors.As(err, &r) != (code != "") || r != nil && r.Code != code {
			t.Fatalf("%v, want %q", err, code)
		}
	}
	publish("", heavy(l, "n", 9000))
	publish("", heavy(l, "m", 9000))
	publish(ledger.CodePoolFull, heavy(l, "o", 9000))
	for _, n := range judges {
		publish("", heartbeat(l, n, statement.NewSequence(2, 0)))
	}
	if s := seal(t, l); s.Header.TxCount != 8 {
		t.Fatalf("%d in the block", s.Header.TxCount)
	}
	publish("", heavy(l, "o", 9000))
	publish("", heavy(l, "p", 9000))
	publish(ledger.CodePoolFull, heavy(l, "q", 9000))
	check(t, l)
}
