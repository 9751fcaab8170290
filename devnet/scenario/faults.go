package scenario

import (
	"context"
	"strings"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/devnet"
	"tunic/devnet/fault"
)

// relayFaults are what `fault RELAY` knows.
var relayFaults = []string{
	"double-descriptor", "double-vote", "drop", "delay", "silent", "cut-off", "lie", "shield", "forge-probes", "old-version", "key-disclosure", "lost-message", "off",
}

// noArgument are the faults that need nothing more.
var noArgument = map[string]func(context.Context, *devnet.Network, int) error{
	"silent":       func(_ context.Context, n *devnet.Network, i int) error { n.Silence(i); return nil },
	"cut-off":      func(_ context.Context, n *devnet.Network, i int) error { n.CutFromLedger(i); return nil },
	"lost-message": func(_ context.Context, n *devnet.Network, i int) error { n.Relays[i].Twin.Lose(); return nil },
	"off":          func(ctx context.Context, n *devnet.Network, i int) error { return n.Honest(ctx, i) },
}

var reasons = map[string]statement.Reasons{
	"absent": statement.ReasonAbsent, "loss": statement.ReasonLoss, "unrevealed": statement.ReasonUnrevealed, "version": statement.ReasonVersion,
}

func parseFault(s *Script, l *line) (func(context.Context, *world) error, error) {
	if l.more() && l.words[l.next].text == "sealer" {
		l.next++
		s.leave(l, needsSealer)
		_, err := l.oneOf("fault", "double-seal")
		return func(ctx context.Context, w *world) error {
			_, err := w.net.DoubleSeal(ctx)
			return err
		}, err
	}
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	what, err := l.oneOf("fault", relayFaults...)
	if err != nil {
		return nil, err
	}
	if f := noArgument[what]; f != nil {
		return func(ctx context.Context, w *world) error { return f(ctx, w.net, i) }, nil
	}
	twin := func(f func(*fault.Twin)) func(context.Context, *world) error {
		return func(_ context.Context, w *world) error {
			f(w.net.Relays[i].Twin)
			return nil
		}
	}
	switch what {
	case "double-descriptor":
		return parseDoubleDescriptor(i, l)
	case "key-disclosure":
		kind, err := l.keyKind()
		return func(ctx context.Context, w *world) error { return w.net.KeyDisclosure(ctx, i, kind) }, err
	case "drop":
		share, err := l.share()
		return twin(func(t *fault.Twin) { t.Drop(share) }), err
	case "delay":
		d, err := l.wait()
		return twin(func(t *fault.Twin) { t.Delay(d) }), err
	case "old-version":
		v, err := l.take("a version")
		return func(ctx context.Context, w *world) error { return w.net.Declare(ctx, i, v.text) }, err
	case "forge-probes":
		how, err := l.oneOf("part", "reveal", "root")
		return twin(func(t *fault.Twin) {
			t.Forge(map[string]fault.Forgery{"reveal": fault.ForgeReveal, "root": fault.ForgeRoot}[how])
		}), err
	}
	k, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	switch what {
	case "double-vote":
		return func(ctx context.Context, w *world) error { return w.net.DoubleVote(ctx, i, k) }, nil
	case "shield":
		return func(_ context.Context, w *world) error {
			w.net.Relays[i].Twin.Shield(w.net.Relays[k].ID)
			return nil
		}, nil
	}
	why, err := l.oneOf("reason", "absent", "loss", "unrevealed", "version")
	return func(_ context.Context, w *world) error {
		w.net.Relays[i].Twin.Lie(w.net.Relays[k].ID, reasons[why])
		return nil
	}, err
}

func parseDoubleDescriptor(i int, l *line) (func(context.Context, *world) error, error) {
	unseen := false
	if l.more() {
		if _, err := l.oneOf("word", "unseen"); err != nil {
			return nil, err
		}
		unseen = true
	}
	return func(ctx context.Context, w *world) error {
		if unseen {
			return w.net.DoubleDescriptorUnseen(ctx, i)
		}
		_, err := w.net.DoubleDescriptor(ctx, i)
		return err
	}, nil
}

// share takes a share such as 30%.
func (l *line) share() (chain.BasisPoints, error) {
	x, err := l.take("a share, such as 30%,")
	if err != nil {
		return 0, err
	}
	share, err := percent(x.text)
	if err != nil || share == 0 {
		return 0, l.errorAt(x.col, "%q is not a share such as 5%% or 0.5%%", x.text)
	}
	return share, nil
}

// wait takes a duration.
func (l *line) wait() (chain.Duration, error) {
	x, err := l.take("a duration")
	if err != nil {
		return 0, err
	}
	d, err := l.duration(x)
	return chain.Duration(d.Milliseconds()), err
}

func parseLink(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	k, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	what, err := l.oneOf("state of a link", "loss", "delay")
	if err != nil {
		return nil, err
	}
	if what == "loss" {
		share, err := l.share()
		return func(_ context.Context, w *world) error { w.net.Lose(i, k, share); return nil }, err
	}
	d, err := l.wait()
	return func(_ context.Context, w *world) error { w.net.Slow(i, k, d); return nil }, err
}

// parsePartition reads sides with "|" between: lists of relays with commas, and
// perhaps "rest" as the last.
func parsePartition(s *Script, l *line) (func(context.Context, *world) error, error) {
	var sides [][]int
	for {
		x, err := l.take("a side, such as relay-1,relay-2,")
		if err != nil {
			return nil, err
		}
		if x.text == "rest" && len(sides) > 0 {
			break
		}
		var side []int
		col := x.col
		for _, name := range strings.Split(x.text, ",") {
			one := &line{file: l.file, no: l.no, words: []word{{text: name, col: col}}}
			i, err := s.relay(one)
			if err != nil {
				return nil, err
			}
			side, col = append(side, i), col+len(name)+1
		}
		sides = append(sides, side)
		if !l.more() {
			break
		}
		if x, err = l.take("|"); err != nil || x.text != "|" {
			return nil, l.errorAt(x.col, "between sides stands |, not %q", x.text)
		}
	}
	return func(_ context.Context, w *world) error { w.net.Partition(sides...); return nil }, nil
}

func parseHeal(*Script, *line) (func(context.Context, *world) error, error) {
	return func(_ context.Context, w *world) error { w.net.Heal(); return nil }, nil
}

// onDisk refuses what needs folders.
func (s *Script) onDisk(l *line) error {
	if s.disk {
		return nil
	}
	return l.errorAt(1, "this needs a network on disk: write disk=yes in the first line")
}

func parseBackup(s *Script, l *line) (func(context.Context, *world) error, error) {
	if err := s.onDisk(l); err != nil {
		return nil, err
	}
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	name, err := l.newName("backup", &s.backups)
	return func(ctx context.Context, w *world) error { return w.net.Backup(ctx, i, name) }, err
}

func parseRestore(s *Script, l *line) (func(context.Context, *world) error, error) {
	if err := s.onDisk(l); err != nil {
		return nil, err
	}
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	name, err := l.oldName("backup", s.backups)
	return func(ctx context.Context, w *world) error { return w.net.Restore(ctx, i, name) }, err
}

func parseRestart(s *Script, l *line) (func(context.Context, *world) error, error) {
	if err := s.onDisk(l); err != nil {
		return nil, err
	}
	_, err := l.oneOf("part", "sealer")
	return func(ctx context.Context, w *world) error { return w.net.RestartSealer(ctx) }, err
}
