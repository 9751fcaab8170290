package scenario

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet"
)

// On validators nobody moves the clock: what takes time is waited for. So a
// network's time is made quick, and what nothing but a dev network can do is left
// out.
const (
	// EpochOnValidators is how long an epoch is there, whatever the script says; all
	// other times, in parameters and in steps, are shortened as much.
	EpochOnValidators = 4 * time.Second
	// blocksOnValidators is the block interval there.
	blocksOnValidators = genesis.Second / 2
	// MaxEpochsOnValidators is how many epochs a script may take at most.
	MaxEpochsOnValidators = 60
)

// LeftOut is a step that validators cannot take, and why.
type LeftOut struct {
	Line int    `json:"line"`
	Step string `json:"step"`
	Why  string `json:"why"`
}

func (x LeftOut) String() string { return fmt.Sprintf("line %d: %s: %s", x.Line, x.Step, x.Why) }

// LeftOut says why the script cannot run on validators, step by step; none: it can.
func (s *Script) LeftOut() []LeftOut {
	if s.epochs > MaxEpochsOnValidators {
		return append(s.left[:len(s.left):len(s.left)], LeftOut{1, s.network(),
			fmt.Sprintf("it takes up to %d epochs; at most %d are waited for, a clock that is moved does more", s.epochs, MaxEpochsOnValidators)})
	}
	return s.left
}

// Epochs is how many epochs the script takes at most, where time is waited for.
func (s *Script) Epochs() int { return s.epochs }

// Why it is left out.
const (
	needsControls = "a control of dev networks"
	needsSealer   = "there is no one sealer"
	needsClock    = "epochs begin whether or not anybody waits"
	needsDraws    = "the seed fixes draws on a clock that is driven alone"
)

// leave notes that validators cannot take the step of l.
func (s *Script) leave(l *line, why string) {
	if !s.elsewhere {
		s.left = append(s.left, LeftOut{l.no, l.text, why})
	}
}

// took notes that a step takes up to so many epochs.
func (s *Script) took(epochs int) {
	if !s.elsewhere {
		s.epochs += epochs
	}
}

// onUsage is how a step is written that is not for all networks.
const onUsage = "on sealer|validators|validators=N STEP"

// parseOn reads a step that is taken with one sealer, with validators, or with so
// many validators alone.
func parseOn(s *Script, l *line) (func(context.Context, *world) error, error) {
	count := 0
	if v, ok := l.option("validators"); ok {
		n, err := l.number(v, 1, devnet.MaxValidators)
		if err != nil {
			return nil, err
		}
		count = n
	} else if where, err := l.oneOf("kind of network", "sealer", "validators"); err != nil {
		return nil, fmt.Errorf("%w; write: %s", err, onUsage)
	} else if where == "sealer" {
		defer func(x bool) { s.elsewhere = x }(s.elsewhere)
		s.elsewhere = true
		count = -1
	}
	run, err := parseStep(s, l)
	return func(ctx context.Context, w *world) error {
		n := w.net.Spec.Validators // none: one sealer
		if (count < 0) != (n == 0) || count > 0 && count != n {
			return nil
		}
		return run(ctx, w)
	}, err
}

// tookTime notes that a step takes d of the network's time.
func (s *Script) tookTime(l *line, d time.Duration) {
	epoch := time.Duration(s.Spec.Params.EpochLength) * time.Millisecond
	s.took(int(min((d+epoch-1)/epoch, MaxEpochsOnValidators+1)))
}

// OnValidators is the script for so many validators, at their pace; program is what
// they run, empty for devnet.FindValidator. It is an ErrScript where LeftOut says
// why it cannot be.
func (s *Script) OnValidators(count int, program string) (*Script, error) {
	if left := s.LeftOut(); len(left) > 0 {
		return nil, fmt.Errorf("%w: %s: not on validators: %s", ErrScript, s.Name, left[0])
	}
	quick, err := parse(s.Name, s.text, pace{EpochOnValidators, time.Duration(s.Spec.Params.EpochLength) * time.Millisecond})
	if err != nil {
		return nil, err
	}
	quick.Spec.Engine, quick.Spec.Validators, quick.Spec.Validator = genesis.EngineComet, count, program
	return quick, nil
}

// pace is how much of the machine's time is how much of a script's; zero: as much.
type pace struct{ real, written time.Duration }

func (p pace) of(d time.Duration) time.Duration {
	if p.written == 0 {
		return d
	}
	return time.Duration(float64(d) * (float64(p.real) / float64(p.written))).Round(time.Millisecond)
}

// rates are parameters that are no times, though they are durations: one of a day.
var rates = map[string]bool{"credit_per_day_ms": true}

// params brings the times of a network to the pace.
func (p pace) params(prm *genesis.Params) {
	if p.written == 0 {
		return
	}
	v := reflect.ValueOf(prm).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Type() == reflect.TypeFor[chain.Duration]() && !rates[v.Type().Field(i).Tag.Get("json")] {
			f.SetUint(uint64(p.of(time.Duration(f.Uint())*time.Millisecond) / time.Millisecond))
		}
	}
	prm.BlockInterval = blocksOnValidators
}

// skew is how far clocks are apart at the pace.
func (p pace) skew(spec *devnet.Spec) { spec.Skew = p.of(spec.Skew) }
