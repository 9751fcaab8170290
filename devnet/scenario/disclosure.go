package scenario

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/devnet"
	"tunic/slashing"
)

// sale names a key that an account was sold.
type sale struct {
	account string
	relay   int
	kind    statement.KeyKind
}

// keyKind takes which key is meant; the onion key where nothing is said.
func (l *line) keyKind() (statement.KeyKind, error) {
	if !l.more() {
		return statement.KeyOnion, nil
	}
	which, err := l.oneOf("key", "onion", "identity")
	if which == "identity" {
		return statement.KeyIdentity, err
	}
	return statement.KeyOnion, err
}

// parseKey reads what `commit` and `reveal` are of.
func parseKey(s *Script, l *line) (func(*world) (*actor, sale), error) {
	a, i, err := accountAndRelay(s, l)
	if err != nil {
		return nil, err
	}
	kind, err := l.keyKind()
	return func(w *world) (*actor, sale) {
		who := a(w)
		return who, sale{who.name, i, kind}
	}, err
}

// parseSell reads a sale: the account gets the relay's present key.
func parseSell(s *Script, l *line) (func(context.Context, *world) error, error) {
	i, err := s.relay(l)
	if err != nil {
		return nil, err
	}
	a, err := s.account(l)
	if err != nil {
		return nil, err
	}
	kind, err := l.keyKind()
	return func(ctx context.Context, w *world) error {
		who := a(w)
		if err := w.net.AwaitKey(ctx, i); err != nil {
			return err
		}
		got, err := w.net.Sell(i, kind, who.key)
		w.sales[sale{who.name, i, kind}] = got
		return err
	}, err
}

// bought is what an account was sold.
func (w *world) bought(x sale) (*devnet.Sale, error) {
	got := w.sales[x]
	if got == nil {
		return nil, fmt.Errorf("%s was not sold the %s key of %s", x.account, x.kind, w.net.Relays[x.relay].Name())
	}
	return got, nil
}

func parseCommit(s *Script, l *line) (func(context.Context, *world) error, error) {
	of, err := parseKey(s, l)
	return func(ctx context.Context, w *world) error {
		who, x := of(w)
		got, err := w.bought(x)
		if err != nil {
			return err
		}
		err = submit(ctx, w, who, slashing.CommitDisclosureType, func(h chain.Head) slashing.CommitDisclosure { return w.net.Commitment(got, h) })
		if err != nil {
			return err
		}
		return w.net.Committed(got, w.settled)
	}, err
}

// prepare makes the proof that opens the account's last commit to a key. Where it
// does not hold it is kept all the same: a ledger says why.
func (w *world) prepare(x sale) error {
	got, err := w.bought(x)
	if err != nil {
		return err
	}
	p, err := w.net.Disclose(got)
	if p.Kind != slashing.KeyDisclosure {
		return err
	}
	w.proof = p.Encode()
	return nil
}

func parsePrepare(s *Script, l *line) (func(context.Context, *world) error, error) {
	of, err := parseKey(s, l)
	return func(_ context.Context, w *world) error {
		_, x := of(w)
		return w.prepare(x)
	}, err
}

// revealTries is how often a reveal is made anew where epochs begin by themselves.
const revealTries = 3

func parseReveal(s *Script, l *line) (func(context.Context, *world) error, error) {
	of, err := parseKey(s, l)
	return func(ctx context.Context, w *world) error {
		who, x := of(w)
		for try := 0; ; try++ {
			if err := w.prepare(x); err != nil {
				return err
			}
			err := w.submitProof(ctx, who)
			if err != nil || w.refuse != slashing.ErrExpired.Code || try == revealTries || w.net.Spec.Engine != genesis.EngineComet {
				return err
			}
			// The next epoch has begun, under another beacon, or is just beginning.
			if err := w.net.Seal(ctx); err != nil {
				return err
			}
		}
	}, err
}
