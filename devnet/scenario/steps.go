package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/staking"
)

// verb parses the rest of a line.
type verb struct {
	usage    string
	parse    func(*Script, *line) (func(context.Context, *world) error, error)
	controls bool // it is one of a dev network
}

// verbs is the language, beside `network` and `expect`.
func verbs() map[string]verb {
	return map[string]verb{
		"send":       {usage: `send FROM TO "text"`, parse: parseSend},
		"stop":       {usage: "stop RELAY", parse: parseStop},
		"start":      {usage: "start RELAY", parse: parseStart},
		"fault":      {usage: "fault RELAY " + strings.Join(relayFaults, "|") + " ... | fault sealer double-seal", parse: parseFault},
		"link":       {usage: "link RELAY RELAY loss 2% | link RELAY RELAY delay 2s", parse: parseLink},
		"partition":  {usage: "partition relay-1,relay-2 | relay-3 | rest", parse: parsePartition},
		"heal":       {usage: "heal", parse: parseHeal},
		"backup":     {usage: "backup RELAY NAME", parse: parseBackup},
		"restore":    {usage: "restore RELAY NAME", parse: parseRestore},
		"restart":    {usage: "restart sealer", parse: parseRestart},
		"seal":       {usage: "seal [N]", parse: parseSeal},
		"advance":    {usage: "advance DURATION | advance N epochs", parse: parseAdvance},
		"snapshot":   {usage: "snapshot NAME", parse: parseSnapshot, controls: true},
		"revert":     {usage: "revert NAME", parse: parseRevert, controls: true},
		"dump":       {usage: "dump NAME", parse: parseDump, controls: true},
		"load":       {usage: "load NAME", parse: parseLoad, controls: true},
		"fund":       {usage: "fund ACCOUNT TUN", parse: parseFund, controls: true},
		"transfer":   {usage: "transfer FROM TO TUN", parse: parseTransfer},
		"contribute": {usage: "contribute ACCOUNT RELAY TUN", parse: parseContribute},
		"unlock":     {usage: "unlock ACCOUNT RELAY", parse: parseUnlock},
		"withdraw":   {usage: "withdraw ACCOUNT RELAY", parse: parseWithdraw},
		"change":     {usage: "change NAME=VALUE ... by council|ACCOUNT", parse: parseChange},
		"keep":       {usage: "keep RELAY DURATION", parse: parseKeep},
		"delete":     {usage: "delete RELAY", parse: parseDelete},
		"challenge":  {usage: "challenge ACCOUNT RELAY [deposit TUN]", parse: parseChallenge},
		"report":     {usage: "report ACCOUNT RELAY|sealer KIND", parse: parseReport},
		"prove":      {usage: "prove RELAY|sealer KIND", parse: parseProve},
		"tamper":     {usage: "tamper last BYTE", parse: parseTamper},
		"submit":     {usage: "submit ACCOUNT last", parse: parseSubmit},
		"sell":       {usage: "sell RELAY ACCOUNT [onion|identity]", parse: parseSell},
		"commit":     {usage: "commit ACCOUNT RELAY [onion|identity]", parse: parseCommit},
		"reveal":     {usage: "reveal ACCOUNT RELAY [onion|identity]", parse: parseReveal},
		"prepare":    {usage: "prepare ACCOUNT RELAY [onion|identity]", parse: parsePrepare},
	}
}

// Usage is how each step and each expectation is written, sorted.
func Usage() []string {
	var out []string
	for _, all := range []map[string]verb{verbs(), expectations()} {
		for _, v := range all {
			out = append(out, v.usage)
		}
	}
	slices.Sort(out)
	return out
}

func parseStep(s *Script, l *line) (func(context.Context, *world) error, error) {
	w, err := l.take("a step")
	if err != nil {
		return nil, err
	}
	switch w.text {
	case "expect":
		return parseExpect(s, l)
	case "on":
		return parseOn(s, l)
	}
	all := verbs()
	v, ok := all[w.text]
	if !ok {
		names := []string{"expect", "on"}
		for name := range all {
			names = append(names, name)
		}
		return nil, l.errorAt(w.col, "step %q is unknown%s", w.text, suggest(w.text, names))
	}
	run, err := v.parse(s, l)
	if err == nil {
		err = l.done()
	}
	if err != nil {
		return nil, fmt.Errorf("%w; write: %s", err, v.usage)
	}
	if v.controls {
		s.leave(l, needsControls)
	}
	return run, nil
}

