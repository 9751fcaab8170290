package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/slashing"
	"tunic/staking"
)

// wanted is what `expect slashed` looks for among a relay's records.
type wanted struct {
	no    bool
	kind  slashing.Kind
	share chain.BasisPoints
	basis slashing.Basis
	times int
}

// expectSlashed: without a kind, only what took stake counts.
func expectSlashed(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	var want wanted
	for l.more() {
		if v, ok := l.option("kind"); ok {
			if want.kind, err = slashing.ParseKind(v.text); err != nil {
				return nil, l.errorAt(v.col, "%q is no kind of offence%s", v.text, suggest(v.text, kinds()))
			}
		} else if v, ok := l.option("fraction"); ok {
			if want.share, err = percent(v.text); err != nil {
				return nil, l.errorAt(v.col, "%q is not a share such as 5%% or 0.5%%", v.text)
			}
		} else if v, ok := l.option("basis"); ok {
			want.basis = slashing.Basis(v.text)
			if !known(want.basis) {
				return nil, l.errorAt(v.col, "basis %q is unknown%s", v.text, suggest(v.text, []string{"signature", "unanswered", "vote", "self-declared"}))
			}
		} else if v, ok := l.option("times"); ok {
			if want.times, err = l.number(v, 1, 1000); err != nil {
				return nil, err
			}
		} else if _, err := l.oneOf("word", "no"); err != nil {
			return nil, err
		} else {
			want.no = true
		}
	}
	return func(_ context.Context, w *world) error {
		var seen []string
		n := 0
		for _, r := range w.slashes(w.net.Relays[i].ID) {
			seen = append(seen, fmt.Sprintf("%s, basis %s, %s of %s TUN", r.Kind, r.Kind.Basis(), r.Total, r.Stake))
			if want.fits(r) {
				n++
			}
		}
		if len(seen) == 0 {
			seen = []string{"not slashed"}
		}
		ok := n > 0 && (want.times == 0 || n == want.times)
		if want.no {
			ok = n == 0
		}
		return expect(ok, want.String(), "%s", strings.Join(seen, "; "))
	}, nil
}

func (w wanted) fits(r slashing.Record) bool {
	return (w.kind == 0 && r.Total > 0 || r.Kind == w.kind) &&
		(w.share == 0 || r.Total == w.share.Of(r.Stake)) && (w.basis == "" || r.Kind.Basis() == w.basis)
}

func (w wanted) String() string {
	b := "slashed"
	if w.kind == 0 { // what took nothing is asked for by its kind
		b = "slashed, losing stake"
	}
	if w.no {
		b = "not slashed"
	}
	if w.kind != 0 {
		b += " for " + w.kind.String()
	}
	if w.share != 0 {
		b += fmt.Sprintf(", %d.%02d %% of its stake", w.share/100, w.share%100)
	}
	if w.basis != "" {
		b += ", basis " + string(w.basis)
	}
	if w.times != 0 {
		b += fmt.Sprintf(", %d times", w.times)
	}
	return b
}

// kinds are the names of all kinds of offences.
func kinds() (out []string) {
	for k := slashing.Kind(1); k.Known(); k++ {
		out = append(out, k.String())
	}
	return out
}

func known(b slashing.Basis) bool {
	return b == slashing.BasisSignature || b == slashing.BasisUnanswered || b == slashing.BasisVote || b == slashing.BasisSelfDeclared
}

// bond is the bond of relay i, empty if there is none.
func (w *world) bond(i int) (b staking.Bond) {
	w.machine(func(m *machine.Machine) { b, _ = m.Staking().Bond(w.net.Relays[i].ID) })
	return b
}

func expectStake(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, i, err := accountAndRelay(s, l)
	if err != nil {
		return nil, err
	}
	tun, err := takeAmount(l)
	return func(_ context.Context, w *world) error {
		b, who := w.bond(i), a(w)
		var is chain.Amount
		if at := b.Index(who.key.Address()); at >= 0 {
			is = b.Contributions[at].Amount
		}
		return expect(is == tun, fmt.Sprintf("%s to have %s TUN in the bond", who.name, tun), "%s TUN", is)
	}, err
}

func expectLost(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, i, err := accountAndRelay(s, l)
	if err != nil {
		return nil, err
	}
	tun, err := takeAmount(l)
	return func(_ context.Context, w *world) error {
		who := a(w)
		var is chain.Amount
		for _, r := range w.slashes(w.net.Relays[i].ID) {
			for _, x := range r.Losses {
				if x.Account == who.key.Address() {
					is += x.Amount
				}
			}
		}
		return expect(is == tun, fmt.Sprintf("%s to have lost %s TUN", who.name, tun), "%s TUN", is)
	}, err
}

func expectBurned(_ *Script, l *line) (func(context.Context, *world) error, error) {
	how, err := l.oneOf("comparison", "more", "same")
	return func(_ context.Context, w *world) error {
		var now chain.Amount
		w.machine(func(m *machine.Machine) { now = m.Staking().Burned() })
		before := w.burned
		if (now > before) == (how == "more") {
			w.burned = now
		}
		return expect((now > before) == (how == "more"), fmt.Sprintf("burned: %s than or as %s TUN", how, before), "%s TUN", now)
	}, err
}

func expectLocked(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	want, err := l.oneOf("answer", "yes", "no")
	if err != nil {
		return nil, err
	}
	var least time.Duration
	if l.more() {
		if _, err := l.oneOf("word", "for"); err != nil {
			return nil, err
		}
		x, err := l.take("a duration")
		if err != nil {
			return nil, err
		}
		if least, err = l.duration(x); err != nil {
			return nil, err
		}
	}
	return func(_ context.Context, w *world) error {
		until, now := w.bond(i).LockedUntil, w.net.Ledger.Head().Header.Time
		left := time.Duration(max(until, now)-now) * time.Millisecond
		should, is := "locked", "not locked"
		if want == "no" {
			should = "not locked"
		} else if least > 0 {
			should = fmt.Sprintf("locked for at least %v", least)
		}
		if left > 0 {
			is = fmt.Sprintf("locked for %v", left)
		}
		return expect((left > 0) == (want == "yes") && (least == 0 || left >= least), should, "%s", is)
	}, nil
}
