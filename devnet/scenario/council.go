package scenario

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
)

// parseChange reads which parameters change and who wants it. `council` stands
// for as many of its members as suffice, one account for itself. The change is
// to come into force as early as it may.
func parseChange(s *Script, l *line) (func(context.Context, *world) error, error) {
	var set []func(*genesis.Params) error
	for l.more() && l.words[l.next].text != "by" {
		f, err := l.param()
		if err != nil {
			return nil, err
		}
		set = append(set, f)
	}
	if len(set) == 0 {
		w, _ := l.take("a parameter")
		return nil, l.errorAt(w.col, "a change says what changes, such as versions=0.1.0")
	}
	if _, err := l.oneOf("word", "by"); err != nil {
		return nil, err
	}
	var one func(*world) *actor
	if l.more() && l.words[l.next].text == "council" {
		l.next++
	} else {
		var err error
		if one, err = s.account(l); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, w *world) error {
		if one != nil {
			return w.approve(ctx, set, []*actor{one(w)})
		}
		return w.approve(ctx, set, w.council())
	}, nil
}

// council are as many members of the council as suffice.
func (w *world) council() (out []*actor) {
	core := w.net.Genesis.Core
	for i, k := range w.net.Accounts {
		for _, a := range core.Council {
			if a == k.Address() && len(out) < int(core.CouncilMin) {
				out = append(out, w.actor(fmt.Sprintf("account-%d", i), k))
			}
		}
	}
	return out
}

// approve lets each of these accounts send the same change, and stops at the
// first that is refused.
func (w *world) approve(ctx context.Context, set []func(*genesis.Params) error, who []*actor) error {
	var now genesis.InForce
	w.machine(func(m *machine.Machine) { now = m.InForce() })
	change := genesis.Change{Number: now.Number + 1, Params: now.Params}
	change.Epoch = w.net.Ledger.Head().Header.DirEpoch + chain.Epoch(now.Params.ParamsDelay)
	if w.net.Spec.Engine == genesis.EngineComet {
		change.Epoch++ // the next may begin before all have approved
	}
	for _, f := range set {
		if err := f(&change.Params); err != nil {
			return err
		}
	}
	for _, a := range who {
		err := submit(ctx, w, a, machine.ChangeParamsType, func(h chain.Head) machine.ChangeParams {
			return machine.ChangeParams{Head: h, Number: change.Number, Epoch: change.Epoch, Params: change.Params.Encode()}
		})
		if err != nil || w.refuse != "" {
			return err
		}
	}
	return nil
}
