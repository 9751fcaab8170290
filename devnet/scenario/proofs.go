package scenario

import (
	"context"
	"fmt"
	"math"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry/directory"
	"tunic/slashing"
)

// suspect is whom a proof is about: a relay, or the sealer.
type suspect struct {
	relay  int
	sealer bool
}

// accusation takes who is accused, and of what.
func accusation(s *Script, l *line) (suspect, slashing.Kind, error) {
	var who suspect
	var err error
	if l.more() && l.words[l.next].text == "sealer" {
		l.next++
		s.leave(l, needsSealer)
		who.sealer = true
	} else if who.relay, err = s.relay(l); err != nil {
		return who, 0, err
	}
	x, err := l.take("a kind of offence")
	if err != nil {
		return who, 0, err
	}
	kind, err := slashing.ParseKind(x.text)
	switch {
	case err != nil:
		return who, 0, l.errorAt(x.col, "%q is no kind of offence%s", x.text, suggest(x.text, kinds()))
	case who.sealer != (kind == slashing.DoubleSeal):
		return who, 0, l.errorAt(x.col, "%s is not what is proven of that one", kind)
	case kind == slashing.KeyDisclosure || kind == slashing.Unavailable:
		return who, 0, l.errorAt(x.col, "nobody makes a proof of %s of what is public", kind)
	}
	return who, kind, nil
}

// prove makes the proof of what is public. Where what it made does not hold it
// is kept all the same: a ledger says why.
func (w *world) prove(who suspect, kind slashing.Kind) error {
	if who.sealer {
		p, err := slashing.AssembleSeals(w.net.Ledger.Head(), w.net.SecondHead())
		w.proof = p.Encode()
		return err
	}
	if kind == slashing.Unauthorised {
		return w.proveSoftware(who.relay)
	}
	if kind == slashing.LostMessage {
		return w.proveLost(who.relay)
	}
	a, b, err := w.evidence(who.relay, kind)
	if err != nil {
		return err
	}
	list, head, err := w.listFor(a)
	if err != nil {
		return err
	}
	p, _ := slashing.Assemble(kind, a, b, head, list)
	w.proof = p.Encode()
	return nil
}

// proveSoftware takes the newest heartbeat of a relay.
func (w *world) proveSoftware(i int) error {
	beat := w.net.Relays[i].Twin.Heartbeat()
	list, head, err := w.listFor(beat)
	if err != nil {
		return err
	}
	var f slashing.InForce
	w.machine(func(m *machine.Machine) { f.Proof = m.Prove(machine.PartParams, light.InForceKey()) })
	f.Header = w.net.Ledger.Head()
	p, _ := slashing.AssembleSoftware(beat, head, list, f)
	w.proof = p.Encode()
	return nil
}

// listFor is the list of a statement's epoch or, where the ledger has none, the
// newest, with a header of it.
func (w *world) listFor(encoded []byte) (*directory.List, chain.SealedHeader, error) {
	s, err := statement.Decode(encoded)
	if err != nil {
		return nil, chain.SealedHeader{}, err
	}
	list, head, err := w.net.Ledger.List(s.Sequence.Epoch())
	if err != nil {
		return w.net.Ledger.List(w.net.Ledger.Head().Header.DirEpoch)
	}
	return list, head, nil
}

// evidence is what a relay has signed that it must not.
func (w *world) evidence(i int, kind slashing.Kind) (a, b []byte, err error) {
	r := w.net.Relays[i]
	label := map[slashing.Kind]statement.Label{
		slashing.DoubleDescriptor: statement.LabelDescriptor, slashing.DoubleVote: statement.LabelVote,
	}[kind]
	a, b, ok := r.Twin.Pair(label)
	if !ok {
		return nil, nil, fmt.Errorf("%s has done nothing that shows a %s", r.Name(), kind)
	}
	return a, b, nil
}

func parseProve(s *Script, l *line) (func(context.Context, *world) error, error) {
	who, kind, err := accusation(s, l)
	return func(_ context.Context, w *world) error { return w.prove(who, kind) }, err
}

func parseReport(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, err := s.account(l)
	if err != nil {
		return nil, err
	}
	who, kind, err := accusation(s, l)
	return func(ctx context.Context, w *world) error {
		if err := w.prove(who, kind); err != nil {
			return err
		}
		return w.submitProof(ctx, a(w))
	}, err
}

func (w *world) submitProof(ctx context.Context, a *actor) error {
	if len(w.proof) == 0 {
		return fmt.Errorf("no proof was made yet")
	}
	return submit(ctx, w, a, slashing.SubmitProofType, func(h chain.Head) slashing.SubmitProof {
		return slashing.SubmitProof{Head: h, Proof: w.proof}
	})
}

func parseSubmit(s *Script, l *line) (func(context.Context, *world) error, error) {
	a, err := s.account(l)
	if err != nil {
		return nil, err
	}
	_, err = l.oneOf("proof", "last")
	return func(ctx context.Context, w *world) error { return w.submitProof(ctx, a(w)) }, err
}

// parseTamper reads which byte of the last proof is changed; a negative number
// counts from the end.
func parseTamper(_ *Script, l *line) (func(context.Context, *world) error, error) {
	if _, err := l.oneOf("proof", "last"); err != nil {
		return nil, err
	}
	x, err := l.take("the place of a byte")
	if err != nil {
		return nil, err
	}
	at, err := l.number(x, -slashing.MaxProof, math.MaxInt16)
	return func(_ context.Context, w *world) error {
		i := at
		if i < 0 {
			i += len(w.proof)
		}
		if i < 0 || i >= len(w.proof) {
			return fmt.Errorf("the last proof has %d bytes", len(w.proof))
		}
		w.proof[i] ^= 1
		return nil
	}, err
}
