package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tunic/node"
)

// app is what every command shares: the streams and how to print.
type app struct {
	in       io.Reader
	out, err io.Writer
	args     []string // as given
	output   string   // "text" or "json"
	logLevel string
}

// run is the program without its process: arguments in, exit code out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &written{Writer: stdout}
	a := &app{in: stdin, out: out, err: stderr, args: args}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if unwritten := out.failed(); unwritten != nil { // whatever else went well: it was not shown
		err = fail(exitFailed, "unwritable", "cannot write the output", "%v", reason(unwritten))
	}
	if err == nil {
		return exitDone
	}
	p := problemOf(err)
	if a.json() {
		_ = json.NewEncoder(stderr).Encode(p)
	} else {
		fmt.Fprintf(stderr, "tunic: %s\n", oneLine(p.Error()))
	}
	return p.exit
}

// written remembers that something could not be written.
type written struct {
	io.Writer
	mu  sync.Mutex // guards err
	err error
}

func (w *written) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	return n, err
}

func (w *written) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "tunic",
		Short:         "A private onion-routing network whose directory is a ledger",
		Long:          "Tunic runs a private onion-routing network: relays stake tokens, a ledger lists them,\nclients pick their paths from that list, and who is proven to cheat loses its stake.\n\nTry `tunic demo`.",
		Version:       node.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "text" && a.output != "json" {
				return usage("-o %q is unknown; use text or json", a.output)
			}
			_, err := a.logger()
			return err
		},
	}
	root.SetVersionTemplate("tunic {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v; see `%s --help`", flagError{err}, cmd.CommandPath())
	})
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "output: text, or json (one object; a line per object for streams)")
	root.PersistentFlags().StringVar(&a.logLevel, "log", "warn", "log level on stderr: debug, info, warn, error")
	root.SetHelpCommand(helpCommand())
	a.commands(root)
	root.InitDefaultCompletionCmd()
	checkArgs(root)
	return root
}

// helpCommand is `tunic help NOUN VERB`; a command that is not there is a usage
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
			return usage("want `%s`, got %s; see `%s --help`", strings.TrimSuffix(cmd.UseLine(), " [flags]"), count(len(args), "argument"), cmd.CommandPath())
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
	return usage("`%s` has no command %q; %ssee `%s --help`", c.CommandPath(), name, hint, c.CommandPath())
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

// noun groups verbs; a verb that is not there is a usage error.
func noun(name, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(verbs...)
	return c
}

func (a *app) json() bool { return a.output == "json" }

// show prints v as JSON with -o json, else what text writes.
func (a *app) show(v any, text func(w io.Writer)) error {
	if a.json() {
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	text(a.out)
	return nil
}

// say writes one line for people; nothing with -o json.
func (a *app) say(format string, args ...any) {
	if !a.json() {
		fmt.Fprintf(a.out, format+"\n", args...)
	}
}

// terminal reports whether w is a terminal, so that bars and colours make sense.
func terminal(w io.Writer) bool {
	f, ok := bare(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// bare is a writer that does not remember.
func bare(w io.Writer) io.Writer {
	if x, ok := w.(*written); ok {
		return x.Writer
	}
	return w
}

func (a *app) colour() bool { return os.Getenv("NO_COLOR") == "" && terminal(a.out) }

func (a *app) bold(s string) string {
	if a.colour() {
		return "\x1b[1m" + s + "\x1b[0m"
	}
	return s
}

func (a *app) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, usage("--log %q is unknown; use debug, info, warn or error", a.logLevel)
	}
	return slog.New(tint.NewTextHandler(a.err, &tint.Options{Level: level, NoColor: !terminal(a.err) || os.Getenv("NO_COLOR") != "", TimeFormat: "15:04:05.000"})), nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// timeLimit bounds ctx by d; zero does not.
func timeLimit(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
