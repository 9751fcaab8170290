package scenario

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// comparison is "more", "less" or their like, and the value compared with.
type comparison struct{ word string }

// takeComparison takes one of two words, or none: equal.
func (l *line) takeComparison(above, below string) comparison {
	if l.more() {
		if w := l.words[l.next]; w.text == above || w.text == below {
			l.next++
			return comparison{w.text}
		}
	}
	return comparison{}
}

func (c comparison) holds(is, want uint64) bool {
	switch c.word {
	case "more", "above":
		return is > want
	case "less", "below":
		return is < want
	}
	return is == want
}

func (c comparison) String() string {
	switch c.word {
	case "more", "less":
		return c.word + " than "
	case "":
		return ""
	}
	return c.word + " "
}

// node is the ledger's knowledge of relay i, with its credit now.
func (w *world) node(i int) (n registry.Node, credit chain.Duration) {
	w.machine(func(m *machine.Machine) {
		n, _ = m.Registry().Node(w.net.Relays[i].ID)
		credit = m.Registry().Credit(n, m.Head().Time)
	})
	return n, credit
}

func expectCredit(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	how := l.takeComparison("more", "less")
	x, err := l.take("a duration, perhaps after more or less,")
	if err != nil {
		return nil, err
	}
	d, err := l.duration(x)
	return func(_ context.Context, w *world) error {
		_, is := w.node(i)
		return expect(how.holds(uint64(is), uint64(d.Milliseconds())), fmt.Sprintf("credit of %s%v", how, d), "%v", time.Duration(is)*time.Millisecond)
	}, err
}

func expectPerformance(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	how := l.takeComparison("above", "below")
	x, err := l.take("permille, perhaps after above or below,")
	if err != nil {
		return nil, err
	}
	want, err := l.number(x, 0, 1001)
	return func(_ context.Context, w *world) error {
		n, _ := w.node(i)
		return expect(how.holds(uint64(n.Performance), uint64(want)), fmt.Sprintf("performance %s%d", how, want), "%d", n.Performance)
	}, err
}

func expectReason(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	x, err := l.take("a word of the reason")
	return func(_ context.Context, w *world) error {
		var is string
		w.machine(func(m *machine.Machine) {
			if all := m.Registry().History(w.net.Relays[i].ID); len(all) > 0 {
				is = all[len(all)-1].Reason
			}
		})
		return expect(strings.Contains(is, x.text), fmt.Sprintf("the last change of state because of %q", x.text), "%q", is)
	}, err
}

func expectVotes(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	sort, err := l.oneOf("sort of votes", "fit", "unfit")
	if err != nil {
		return nil, err
	}
	how := l.takeComparison("more", "less")
	x, err := l.take("a number of votes")
	if err != nil {
		return nil, err
	}
	want, err := l.number(x, 0, math.MaxUint8)
	return func(_ context.Context, w *world) error {
		var c registry.Count
		w.machine(func(m *machine.Machine) { c, _ = m.Registry().LastCount(w.net.Relays[i].ID) })
		n := 0
		for _, b := range c.Votes {
			if (b.Reasons != 0) == (sort == "unfit") {
				n++
			}
		}
		return expect(how.holds(uint64(n), uint64(want)), fmt.Sprintf("%s%d votes that say %s", how, want, sort),
			"%d of %d cast; %d could vote, %d are needed", n, len(c.Votes), c.Voters, c.Needed)
	}, err
}

func expectListed(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	want, err := l.oneOf("answer", "yes", "no")
	return func(_ context.Context, w *world) error {
		in, err := w.listed(i)
		if err != nil {
			return err
		}
		return expect(yesNo(in) == want, "listed "+want, "listed %s", yesNo(in))
	}, err
}

func expectHalted(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	s.leave(l, needsSealer)
	want := true
	if l.more() {
		if _, err := l.oneOf("word", "no"); err != nil {
			return nil, err
		}
		want = false
	}
	words := map[bool]string{true: "halted by two heads", false: "not halted"}
	return func(_ context.Context, w *world) error {
		is := w.net.Halted(i)
		return expect(is == want, words[want], "%s", words[is])
	}, nil
}

func expectState(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	want, err := l.oneOf("state", "registered", "active", "decommissioned", "deregistered", "unlocking", "left", "tombstoned")
	return func(_ context.Context, w *world) error {
		is := w.state(i).String()
		return expect(is == want, want, "%s", is)
	}, err
}

// expectHonest holds where no relay was punished as one that cheats: no slash
// that took anything, nobody tombstoned or deregistered.
func expectHonest(*Script, *line) (func(context.Context, *world) error, error) {
	return func(_ context.Context, w *world) error {
		for i, r := range w.net.Relays {
			for _, s := range w.slashes(r.ID) {
				if s.Kind != slashing.Unavailable || s.Total > 0 {
					return expect(false, "nobody to be slashed", "%s slashed for %s, %s TUN", r.Name(), s.Kind, s.Total)
				}
			}
			if is := w.state(i); is == registry.Tombstoned || is == registry.Deregistered {
				return expect(false, "nobody to be out", "%s %s: %s", r.Name(), is, w.life(i))
			}
		}
		return nil
	}, nil
}

// life is what happened to relay i, oldest first.
func (w *world) life(i int) string {
	var steps []string
	w.machine(func(m *machine.Machine) {
		core := m.Core()
		for _, e := range m.Registry().History(w.net.Relays[i].ID) {
			steps = append(steps, fmt.Sprintf("%s in epoch %d (%s)", e.To, core.EpochAt(e.Time), e.Reason))
		}
	})
	return strings.Join(steps, ", ")
}
