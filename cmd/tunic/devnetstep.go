package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/devnet/scenario"
)

// maxStep is the longest line that a devnet takes, in bytes.
const maxStep = 4096

func (a *app) devnetStep() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "step STEP...", Short: "Let a running devnet take steps of a scenario; exit 3 where one expects in vain", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: completeStep,
		Long: `Let a running devnet take steps of a scenario.

Each argument is a step, and - stands for lines of standard input; where no
argument holds a space, they are the words of one step. The first that cannot be
taken, or that expects what does not hold, is the last.

Steps

  ` + strings.Join(scenario.Usage(), "\n  ") + `

and each expectation may end with: within N epochs, for N epochs.

They work on a devnet whose clock is driven and on one that runs with the
machine's. docs/spec/scenarios.md says what each does. Exit codes: 0 done,
2 not a step, 3 an expectation does not hold, 1 the step could not be taken.`,
		Example: `  tunic devnet step fault relay-3 silent
  tunic devnet step 'advance 2m' 'expect state relay-3 deregistered'
  tunic devnet step 'expect locked relay-3 yes for 1h' -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if net == "" {
				net = runningNetwork()
			}
			api, err := a.controls(net)
			if err != nil {
				return err
			}
			for _, x := range words(args) {
				if x != "-" {
					if err := a.step(cmd.Context(), api, x); err != nil {
						return err
					}
					continue
				}
				if err := a.stepLines(cmd.Context(), api); err != nil {
					return err
				}
			}
			return nil
		},
	}
	networkFlag(c, &net)
	return c
}

// runningNetwork is the network file of the devnet that runs in the default
// folder; empty if none does.
func runningNetwork() string {
	if r, err := readRunning(defaultDevnet()); err == nil && r.alive(defaultDevnet()) {
		return r.Network
	}
	return ""
}

// words joins what a shell has split: steps of several words each hold a space.
func words(args []string) []string {
	for _, x := range args {
		if x == "-" || strings.ContainsAny(x, " \t") {
			return args
		}
	}
	return []string{strings.Join(args, " ")}
}

// stepLines takes the lines of standard input; empty ones and comments are none.
func (a *app) stepLines(ctx context.Context, api *client.Client) error {
	in := bufio.NewScanner(a.In)
	for in.Scan() {
		x := strings.TrimSpace(in.Text())
		if x == "" || strings.HasPrefix(x, "#") {
			continue
		}
		if err := a.step(ctx, api, x); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	return nil
}

// stepped is a step's answer as -o json shows it.
type stepped struct {
	Step string `json:"step"`
	client.DevStepped
}

func (a *app) step(ctx context.Context, api *client.Client, text string) error {
	if text = strings.TrimSpace(text); text == "" || len(text) > maxStep {
		return usage("a step has 1 to %d bytes; `tunic devnet step --help` lists the steps", maxStep)
	}
	res, err := api.DevStep(ctx, client.DevStep{Step: text})
	if err != nil {
		return answer(0, nil, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	x := client.DevStepped{}
	if err == nil && res.StatusCode == http.StatusOK {
		err = json.Unmarshal(b, &x)
	}
	if err := stepRefused(text, notHere(res.StatusCode, b, err)); err != nil {
		return err
	}
	if err := a.show(stepped{text, x}, func(w io.Writer) { showStep(w, text, x) }); err != nil {
		return err
	}
	if !x.Ok {
		return fail(exitFalse, "expectation_failed", "it does not hold", "%s: expected %s; it is %s", text, deref(x.Expected), deref(x.Is))
	}
	return nil
}

func showStep(w io.Writer, text string, x client.DevStepped) {
	word := "ok  "
	if !x.Ok {
		word = "FAIL"
	}
	fmt.Fprintf(w, "%s  %s", word, text)
	if x.Refused != nil {
		fmt.Fprintf(w, ": refused with %s", *x.Refused)
	}
	fmt.Fprintf(w, "  (block %d, epoch %d, %s)\n", x.Head.Height, x.Head.Epoch, instant(x.Head.TimeMs))
}

// stepRefused says what a problem means for who typed text.
func stepRefused(text string, err error) error {
	p, ok := err.(*problem)
	if !ok {
		return err
	}
	switch p.Code {
	case "bad_step":
		return fail(exitUsage, p.Code, "not a step", "%s: %s", text, p.Detail)
	case "step_failed":
		return fail(exitFailed, p.Code, "the step could not be taken", "%s: %s", text, strings.TrimPrefix(p.Detail, "devnet: "))
	case "no_steps":
		return fail(exitRefused, p.Code, "no devnet there", "it is a ledger of its own, or its relays are processes of their own; `tunic devnet up` without --processes takes steps")
	}
	return err
}

// completeStep completes the first word of a step.
func completeStep(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var out []string
	seen := map[string]bool{}
	for _, u := range scenario.Usage() {
		words := strings.Fields(u)
		if len(args) >= len(words) || seen[words[len(args)]] {
			continue
		}
		fits := strings.HasPrefix(words[len(args)], begun)
		for i, x := range args {
			fits = fits && words[i] == x
		}
		if w := words[len(args)]; fits && strings.ToLower(w) == w && !strings.ContainsAny(w, "|[%.=") {
			seen[w] = true
			out = append(out, w)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
