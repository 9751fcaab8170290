package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/internal/cli"
)

// app is what every command shares: the streams and how to print.
type app struct{ cli.Shell }

// run is the program without its process: arguments in, exit code out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := cli.Program{Name: "tunic", Problem: problemOf, Root: func(s cli.Shell) (*cobra.Command, *cli.Shell) {
		a := &app{s}
		return a.root(), &a.Shell
	}}
	return p.Run(ctx, args, stdin, stdout, stderr)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tunic",
		Short: "A private onion-routing network whose directory is a ledger",
		Long:  "Tunic runs a private onion-routing network: relays stake tokens, a ledger lists them,\nclients pick their paths from that list, and who is proven to cheat loses its stake.\n\nTry `tunic demo`.",
	}
	a.Prepare(root, func() { a.commands(root) })
	return root
}

// What commands share with other programs, by short names.

func noun(name, short string, verbs ...*cobra.Command) *cobra.Command {
	return cli.Noun(name, short, verbs...)
}

func (a *app) json() bool                                             { return a.JSON() }
func (a *app) show(v any, text func(w io.Writer)) error               { return a.Show(v, text) }
func (a *app) colour() bool                                           { return a.Colour() }
func (a *app) bold(s string) string                                   { return a.Bold(s) }
func (a *app) logger() (*slog.Logger, error)                          { return a.Logger() }
func (a *app) versionCommand() *cobra.Command                         { return a.VersionCommand() }
func (a *app) say(format string, args ...any)                         { a.Say(format, args...) }
func (a *app) ready(file string, v map[string]any, line string) error { return a.Ready(file, v, line) }

func terminal(w io.Writer) bool                          { return cli.Terminal(w) }
func bare(w io.Writer) io.Writer                         { return cli.Bare(w) }
func oneLine(s string) string                            { return cli.OneLine(s) }
func table(w io.Writer, rows ...[]string)                { cli.Table(w, rows...) }
func count(n int, noun string) string                    { return cli.Count(n, noun) }
func reason(err error) error                             { return cli.Reason(err) }
func advised(err error, advice string) string            { return cli.Advised(err, advice) }
func listenable(http string) error                       { return cli.Listenable(http) }
func shareProcessors() int                               { return cli.ShareProcessors() }
func readyFlag(c *cobra.Command, path *string)           { cli.ReadyFlag(c, path) }
func need(name, value, example string) error             { return cli.Need(name, value, example) }
func writeOutput(path string, b []byte) error            { return cli.WriteOutput(path, b) }
func readInput(path string, limit int64) ([]byte, error) { return cli.ReadInput(path, limit) }

// timeLimit bounds ctx by d; zero does not.
func timeLimit(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
