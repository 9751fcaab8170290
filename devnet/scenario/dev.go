package scenario

import (
	"context"
	"fmt"
)

// snapshot and revert take names that the script has given; fund takes from the
// reward pool.

func parseSnapshot(s *Script, l *line) (func(context.Context, *world) error, error) {
	x, err := l.take("a name")
	if err != nil {
		return nil, err
	}
	if s.snapshots[x.text] {
		return nil, l.errorAt(x.col, "snapshot %q is taken already", x.text)
	}
	if s.snapshots == nil {
		s.snapshots = map[string]bool{}
	}
	s.snapshots[x.text] = true
	return func(_ context.Context, w *world) error {
		_, err := w.net.Ledger.Snapshot(x.text)
		return err
	}, nil
}

func parseRevert(s *Script, l *line) (func(context.Context, *world) error, error) {
	x, err := l.take("the name of a snapshot")
	if err != nil {
		return nil, err
	}
	if !s.snapshots[x.text] {
		return nil, l.errorAt(x.col, "no snapshot %q is taken before", x.text)
	}
	return func(ctx context.Context, w *world) error { return w.net.Revert(ctx, x.text) }, nil
}

func parseFund(s *Script, l *line) (func(context.Context, *world) error, error) {
	to, err := s.account(l)
	if err != nil {
		return nil, err
	}
	tun, err := takeAmount(l)
	return func(ctx context.Context, w *world) error {
		a := to(w)
		w.money[a.name] = w.balance(a)
		if err := w.net.Fund(ctx, a.key.Address(), tun); err != nil {
			return fmt.Errorf("fund %s: %w", a.name, err)
		}
		return nil
	}, err
}
