package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"tunic/api"
	"tunic/chain"
	"tunic/devnet"
	"tunic/internal/durable"
)

// Session takes single steps in a network that runs. It keeps between them what
// a script keeps: names, the last message, the last transaction, the last proof.
// Safe for concurrent use; one step is taken at a time.
type Session struct {
	mu     sync.Mutex // guards what follows; held while a step is taken
	script *Script
	world  *world
}

// Result is what came of one step.
type Result struct {
	Want, Is string       // where it expected something that does not hold
	Refused  string       // code with which its transaction was refused
	Head     chain.Header // after it
}

// Attach begins a session in a network. Dumps, and what is loaded of them, go to
// folder, which it makes where it is missing.
func Attach(net *devnet.Network, folder string) (*Session, error) {
	if err := durable.MkdirAll(folder); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return &Session{
		script: &Script{Spec: net.Spec, disk: net.Spec.Dir != ""},
		world:  newWorld(net, folder, &Report{}),
	}, nil
}

// Serve is Step for devnet.Network.SetSteps.
func (s *Session) Serve(ctx context.Context, text string) (api.Step, error) {
	r, err := s.Step(ctx, text)
	if errors.Is(err, ErrScript) {
		err = fmt.Errorf("%w: %s", api.ErrStep, strings.TrimPrefix(err.Error(), ErrScript.Error()+": "))
	}
	return api.Step{Want: r.Want, Is: r.Is, Refused: r.Refused, Head: r.Head}, err
}

// Step takes one step, which text must be. ErrScript means that it is none, and
// says why and at which column; any other error, that it could not be taken. An
// expectation that does not hold is in the Result.
func (s *Session) Step(ctx context.Context, text string) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.world
	known, err := w.net.Ledger.Snapshots() // others may have taken some
	if err != nil {
		return Result{}, err
	}
	s.script.snapshots = make(map[string]bool)
	for _, x := range known {
		s.script.snapshots[x.Name] = true
	}
	dumps, backups := maps.Clone(s.script.dumps), maps.Clone(s.script.backups)
	signed := w.signed
	err = s.take(ctx, text)
	var m *mismatch
	switch {
	case errors.As(err, &m):
		return Result{Want: m.want, Is: m.is, Head: w.net.Ledger.Head().Header}, nil
	case err != nil: // a name stands for what is there
		s.script.dumps, s.script.backups = dumps, backups
		return Result{}, err
	}
	r := Result{Head: w.net.Ledger.Head().Header}
	if w.signed > signed {
		r.Refused = w.refuse
	}
	return r, nil
}

func (s *Session) take(ctx context.Context, text string) error {
	l := &line{text: strings.TrimSpace(text)}
	if strings.ContainsAny(text, "\r\n") {
		return fmt.Errorf("%w: more than one line; a step is one", ErrScript)
	}
	if err := l.split(text); err != nil {
		return err
	}
	switch {
	case len(l.words) == 0:
		return fmt.Errorf("%w: nothing to do; write a step, such as: fault relay-3 silent", ErrScript)
	case l.words[0].text == "network":
		return l.errorAt(l.words[0].col, "the network runs already; it is made by tunic devnet up and its flags")
	}
	run, err := parseStep(s.script, l)
	if err != nil {
		return err
	}
	w := s.world
	if err := run(ctx, w); err != nil {
		return err
	}
	if err := w.net.Err(); err != nil {
		return err
	}
	return w.invariants()
}
