package scenario

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/devnet"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// parseKeep lets a relay keep a message, of which the steps below speak.
func parseKeep(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	d, err := l.wait()
	return func(ctx context.Context, w *world) error {
		k, err := w.net.Keep(ctx, i, d)
		if w.kept == nil {
			w.kept = map[int]devnet.Kept{}
		}
		w.kept[i] = k
		return err
	}, err
}

// keptBy is the newest message that relay i was asked to keep.
func (w *world) keptBy(i int) (devnet.Kept, error) {
	k, ok := w.kept[i]
	if !ok {
		return k, fmt.Errorf("%s was not asked to keep anything: write keep %[1]s 60s before", w.net.Relays[i].Name())
	}
	return k, nil
}

func parseDelete(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	return func(ctx context.Context, w *world) error {
		k, err := w.keptBy(i)
		if err != nil {
			return err
		}
		return w.net.Delete(ctx, i, k)
	}, err
}

func parseChallenge(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, i, err := accountAndRelay(s, l)
	if err != nil {
		return nil, err
	}
	var deposit chain.Amount
	if l.more() {
		if _, err := l.oneOf("word", "deposit"); err != nil {
			return nil, err
		}
		if deposit, err = takeAmount(l); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, w *world) error {
		k, err := w.keptBy(i)
		if err != nil {
			return err
		}
		x := deposit
		if x == 0 {
			x = slashing.LeastChallenge(&w.net.Genesis.Params)
		}
		w.money[w.net.OperatorName(i)] = w.balance(w.actor("", w.net.Relays[i].Operator))
		return submit(ctx, w, a(w), slashing.ChallengeType, func(h chain.Head) slashing.OpenChallenge {
			return slashing.OpenChallenge{Head: h, Receipt: k.Receipt, Deposit: x}
		})
	}, nil
}

// proveLost makes the proof of the challenge of what relay i keeps, lapsed or not.
func (w *world) proveLost(i int) error {
	k, err := w.keptBy(i)
	if err != nil {
		return err
	}
	st, err := statement.Decode(k.Receipt)
	if err != nil {
		return err
	}
	key := slashing.ChallengeKey(slashing.ChallengeID(w.net.File.Genesis, st))
	var row machine.StateProof
	w.machine(func(m *machine.Machine) { row = m.Prove(light.PartOffences, key) })
	p, err := slashing.AssembleLost(w.net.Ledger.Head(), row)
	if len(p.First) == 0 {
		return err
	}
	w.proof = p.Encode()
	return nil
}

func expectChallenges(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	state, err := l.oneOf("state of challenges", "waiting", "open", "lapsed")
	if err != nil {
		return nil, err
	}
	x, err := l.take("a number of challenges")
	if err != nil {
		return nil, err
	}
	want, err := l.number(x, 0, 10_000)
	return func(_ context.Context, w *world) error {
		n := 0
		w.machine(func(m *machine.Machine) {
			for c := range m.Slashing().Challenges() {
				is := "waiting"
				switch {
				case c.Lapsed != nil:
					is = "lapsed"
				case c.Drawn != 0:
					is = "open"
				}
				if c.Node() == w.net.Relays[i].ID && is == state {
					n++
				}
			}
		})
		return expect(n == want, fmt.Sprintf("%d challenges of %s to be %s", want, w.net.Relays[i].Name(), state), "%d", n)
	}, err
}
