package main

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/node"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tunic": main})
}

// TestScript runs the scripts in testdata/script against the program itself.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TUNIC_HOME", env.WorkDir+"/home")
			env.Setenv("TUNIC_PASSPHRASE", "open sesame")
			env.Setenv("NO_COLOR", "1")
			env.Defer(func() { endDetached(env.WorkDir) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit": exitCmd, "eventually": eventuallyCmd, "waitfor": waitForCmd, "freeport": freePortCmd,
			"capture": captureCmd, "fetch": fetchCmd, "equivocate": equivocateCmd, "flip": flipCmd,
			"doubleseal": doubleSealCmd, "votetwice": voteTwiceCmd, "declare": declareCmd, "verdict": verdictCmd,
			"socks": socksCmd,
		},
	})
}

// endDetached ends the devnets that a script which failed has left below dir.
func endDetached(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != runningFile {
			return nil
		}
		at := filepath.Dir(path)
		if r, err := readRunning(at); err == nil && r.alive(at) {
			_ = syscall.Kill(r.PID, syscall.SIGTERM)
		}
		return nil
	})
}

// exitCmd runs a program that must end with a code: exit 2 tunic nonsense. What
// it says on stderr must then be one line.
func exitCmd(ts *testscript.TestScript, neg bool, args []string) {
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

const patience = 20 * time.Second

// eventuallyCmd repeats a program until it succeeds, or ends with a code:
// eventually exit 1 tunic outbox.
func eventuallyCmd(ts *testscript.TestScript, neg bool, args []string) {
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

// waitForCmd waits until a file exists.
func waitForCmd(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no %s after %s", args[0], patience)
		}
	}
}

// freePortCmd puts a port that nobody listens at into each variable.
func freePortCmd(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer ln.Close() // after the last, so that they differ
		_, port, err := net.SplitHostPort(ln.Addr().String())
		ts.Check(err)
		ts.Setenv(name, port)
	}
}

// captureCmd puts what a pattern's group matches in the last output into a
// variable: capture ID '^([0-9a-f]{64})'.
func captureCmd(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("nothing matches %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// fetchCmd asks for a URL until the answer is 200 and has a line that matches:
// fetch http://127.0.0.1:9401/readyz '^ready'.
func fetchCmd(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[1])
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get(args[0])
		var body []byte
		if err == nil {
			body, _ = io.ReadAll(io.LimitReader(res.Body, 1<<20))
			res.Body.Close()
			if res.StatusCode == http.StatusOK && pattern.Match(body) {
				return
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not say %s after %s: %v %s", args[0], args[1], patience, err, body)
		}
	}
}

// equivocateCmd signs two descriptors of one sequence with a relay's key:
// equivocate KEYFILE NETWORK EPOCH OUT OUT.
func equivocateCmd(ts *testscript.TestScript, _ bool, args []string) {
	n, err := node.ReadNetwork(ts.MkAbs(args[1]))
	ts.Check(err)
	epoch, err := strconv.ParseUint(args[2], 10, 44)
	ts.Check(err)
	for i, out := range args[3:] {
		d := statement.Descriptor{Version: node.Version, Endpoints: []string{"127.0.0.1:" + strconv.Itoa(9000+i)},
			Keys: []statement.OnionKey{{First: chain.Epoch(epoch), Last: chain.Epoch(epoch + 8), Key: [32]byte{9}}}}
		s := statement.Sign(statement.Domain{Genesis: n.Genesis}, relayKey(ts, args[0]), statement.LabelDescriptor,
			statement.NewSequence(chain.Epoch(epoch), 1<<20-1), d.Encode())
		ts.Check(os.WriteFile(ts.MkAbs(out), s.Encode(), 0o600))
	}
}

// flipCmd changes one byte of a file, counted from the end: flip FILE 1.
func flipCmd(ts *testscript.TestScript, _ bool, args []string) {
	b := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	b[len(b)-at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

func TestPercent(t *testing.T) {
	for in, want := range map[string]chain.BasisPoints{"0": 0, "10": 1000, "2.5": 250, "0.01": 1, "100": 10_000, "7%": 700} {
		if got, err := parsePercent(in); err != nil || got != want {
			t.Errorf("parsePercent(%q) = %d, %v, want %d", in, got, err, want)
		}
		if back, err := parsePercent(strings.TrimSuffix(percent(want), " %")); err != nil || back != want {
			t.Errorf("percent(%d) = %q reads as %d, %v", want, percent(want), back, err)
		}
	}
	for _, in := range []string{"", "-1", "100.01", "1.234", "1.", ".5", "1e1", "x", "+1"} {
		if got, err := parsePercent(in); err == nil {
			t.Errorf("parsePercent(%q) = %d", in, got)
		}
	}
}
