// Package cli is what the commands of this module share: streams, output as text or
// JSON, exit codes and what they say of errors, and how flags and help behave.
package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tunic/node"
)

// Shell is what every command of a program shares: the streams and how to print.
type Shell struct {
	In       io.Reader
	Out, Err io.Writer
	Args     []string // as given
	Output   string   // "text" or "json"
	LogLevel string
}

// Program is a program without its process.
type Program struct {
	Name    string
	Root    func(Shell) (*cobra.Command, *Shell) // its commands over the streams, and the shell that their flags fill
	Problem func(error) *Problem                 // the exit code and the words for any error
}

// Run takes arguments in and gives the exit code.
func (p Program) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &written{Writer: stdout}
	root, s := p.Root(Shell{In: stdin, Out: out, Err: stderr, Args: args})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if unwritten := out.failed(); unwritten != nil { // whatever else went well: it was not shown
		err = Fail(Failed, "unwritable", "cannot write the output", "%v", Reason(unwritten))
	}
	if err == nil {
		return Done
	}
	x := p.Problem(err)
	if s.JSON() {
		_ = json.NewEncoder(stderr).Encode(x)
	} else {
		fmt.Fprintf(stderr, "%s: %s\n", p.Name, OneLine(x.Error()))
	}
	return x.Exit
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

// JSON reports whether output is for programs.
func (s *Shell) JSON() bool { return s.Output == "json" }

// Show prints v as JSON with -o json, else what text writes.
func (s *Shell) Show(v any, text func(w io.Writer)) error {
	if s.JSON() {
		enc := json.NewEncoder(s.Out)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	text(s.Out)
	return nil
}

// Say writes one line for people; nothing with -o json.
func (s *Shell) Say(format string, args ...any) {
	if !s.JSON() {
		fmt.Fprintf(s.Out, format+"\n", args...)
	}
}

// Terminal reports whether w is a terminal, so that bars and colours make sense.
func Terminal(w io.Writer) bool {
	f, ok := Bare(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Bare is a writer that does not remember.
func Bare(w io.Writer) io.Writer {
	if x, ok := w.(*written); ok {
		return x.Writer
	}
	return w
}

// Colour reports whether the output may be coloured.
func (s *Shell) Colour() bool { return os.Getenv("NO_COLOR") == "" && Terminal(s.Out) }

// Bold is text in bold, where the output may be coloured.
func (s *Shell) Bold(text string) string {
	if s.Colour() {
		return "\x1b[1m" + text + "\x1b[0m"
	}
	return text
}

// Logger writes the log to stderr, from the level on that --log names.
func (s *Shell) Logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return nil, Usage("--log %q is unknown; use debug, info, warn or error", s.LogLevel)
	}
	return slog.New(tint.NewTextHandler(s.Err, &tint.Options{Level: level, NoColor: !Terminal(s.Err) || os.Getenv("NO_COLOR") != "", TimeFormat: "15:04:05.000"})), nil
}

// OneLine is text without line breaks.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Ready says that a daemon is up: one line, the file where one is named, and to
// systemd where it waits for that.
func (s *Shell) Ready(file string, v map[string]any, line string) error {
	defer node.Notify("READY=1\nSTATUS=" + OneLine(line))
	err := s.Show(v, func(w io.Writer) { fmt.Fprintln(w, line) })
	if file == "" || err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return WriteOutput(file, append(b, '\n'))
}
