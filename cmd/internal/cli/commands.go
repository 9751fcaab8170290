package cli

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tunic/node"
)

// Prepare gives a program's first command what all programs have: the flags of
// output and log, help, and errors of usage with a way out. finish adds the
// commands; they are checked afterwards.
func (s *Shell) Prepare(root *cobra.Command, finish func()) {
	root.Version, root.SilenceUsage, root.SilenceErrors, root.Args = node.Version, true, true, cobra.NoArgs
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if s.Output != "text" && s.Output != "json" {
			return Usage("-o %q is unknown; use text or json", s.Output)
		}
		_, err := s.Logger()
		return err
	}
	root.SetVersionTemplate(root.Name() + " {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return Usage("%v; see `%s --help`", flagError{err}, cmd.CommandPath())
	})
	root.PersistentFlags().StringVarP(&s.Output, "output", "o", "text", "output: text, or json (one object; a line per object for streams)")
	root.PersistentFlags().StringVar(&s.LogLevel, "log", "warn", "log level on stderr: debug, info, warn, error")
	root.SetHelpCommand(helpCommand())
	finish()
	root.InitDefaultCompletionCmd()
	checkArgs(root)
}

// helpCommand is `help NOUN VERB`; a command that is not there is a usage
// error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND...]", Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = noVerb(of, rest[0])
			}
			if err != nil {
				return err
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}

// checkArgs makes wrong arguments a usage error with a way out, everywhere.
func checkArgs(c *cobra.Command) {
	check := c.Args
	c.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case cmd.HasSubCommands() && len(args) > 0 && (check == nil || check(cmd, args) != nil) &&
			(!strings.Contains(cmd.Use, " ") || meant(cmd, args[0]) != ""): // else it takes arguments itself
			return noVerb(cmd, args[0])
		case check != nil && check(cmd, args) != nil:
			return Usage("want `%s`, got %s; see `%s --help`", strings.TrimSuffix(cmd.UseLine(), " [flags]"), Count(len(args), "argument"), cmd.CommandPath())
		}
		return nil
	}
	if !c.Runnable() { // a noun that cobra made
		c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}

// alike is with how many letters both begin.
func alike(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// meant is the command of c that name is nearest to; empty where none is near.
func meant(c *cobra.Command, name string) string {
	if c.SuggestionsMinimumDistance == 0 {
		c.SuggestionsMinimumDistance = 2
	}
	near := c.SuggestionsFor(name) // in no order that helps
	if len(near) == 0 {
		return ""
	}
	return slices.MaxFunc(near, func(a, b string) int { return cmp.Compare(alike(a, name), alike(b, name)) })
}

// noVerb refuses name, which c does not have, and says what it may have meant.
func noVerb(c *cobra.Command, name string) error {
	hint := ""
	if near := meant(c, name); near != "" {
		hint = fmt.Sprintf("did you mean `%s %s`? else ", c.CommandPath(), near)
	}
	return Usage("`%s` has no command %q; %ssee `%s --help`", c.CommandPath(), name, hint, c.CommandPath())
}

// flagError is an error of flags without the words of Go's parsers.
type flagError struct{ err error }

func (e flagError) Error() string {
	s, why, parser := strings.Cut(e.err.Error(), ": strconv.")
	switch {
	case !parser:
		return strings.Replace(e.err.Error(), ": time: ", ": ", 1)
	case strings.Contains(why, "out of range"):
		return s + ": out of range"
	}
	return s + ": no such number or value"
}

// Noun groups verbs; a verb that is not there is a usage error.
func Noun(name, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(verbs...)
	return c
}

// VersionCommand says which program this is.
func (s *Shell) VersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Version of this program", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := map[string]string{"version": node.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return s.Show(v, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s (%s, %s)\n", cmd.Root().Name(), v["version"], v["go"], v["platform"])
			})
		},
	}
}

// Meaning is an exit code, as a program explains it.
type Meaning struct {
	Code    int    `json:"code"`
	Meaning string `json:"meaning"`
}

// ExitCodesCommand explains a program's exit codes; those of also are of the command
// that it names alone.
func (s *Shell) ExitCodesCommand(all []Meaning, also string, more ...Meaning) *cobra.Command {
	return &cobra.Command{
		Use: "exit-codes", Short: "What the exit codes mean", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return s.Show(slices.Concat(all, more), func(w io.Writer) {
				show := func(title string, list []Meaning) {
					fmt.Fprintf(w, "%s\n\n", title)
					for _, x := range list {
						fmt.Fprintf(w, "  %d  %s\n", x.Code, x.Meaning)
					}
				}
				show("Exit codes", all)
				if len(more) > 0 {
					fmt.Fprintln(w)
					show(also+" also", more)
				}
			})
		},
	}
}
