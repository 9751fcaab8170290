// Package scenario is the language for testing a network: a text file, one step
// a line, run against a devnet with a driven clock and a seed. It implements
// docs/spec/scenarios.md.
//
// Most callers Parse a file and Run the Script. All mistakes in a script are
// found before anything runs, each with line, column and a suggestion. A step
// that fails ends the run: the Report holds the seed, what was expected, what
// is, and the steps up to there, the shortest beginning that fails.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet"
)

// ErrScript means that a script cannot be run; the text says where and why.
var ErrScript = errors.New("scenario")

// Script is a parsed scenario.
type Script struct {
	Name  string
	Spec  devnet.Spec
	steps []step

	text      string          // that it was parsed from
	left      []LeftOut       // what validators cannot do
	elsewhere bool            // the step that is parsed is not taken on validators
	epochs    int             // that it takes at most
	words     []string        // of the first line, with what was left out filled in
	disk      bool            // the network is kept on disk
	snapshots map[string]bool // names given while it is parsed
	dumps     map[string]bool
	backups   map[string]bool
}

// step is one line that does or expects something.
type step struct {
	line int
	text string
	run  func(ctx context.Context, w *world) error
}

// Failure is why a run ended.
type Failure struct {
	Line   int      `json:"line"`
	Step   string   `json:"step"`
	Want   string   `json:"expected,omitempty"`
	Is     string   `json:"is,omitempty"`
	Error  string   `json:"error,omitempty"`
	Prefix []string `json:"prefix"` // the shortest beginning of the script that fails
}

// Slash is one punished offence.
type Slash struct {
	Relay   string     `json:"relay"`
	Kind    string     `json:"kind"`
	Basis   string     `json:"basis"`
	Offence chain.Hash `json:"offence"`
	TUN     string     `json:"tun"`
}

// Report is what a run found.
type Report struct {
	Name      string  `json:"name"`
	OK        bool    `json:"ok"`
	Seed      uint64  `json:"seed"`
	Steps     int     `json:"steps"` // done
	Delivered int     `json:"delivered"`
	LatencyMS []int64 `json:"latency_ms"` // of each delivery that was awaited
	Slashes   []Slash `json:"slashes"`
	// SwarmChanges is after how many steps there were more or fewer swarms than before.
	SwarmChanges int      `json:"swarm_changes"`
	Paths        *Paths   `json:"paths,omitempty"`
	Epoch        uint64   `json:"epoch"`
	Height       uint64   `json:"height"`
	ElapsedMS    int64    `json:"elapsed_ms"`
	Failure      *Failure `json:"failure,omitempty"`
}

// mismatch is an expectation that does not hold.
type mismatch struct{ want, is string }

func (m *mismatch) Error() string { return fmt.Sprintf("expected %s; it is %s", m.want, m.is) }

func expect(ok bool, want, is string, args ...any) error {
	if ok {
		return nil
	}
	return &mismatch{want, fmt.Sprintf(is, args...)}
}

// stepLimit bounds one step in real time; longLimit where time is waited for.
const (
	stepLimit = 2 * time.Minute
	longLimit = 15 * time.Minute
)

// Run builds the network and takes the steps; tell gets each before it runs
// and may be nil. A failed expectation is in the Report, not an error.
func (s *Script) Run(ctx context.Context, tell func(line int, text string)) (Report, error) {
	begin := time.Now()
	r := Report{Name: s.Name, LatencyMS: []int64{}, Slashes: []Slash{}}
	folder, err := os.MkdirTemp("", "tunic-scenario-")
	if err != nil {
		return r, fmt.Errorf("%s: %w", s.Name, err)
	}
	defer os.RemoveAll(folder)
	spec := s.Spec
	if s.disk {
		spec.Dir = filepath.Join(folder, "network")
	}
	net, err := devnet.Start(ctx, spec)
	if err != nil {
		return r, fmt.Errorf("%s: start the network: %w", s.Name, err)
	}
	open := true
	defer func() {
		if open {
			net.Close()
		}
	}()
	r.Seed = net.Seed
	w := newWorld(net, folder, &r)
	for i, st := range s.steps {
		if tell != nil {
			tell(st.line, st.text)
		}
		if err := w.take(ctx, st); err != nil {
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			r.Failure = s.failure(i, err)
			break
		}
		r.Steps++
	}
	w.finish()
	open = false
	if err := net.Close(); r.Failure == nil && errors.Is(err, devnet.ErrCounters) {
		r.Failure = s.failure(len(s.steps)-1, err)
	}
	r.OK = r.Failure == nil
	r.ElapsedMS = time.Since(begin).Milliseconds()
	return r, nil
}

func (w *world) take(ctx context.Context, st step) error {
	limit := stepLimit
	if w.net.Spec.Engine == genesis.EngineComet {
		limit = longLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := st.run(ctx, w); err != nil {
		return err
	}
	if err := w.net.Err(); err != nil {
		return err
	}
	if err := w.countSwarms(); err != nil {
		return err
	}
	return w.invariants()
}

func (s *Script) failure(i int, err error) *Failure {
	f := &Failure{Step: "the network begins"}
	if i >= 0 {
		f.Line, f.Step = s.steps[i].line, s.steps[i].text
	}
	var m *mismatch
	if errors.As(err, &m) {
		f.Want, f.Is = m.want, m.is
	} else {
		f.Error = err.Error()
	}
	f.Prefix = append(f.Prefix, s.network())
	for _, st := range s.steps[:i+1] {
		f.Prefix = append(f.Prefix, st.text)
	}
	return f
}

// network is the first line, with what was left out filled in.
func (s *Script) network() string { return strings.Join(s.words, " ") }

// String is the failure for people.
func (f *Failure) String() string {
	why := f.Error
	if f.Want != "" {
		why = fmt.Sprintf("expected %s; it is %s", f.Want, f.Is)
	}
	return fmt.Sprintf("line %d: %s: %s\nthe shortest beginning that fails:\n  %s", f.Line, f.Step, why, strings.Join(f.Prefix, "\n  "))
}