func parseSend(s *Script, l *line) (func(context.Context, *world) error, error) {
	from, err := s.client(l)
	if err != nil {
		return nil, err
	}
	to, err := s.client(l)
	if err != nil {
		return nil, err
	}
	text, err := l.take("a text in quotes")
	if err != nil {
		return nil, err
	}
	if !text.quoted || from == to {
		return nil, l.errorAt(text.col, "a client sends a text in quotes to another")
	}
	return func(ctx context.Context, w *world) error {
		a, b := w.net.Clients[from], w.net.Clients[to]
		known := false
		for _, c := range a.Contacts() {
			known = known || c.ID == b.Account.ID()
		}
		if !known {
			if err := a.AddContact(b.Account.ID(), b.Name); err != nil {
				return err
			}
		}
		id, err := a.Send(ctx, b.Account.ID(), text.text)
		w.last = &message{a, b, id, text.text, time.Now()}
		return err
	}, nil
}

func parseStop(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	return func(ctx context.Context, w *world) error { return w.net.StopRelay(ctx, i) }, err
}

func parseStart(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	return func(ctx context.Context, w *world) error { return w.net.StartRelay(ctx, i) }, err
}

func parseSeal(_ *Script, l *line) (func(context.Context, *world) error, error) {
	n := 1
	if l.more() {
		x, err := l.take("a number of blocks")
		if err != nil {
			return nil, err
		}
		if n, err = l.number(x, 1, 10_000); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, w *world) error {
		for range n {
			if err := w.net.Seal(ctx); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func parseAdvance(s *Script, l *line) (func(context.Context, *world) error, error) {
	x, err := l.take("a duration or a number of epochs")
	if err != nil {
		return nil, err
	}
	if l.more() {
		n, err := l.number(x, 1, 100_000)
		if err != nil {
			return nil, err
		}
		if _, err := l.oneOf("unit", "epochs", "epoch"); err != nil {
			return nil, err
		}
		s.took(n)
		return func(ctx context.Context, w *world) error { return w.net.AdvanceEpochs(ctx, n) }, nil
	}
	d, err := l.duration(x)
	s.tookTime(l, d)
	return func(ctx context.Context, w *world) error { return w.net.Advance(ctx, d) }, err
}

func parseTransfer(s *Script, l *line) (func(context.Context, *world) error, error) {
	from, err := s.account(l)
	if err != nil {
		return nil, err
	}
	to, err := s.account(l)
	if err != nil {
		return nil, err
	}
	tun, err := takeAmount(l)
	return func(ctx context.Context, w *world) error {
		b := to(w)
		w.money[b.name] = w.balance(b)
		return submit(ctx, w, from(w), machine.TransferType, func(h chain.Head) machine.Transfer {
			return machine.Transfer{Head: h, To: b.key.Address(), Amount: tun}
		})
	}, err
}

func takeAmount(l *line) (chain.Amount, error) {
	x, err := l.take("an amount of TUN")
	if err != nil {
		return 0, err
	}
	return l.amount(x)
}

// accountAndRelay reads what three of the steps begin with.
func accountAndRelay(s *Script, l *line) (func(*world) *actor, int, error) {
	a, err := s.account(l)
	if err != nil {
		return nil, 0, err
	}
	i, err := s.relay(l)
	return a, i, err
}

func parseContribute(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, i, err := accountAndRelay(s, l)
	if err != nil {
		return nil, err
	}
	tun, err := takeAmount(l)
	return func(ctx context.Context, w *world) error {
		return submit(ctx, w, a(w), staking.ContributeType, func(h chain.Head) staking.Contribute {
			return staking.Contribute{Head: h, Node: w.net.Relays[i].ID, Amount: tun}
		})
	}, err
}

func parseUnlock(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, i, err := accountAndRelay(s, l)
	return func(ctx context.Context, w *world) error {
		return submit(ctx, w, a(w), staking.RequestUnlockType, func(h chain.Head) staking.RequestUnlock {
			return staking.RequestUnlock{Head: h, Node: w.net.Relays[i].ID}
		})
	}, err
}

func parseWithdraw(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, i, err := accountAndRelay(s, l)
	return func(ctx context.Context, w *world) error {
		return submit(ctx, w, a(w), staking.WithdrawType, func(h chain.Head) staking.Withdraw {
			return staking.Withdraw{Head: h, Node: w.net.Relays[i].ID}
		})
	}, err
}

// listed reports whether relay i stands in the head's list and was not removed.
func (w *world) listed(i int) (bool, error) {
	head := w.net.Ledger.Head().Header
	list, _, err := w.net.Ledger.List(head.DirEpoch)
	if err != nil {
		return false, err
	}
	id := w.net.Relays[i].ID
	_, in := list.Find(id)
	for _, r := range head.Removals {
		in = in && r != id
	}
	return in, nil
}

func (w *world) state(i int) (s registry.State) {
	w.machine(func(m *machine.Machine) {
		n, _ := m.Registry().Node(w.net.Relays[i].ID)
		s = n.State
	})
	return s
}
