package scenario

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tunic/chain"
	"tunic/registry/explain"
)

// expectations are the things that `expect` knows.
func expectations() map[string]verb {
	return map[string]verb{
		"delivered":   {usage: "expect delivered [within 2s]", parse: expectDelivered},
		"slashed":     {usage: "expect slashed RELAY [no] [kind=KIND] [fraction=5%] [basis=BASIS] [times=N]", parse: expectSlashed},
		"listed":      {usage: "expect listed RELAY yes|no", parse: expectListed},
		"state":       {usage: "expect state RELAY active|tombstoned|…", parse: expectState},
		"accepted":    {usage: "expect accepted", parse: expectAccepted},
		"refused":     {usage: "expect refused CODE", parse: expectRefused},
		"halted":      {usage: "expect halted RELAY [no]", parse: expectHalted},
		"balance":     {usage: "expect balance ACCOUNT TUN|more|less|same", parse: expectBalance},
		"epoch":       {usage: "expect epoch N", parse: expectEpoch},
		"swarms":      {usage: "expect swarms N", parse: expectSwarms},
		"credit":      {usage: "expect credit RELAY [more|less] DURATION", parse: expectCredit},
		"performance": {usage: "expect performance RELAY [above|below] N", parse: expectPerformance},
		"reason":      {usage: "expect reason RELAY WORD", parse: expectReason},
		"votes":       {usage: "expect votes RELAY fit|unfit [more|less] N", parse: expectVotes},
		"locked":      {usage: "expect locked RELAY yes|no [for DURATION]", parse: expectLocked},
		"stake":       {usage: "expect stake ACCOUNT RELAY TUN", parse: expectStake},
		"challenges":  {usage: "expect challenges RELAY waiting|open|lapsed N", parse: expectChallenges},
		"lost":        {usage: "expect lost ACCOUNT RELAY TUN", parse: expectLost},
		"burned":      {usage: "expect burned more|same", parse: expectBurned},
		"honest":      {usage: "expect honest", parse: expectHonest},
		"invariants":  {usage: "expect invariants", parse: expectInvariants},
	}
}

func parseExpect(s *Script, l *line) (func(context.Context, *world) error, error) {
	all := expectations()
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	what, err := l.oneOf("expectation", names...)
	if err != nil {
		return nil, err
	}
	when, err := l.takeTime()
	if err != nil {
		return nil, err
	}
	s.took(when.epochs)
	run, err := all[what].parse(s, l)
	if err == nil {
		err = l.done()
	}
	if err != nil {
		return nil, fmt.Errorf("%w; write: %s", err, all[what].usage)
	}
	return when.over(run), nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func expectDelivered(_ *Script, l *line) (func(context.Context, *world) error, error) {
	limit := 30 * time.Second
	if l.more() {
		if _, err := l.oneOf("word", "within"); err != nil {
			return nil, err
		}
		x, err := l.take("a duration")
		if err != nil {
			return nil, err
		}
		if limit, err = l.wallTime(x); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, w *world) error {
		if w.last == nil {
			return fmt.Errorf("nothing was sent")
		}
		m := w.last
		ctx, cancel := context.WithDeadline(ctx, m.since.Add(limit))
		defer cancel()
		if err := m.from.WaitDelivered(ctx, m.id); err != nil {
			s, _ := m.from.Status(m.id)
			return expect(false, fmt.Sprintf("delivered within %v", limit), "%s", s.State)
		}
		got := 0
		for _, x := range m.to.Inbox() {
			if x.ID == m.id && x.Text == m.text {
				got++
			}
		}
		w.report.Delivered++
		w.report.LatencyMS = append(w.report.LatencyMS, time.Since(m.since).Milliseconds())
		return expect(got == 1, "in the inbox once", "there %d times", got)
	}, nil
}

// percent reads "5%" or "0.05%".
func percent(s string) (chain.BasisPoints, error) {
	number, ok := strings.CutSuffix(s, "%")
	a, err := chain.ParseTUN(number) // the same decimals
	unit := chain.TUN / 100
	if err != nil || !ok || a%unit != 0 || a > 100*chain.TUN {
		return 0, fmt.Errorf("malformed share")
	}
	return chain.BasisPoints(a / unit), nil
}

func expectAccepted(*Script, *line) (func(context.Context, *world) error, error) {
	return func(_ context.Context, w *world) error { return w.accepted() }, nil
}

func expectRefused(_ *Script, l *line) (func(context.Context, *world) error, error) {
	x, err := l.take("the code of a refusal")
	return func(_ context.Context, w *world) error {
		is := w.refuse
		if is == "" {
			is = "applied"
		}
		return expect(w.refuse == x.text, "refused with "+x.text, "%s", is)
	}, err
}

func expectBalance(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, err := s.account(l)
	if err != nil {
		return nil, err
	}
	x, err := l.take("an amount of TUN, or more, less, same")
	if err != nil {
		return nil, err
	}
	var tun chain.Amount
	compare := x.text == "more" || x.text == "less" || x.text == "same"
	if !compare {
		if tun, err = l.amount(x); err != nil {
			return nil, err
		}
	}
	return func(_ context.Context, w *world) error {
		who := a(w)
		now := w.balance(who)
		if !compare {
			return expect(now == tun, x.text+" TUN", "%s TUN", now)
		}
		before, known := w.money[who.name]
		if !known {
			return fmt.Errorf("%s took part in no transaction yet: there is nothing to compare with", who.name)
		}
		ok := map[string]bool{"more": now > before, "less": now < before, "same": now == before}[x.text]
		return expect(ok, fmt.Sprintf("%s than or as %s TUN: %s", who.name, before, x.text), "%s TUN", now)
	}, nil
}

func expectEpoch(s *Script, l *line) (func(context.Context, *world) error, error) {
	s.leave(l, needsClock)
	x, err := l.take("an epoch")
	if err != nil {
		return nil, err
	}
	want, err := l.number(x, 0, math.MaxInt32)
	return func(_ context.Context, w *world) error {
		is := w.net.Ledger.Head().Header.DirEpoch
		return expect(is == chain.Epoch(want), fmt.Sprintf("epoch %d", want), "epoch %d", is)
	}, err
}

func expectSwarms(_ *Script, l *line) (func(context.Context, *world) error, error) {
	x, err := l.take("a number of swarms")
	if err != nil {
		return nil, err
	}
	want, err := l.number(x, 0, math.MaxInt32)
	return func(_ context.Context, w *world) error {
		list, _, err := w.net.Ledger.List(w.net.Ledger.Head().Header.DirEpoch)
		if err != nil {
			return err
		}
		swarms, _ := explain.Swarms(list)
		return expect(len(swarms) == want, fmt.Sprintf("%d swarms", want), "%d", len(swarms))
	}, err
}

func expectInvariants(*Script, *line) (func(context.Context, *world) error, error) {
	return func(_ context.Context, w *world) error { return w.invariants() }, nil
}
