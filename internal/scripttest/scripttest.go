// Package scripttest has the commands that scripts of more than one program use, for
// tests with rogpeppe/go-internal/testscript.
package scripttest

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// Commands are those of this package and more.
func Commands(more map[string]func(*testscript.TestScript, bool, []string)) map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){
		"exit": exit, "eventually": eventually, "waitfor": waitFor, "freeport": freePort, "capture": capture, "fetch": fetch,
	}
	maps.Copy(all, more)
	return all
}

// Parses holds a command line against the commands and flags of a program.
func Parses(t testing.TB, root *cobra.Command, args []string) {
	t.Helper()
	c, rest, err := root.Find(args)
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil || !c.Runnable() || c.HasAvailableSubCommands() {
		t.Errorf("%s %s: %v", root.Name(), strings.Join(args, " "), err)
	}
}

// exit runs a program that must end with a code: exit 2 tunic nonsense. What
// it says on stderr must then be one line.
func exit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE PROGRAM ARG...")
	}
	if code := exitCode(ts, args[1:]); code != args[0] {
		ts.Fatalf("%s ended with %s, not %s", strings.Join(args[1:], " "), code, args[0])
	}
	if said := ts.ReadFile("stderr"); args[0] != "0" && strings.Count(said, "\n") != 1 {
		ts.Fatalf("not one line on stderr: %q", said)
	}
}

func exitCode(ts *testscript.TestScript, args []string) string {
	err := ts.Exec(args[0], args[1:]...)
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		return strconv.Itoa(e.ExitCode())
	}
	ts.Check(err)
	return "0"
}

// patience is how long a script waits for what it expects.
const patience = 2 * time.Minute

// eventually repeats a program until it succeeds, or ends with a code:
// eventually exit 1 tunic outbox.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	code, program := "0", args
	if args[0] == "exit" {
		code, program = args[1], args[2:]
	}
	for end := time.Now().Add(patience); (exitCode(ts, program) == code) == neg; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s did not come about in %s", strings.Join(args, " "), patience)
		}
	}
}

// waitFor waits until a file exists.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no %s after %s", args[0], patience)
		}
	}
}

// freePort puts a port that nobody listens at into each variable.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer ln.Close() // after the last, so that they differ
		_, port, err := net.SplitHostPort(ln.Addr().String())
		ts.Check(err)
		ts.Setenv(name, port)
	}
}

// capture puts what a pattern's group matches in the last output into a
// variable: capture ID '^([0-9a-f]{64})'.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("nothing matches %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// fetch asks for a URL until the answer is 200, or the status named third, and has a
// line that matches: fetch http://127.0.0.1:9401/readyz '^ready'.
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	pattern, status := regexp.MustCompile("(?m)"+args[1]), http.StatusOK
	if len(args) > 2 {
		var err error
		if status, err = strconv.Atoi(args[2]); err != nil {
			ts.Fatalf("fetch: %v", err)
		}
	}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get(args[0])
		var body []byte
		if err == nil {
			body, _ = io.ReadAll(io.LimitReader(res.Body, 1<<20))
			res.Body.Close()
			if res.StatusCode == status && pattern.Match(body) {
				return
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not say %s after %s: %v %s", args[0], args[1], patience, err, body)
		}
	}
}
