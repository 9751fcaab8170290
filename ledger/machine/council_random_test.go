package machine_test

import (
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/internal/testenv"
	"tunic/ledger/machine"
)

// wish is a change in the naive twin: the fee that it sets names its content.
type wish struct {
	number uint32
	epoch  chain.Epoch
	fee    chain.Amount
}

// A council of three, two of whom suffice, against a naive twin that keeps one
// wish a member and counts them.
func TestRandomCouncil(t *testing.T) {
	testenv.Check(t, func(rt *rapid.T) {
		w := newCouncil(t)
		wishes := map[string]wish{}
		var agreed *wish
		inForce, now := wish{fee: w.g.Params.MinFee}, w.at(0)
		for range rapid.IntRange(5, 40).Draw(rt, "blocks") {
			now += chain.Time(rapid.SampledFrom([]uint64{1000, 1000, 4000, 10_000, 25_000}).Draw(rt, "wait"))
			epoch := w.g.EpochAt(now)
			who := rapid.SampledFrom([]string{"k1", "k2", "k3"}).Draw(rt, "who")
			x := wish{
				number: inForce.number + rapid.SampledFrom([]uint32{1, 1, 1, 1, 0, 2}).Draw(rt, "number"),
				epoch:  epoch + rapid.SampledFrom([]chain.Epoch{1, 2, 2, 3, machine.MaxParamsAhead + 1}).Draw(rt, "delay"),
				fee:    rapid.SampledFrom([]chain.Amount{1000, 2000, 3000}).Draw(rt, "fee"),
			}
			if other, ok := wishes[rapid.SampledFrom([]string{"k1", "k2", "k3"}).Draw(rt, "after whom")]; ok {
				x = other
			}
			// The epoch begins, and then the member speaks.
			if epoch > w.m.Head().DirEpoch {
				if agreed != nil && epoch >= agreed.epoch {
					inForce, agreed = *agreed, nil
				}
				for member, y := range wishes {
					if epoch+2 > y.epoch {
						delete(wishes, member)
					}
				}
			}
			h := w.headOf(who, 0)
			h.Fee = 3000
			p := w.g.Params
			p.MinFee = x.fee
			out := w.block(now, w.sign(who, machine.ChangeParamsType.Unsigned(machine.ChangeParams{Head: h, Number: x.number, Epoch: x.epoch, Params: p.Encode()})))
			want := ""
			switch {
			case agreed != nil:
				want = machine.CodeChangePending
			case x.number != inForce.number+1:
				want = machine.CodeWrongNumber
			case x.epoch < epoch+2:
				want = machine.CodeTooEarly
			case x.epoch > epoch+machine.MaxParamsAhead:
				want = machine.CodeTooLate
			case x.fee == inForce.fee:
				want = machine.CodeNoChange
			case wishes[who] == x:
				want = machine.CodeAlreadyApproved
			}
			if got := out.Results[0].Code; got != want {
				rt.Fatalf("%s wants %+v in epoch %d: %q, the twin says %q", who, x, epoch, got, want)
			}
			if want == "" {
				wishes[who] = x
				votes := 0
				for _, y := range wishes {
					if y == x {
						votes++
					}
				}
				if votes == 2 {
					agreed, wishes = &x, map[string]wish{}
				}
			}
			compareCouncil(rt, w.m, inForce, agreed, wishes)
		}
	})
}

func compareCouncil(rt *rapid.T, m *machine.Machine, inForce wish, agreed *wish, wishes map[string]wish) {
	if f := m.InForce(); f.Number != inForce.number || f.Params.MinFee != inForce.fee || f.Since < inForce.epoch {
		rt.Fatalf("in force %+v, the twin says %+v", f, inForce)
	}
	if c, ok := m.Scheduled(); ok != (agreed != nil) || ok && (wish{c.Number, c.Epoch, c.Params.MinFee} != *agreed) {
		rt.Fatalf("scheduled %+v, the twin says %+v", c, agreed)
	}
	votes := map[wish]int{}
	for _, x := range wishes {
		votes[x]++
	}
	open := m.Approvals()
	for _, a := range open {
		if votes[wish{a.Number, a.Epoch, a.Params.MinFee}] != len(a.Members) {
			rt.Fatalf("%d approve %+v, the twin says %v", len(a.Members), a.Change, votes)
		}
	}
	if len(open) != len(votes) {
		rt.Fatalf("%d contents, the twin says %v", len(open), votes)
	}
	if fee := m.Core().Params.MinFee; fee != inForce.fee {
		rt.Fatalf("the reducers go by a fee of %d", fee)
	}
}
