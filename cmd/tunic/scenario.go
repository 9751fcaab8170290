package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/devnet/scenario"
)

func (a *app) scenarioCommand() *cobra.Command {
	return noun("scenario", "Test a network with a script, one step a line", a.scenarioRun(), a.scenarioCheck())
}

// readScript reads and parses one file.
func readScript(path string) (*scenario.Script, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("cannot read the scenario: %v", err)
	}
	s, err := scenario.Parse(path, string(b))
	if err != nil {
		return nil, fail(exitUsage, "bad_scenario", "the scenario has a mistake", "%v", err)
	}
	return s, nil
}

func readScripts(paths []string) ([]*scenario.Script, error) {
	var all []*scenario.Script
	for _, p := range paths {
		s, err := readScript(p)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (a *app) scenarioRun() *cobra.Command {
	var verbose bool
	var jobs int
	var on engineFlags
	c := &cobra.Command{
		Use: "run FILE...", Short: "Run scenarios; exit 3 where one fails", Args: cobra.MinimumNArgs(1),
		Long: "Each file builds a network of its own with a driven clock and a seed, and takes its steps.\n" +
			"A failure names the step, what was expected, what is, and the shortest beginning that fails.\n" +
			"With -o json there is one object a line, a line a file. docs/spec/scenarios.md has the language.\n" +
			"With --engine comet the network is one of validators that are processes, in real time made quick;\n" +
			"scripts that need the controls of a dev network are left out, each with the step and the reason.\n" +
			"Exit codes: 0 all hold, 2 a script has a mistake (nothing was run), 3 an expectation failed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if jobs < 1 || jobs > 64 {
				return usage("--jobs must be 1 to 64")
			}
			all, err := readScripts(args) // all mistakes before anything runs
			if err != nil {
				return err
			}
			engine, err := on.read(cmd)
			if err != nil {
				return err
			}
			if engine == genesis.EngineComet {
				if all, err = a.onValidators(all, on.validators); err != nil {
					return err
				}
				if !cmd.Flags().Changed("jobs") {
					jobs = 1 // its processes have the machine to themselves
				}
			}
			r := &runner{app: a, all: all, jobs: min(jobs, len(all))}
			if verbose && !a.json() {
				r.jobs, r.tell = 1, func(line int, text string) { a.say("  %3d  %s", line, text) }
			}
			return r.run(cmd.Context())
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "print each step as it is taken, one file after the other")
	on.add(c)
	c.Flags().IntVarP(&jobs, "jobs", "j", min(2, runtime.GOMAXPROCS(0)), "how many files run at a time")
	return c
}

// onValidators are those of all that can run on validators; it says which others
// there are, and why.
func (a *app) onValidators(all []*scenario.Script, count int) (fit []*scenario.Script, err error) {
	program, err := devnet.FindValidator()
	if err != nil {
		return nil, fail(exitFailed, "no_validator", "the program of validators is missing", "%v", err)
	}
	for _, s := range all {
		if left := s.LeftOut(); len(left) > 0 {
			fmt.Fprintf(a.Err, "left out  %s  %s\n", s.Name, left[0])
			continue
		}
		quick, err := s.OnValidators(count, program)
		if err != nil {
			return nil, fail(exitUsage, "bad_scenario", "the scenario does not fit validators", "%v", err)
		}
		fit = append(fit, quick)
	}
	if len(fit) == 0 {
		return nil, fail(exitUsage, "left_out", "no scenario can run on validators", "%d left out; run them without --engine", len(all))
	}
	return fit, nil
}

// runner runs scripts, some at a time, and shows what they found in their order.
type runner struct {
	*app
	all  []*scenario.Script
	jobs int
	tell func(int, string)
}

func (r *runner) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	type found struct {
		scenario.Report
		err error
	}
	begin := time.Now()
	results, next := make([]chan found, len(r.all)), make(chan int)
	for i := range results {
		results[i] = make(chan found, 1)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for range r.jobs {
		wg.Go(func() {
			for i := range next {
				x, err := r.all[i].Run(ctx, r.tell)
				results[i] <- found{x, err}
			}
		})
	}
	wg.Go(func() {
		defer close(next)
		for i := range r.all {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	bar := len(r.all) > 1 && r.tell == nil && !r.json() && terminal(r.Err)
	failed := 0
	for i := range r.all {
		if bar {
			fmt.Fprintf(r.Err, "\r%s %d of %d, %d failed \x1b[K", filled(i, len(r.all)), i, len(r.all), failed)
		}
		var x found
		select {
		case x = <-results[i]:
		case <-ctx.Done():
			return ctx.Err()
		}
		if x.err != nil {
			return x.err
		}
		if bar {
			fmt.Fprint(r.Err, "\r\x1b[K")
		}
		if !x.OK {
			failed++
		}
		if err := r.report(x.Report); err != nil {
			return err
		}
	}
	if len(r.all) > 1 {
		r.say("%d of %d hold, %s", len(r.all)-failed, len(r.all), time.Since(begin).Round(time.Millisecond))
	}
	if failed > 0 {
		return fail(exitFalse, "scenario_failed", "scenarios failed", "%d of %d", failed, len(r.all))
	}
	return nil
}

// filled is a bar of twenty places.
func filled(done, all int) string {
	n := 20 * done / all
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", 20-n) + "]"
}

// report shows one file's result: a line, and what failed.
func (r *runner) report(x scenario.Report) error {
	if r.json() {
		return r.show(x, nil)
	}
	word := "ok  "
	if !x.OK {
		word = "FAIL"
	}
	r.say("%s  %s  %d steps, seed %d, %d ms", word, x.Name, x.Steps, x.Seed, x.ElapsedMS)
	if x.Failure != nil {
		fmt.Fprintf(r.Out, "%s\n\n", x.Failure)
	}
	return nil
}

func (a *app) scenarioCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE...", Short: "Read scenarios without running them", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := readScripts(args)
			return err
		},
	}
}
