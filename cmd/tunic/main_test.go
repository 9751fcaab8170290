package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/scripttest"
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
		Cmds: scripttest.Commands(map[string]func(*testscript.TestScript, bool, []string){
			"equivocate": equivocateCmd, "flip": flipCmd,
			"doubleseal": doubleSealCmd, "votetwice": voteTwiceCmd, "declare": declareCmd, "verdict": verdictCmd,
			"socks": socksCmd,
		}),
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
