package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// snapshot, dump and their like take names that the script has given; fund
// takes from the reward pool.

// newName takes a name that is not in names yet, and puts it there.
func (l *line) newName(what string, names *map[string]bool) (string, error) {
	x, err := l.take("a name")
	if err != nil {
		return "", err
	}
	if (*names)[x.text] {
		return "", l.errorAt(x.col, "%s %q is taken already", what, x.text)
	}
	if *names == nil {
		*names = map[string]bool{}
	}
	(*names)[x.text] = true
	return x.text, nil
}

// oldName takes a name that is in names.
func (l *line) oldName(what string, names map[string]bool) (string, error) {
	x, err := l.take("the name of a " + what)
	if err == nil && !names[x.text] {
		err = l.errorAt(x.col, "no %s %q is taken before", what, x.text)
	}
	return x.text, err
}

func parseSnapshot(s *Script, l *line) (func(context.Context, *world) error, error) {
	name, err := l.newName("snapshot", &s.snapshots)
	return func(_ context.Context, w *world) error {
		_, err := w.net.Ledger.Snapshot(name)
		return err
	}, err
}

func parseRevert(s *Script, l *line) (func(context.Context, *world) error, error) {
	name, err := l.oldName("snapshot", s.snapshots)
	return func(ctx context.Context, w *world) error { return w.net.Revert(ctx, name) }, err
}

func parseDump(s *Script, l *line) (func(context.Context, *world) error, error) {
	name, err := l.newName("dump", &s.dumps)
	return func(ctx context.Context, w *world) error {
		f, err := os.Create(filepath.Join(w.folder, "dump-"+name))
		if err != nil {
			return err
		}
		defer f.Close()
		w.dumped[name] = w.net.Ledger.Head().Header.Fork
		return w.net.Ledger.Dump(ctx, f)
	}, err
}

func parseLoad(s *Script, l *line) (func(context.Context, *world) error, error) {
	name, err := l.oldName("dump", s.dumps)
	return func(ctx context.Context, w *world) error {
		if now := w.net.Ledger.Head().Header.Fork; now != w.dumped[name] {
			return fmt.Errorf("dump %s is of fork %d and the network in fork %d: it would begin a fork that the relays know", name, w.dumped[name], now)
		}
		f, err := os.Open(filepath.Join(w.folder, "dump-"+name))
		if err != nil {
			return err
		}
		defer f.Close()
		w.loads++
		return w.net.Load(ctx, f, filepath.Join(w.folder, fmt.Sprintf("loaded-%d", w.loads)))
	}, err
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
