package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

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
	c := &cobra.Command{
		Use: "run FILE...", Short: "Run scenarios; exit 3 where one fails", Args: cobra.MinimumNArgs(1),
		Long: "Each file builds a network of its own with a driven clock and a seed, and takes its steps.\n" +
			"A failure names the step, what was expected, what is, and the shortest beginning that fails.\n" +
			"With -o json there is one object a line, a line a file. docs/spec/scenarios.md has the language.",
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := readScripts(args) // all mistakes before anything runs
			if err != nil {
				return err
			}
			failed := 0
			for _, s := range all {
				var tell func(int, string)
				if verbose && !a.json() {
					tell = func(line int, text string) { a.say("  %3d  %s", line, text) }
				}
				r, err := s.Run(cmd.Context(), tell)
				if err != nil {
					return err
				}
				if !r.OK {
					failed++
				}
				if a.json() {
					if err := a.show(r, nil); err != nil {
						return err
					}
					continue
				}
				word := "ok  "
				if !r.OK {
					word = "FAIL"
				}
				a.say("%s  %s  %d steps, seed %d, %d ms", word, s.Name, r.Steps, r.Seed, r.ElapsedMS)
				if r.Failure != nil {
					fmt.Fprintf(a.out, "%s\n\n", r.Failure)
				}
			}
			if failed > 0 {
				return fail(exitFalse, "scenario_failed", "scenarios failed", "%d of %d", failed, len(all))
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "print each step as it is taken")
	return c
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
