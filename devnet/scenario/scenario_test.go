package scenario_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/devnet/scenario"
)

func run(t *testing.T, text string) scenario.Report {
	t.Helper()
	s, err := scenario.Parse("test", text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const whole = `# a comment
network relays=6 clients=2 seed=7
send alice bob "hello # not a comment"
expect delivered within 20s
expect listed relay-3 yes
fault relay-3 double-descriptor
seal
expect slashed relay-3 kind=double-descriptor fraction=5%
expect listed relay-3 no
expect state relay-3 tombstoned
advance 1 epoch
expect epoch 2
expect swarms 2
expect listed relay-3 no
expect slashed relay-2 no
transfer account-0 account-1 5
expect accepted
expect balance account-1 10005
expect balance account-0 less
contribute account-0 relay-1 1
expect refused fully_staked
transfer account-0 account-1 1000000
expect refused insufficient_funds
stop relay-5
advance 30s
expect listed relay-5 no
start relay-5
expect listed relay-5 yes within 5 epochs
unlock operator-2 relay-2
expect accepted
expect state relay-2 unlocking
withdraw operator-2 relay-2
seal
advance 15m
withdraw operator-2 relay-2
expect balance operator-2 more
expect state relay-2 left
send bob alice "later"
expect delivered
expect invariants
`

func TestWholeLanguage(t *testing.T) {
	r := run(t, whole)
	if !r.OK {
		t.Fatal(r.Failure)
	}
	if r.Delivered != 2 || len(r.LatencyMS) != 2 || len(r.Slashes) != 1 || r.Slashes[0].Relay != "relay-3" || r.Seed != 7 {
		t.Errorf("%+v", r)
	}
}

// What the first line says stands in the prefix of a failure, and what comes
// with time says how long it waited.
func TestFailuresInTime(t *testing.T) {
	const text = "network relays=5 clients=0 seed=3 operators=5 param min_fee=0\nexpect listed relay-2 no within 2 epochs\n"
	r := run(t, text)
	if f := r.Failure; r.OK || f == nil || f.Want != "listed no within 2 epochs" || f.Is != "listed yes" || r.Epoch != 3 ||
		strings.Join(f.Prefix, "\n")+"\n" != text {
		t.Fatalf("%+v, %+v", r, f)
	}
	r = run(t, "network relays=5 clients=0 seed=3\nstop relay-2\nexpect listed relay-2 yes for 9 epochs\n")
	if f := r.Failure; r.OK || f == nil || f.Want != "listed yes for 9 epochs" || !strings.HasPrefix(f.Is, "listed no after ") {
		t.Fatalf("%+v, %+v", r, f)
	}
}

// Five equal relays of their own operators have 5 x 4 x 3 equal paths.
func TestReportCountsPaths(t *testing.T) {
	r := run(t, "network relays=5 clients=0 seed=3\n")
	p := r.Paths
	if !r.OK || p == nil || math.Abs(p.EntropyBits-math.Log2(60)) > 1e-9 || math.Abs(p.Touched-0.6) > 1e-9 || p.Operator != "operator-1" {
		t.Fatalf("%+v, %+v", r, p)
	}
	// Two of seven nodes have both ends of 2 of 42 pairs.
	if want := (scenario.Capture{Percent: 1, Nodes: 2, TUN: "4000"}); len(p.Capture) != 3 || p.Capture[0] != want {
		t.Errorf("%+v", p.Capture)
	}
	r = run(t, "network relays=8 clients=0 seed=3 operators=4\n")
	if p := r.Paths; p == nil || math.Abs(p.EntropyBits-math.Log2(8*6*4)) > 1e-9 || math.Abs(p.Touched-0.75) > 1e-9 {
		t.Errorf("four operators: %+v", p)
	}
}

// Who sees no second head does not halt, and what fails says so.
func TestHaltedFails(t *testing.T) {
	r := run(t, "network relays=2 clients=0 seed=3\nexpect halted relay-2 no\nexpect halted relay-2\n")
	if f := r.Failure; r.OK || f == nil || f.Line != 3 || f.Want != "halted by two heads" || f.Is != "not halted" {
		t.Fatalf("%+v, %+v", r, f)
	}
	r = run(t, "network relays=1 clients=0 seed=3\nfault sealer double-seal\n")
	if f := r.Failure; f == nil || !strings.Contains(f.Error, "needs two running relays") {
		t.Fatalf("%+v", f)
	}
}

func TestFailureNamesTheShortestBeginning(t *testing.T) {
	r := run(t, "network relays=5 seed=3\nseal\nexpect listed relay-2 no\nexpect invariants\n")
	f := r.Failure
	if r.OK || f == nil || f.Line != 3 || f.Want != "listed no" || f.Is != "listed yes" || r.Steps != 1 ||
		strings.Join(f.Prefix, "|") != "network relays=5 clients=2 seed=3|seal|expect listed relay-2 no" {
		t.Fatalf("%+v, %+v", r, f)
	}
	again := run(t, strings.Join(f.Prefix, "\n"))
	if again.OK || again.Failure.Is != f.Is {
		t.Errorf("the prefix does not fail the same way: %+v", again.Failure)
	}
}

func TestMistakesNamePlaceAndWayOut(t *testing.T) {
	const head = "network relays=5 clients=2 seed=7\n"
	for _, c := range []struct{ text, want string }{
		{"", "empty; begin with"},
		{"send alice bob \"x\"", "s:1:1: a scenario begins with"},
		{"network relay=5", `s:1:9: network knows no "relay=5"; did you mean "relays"?`},
		{"network relays=0", `s:1:16: "0" is not a number from 1 to`},
		{head + "exepct invariants", `s:2:1: step "exepct" is unknown; did you mean "expect"?`},
		{head + "expect invariant", `s:2:8: expectation "invariant" is unknown; did you mean "invariants"?`},
		{head + "  fault relay-9 double-descriptor", `s:2:9: "relay-9" is no relay of this network: relay-1 to relay-5`},
		{head + "fault relay-1 double-descripter", `did you mean "double-descriptor"?`},
		{head + "fault sealer double-sale", `did you mean "double-seal"?`},
		{head + "fault sealer", "s:2:13: fault is missing: double-seal"},
		{head + "expect halted relay-9", `"relay-9" is no relay of this network`},
		{head + "expect halted relay-2 yes", `s:2:23: word "yes" is unknown`},
		{head + "send alice bod \"x\"", `s:2:12: "bod" is no client of this network; did you mean "bob"?`},
		{head + "send alice bob hello", "s:2:16: a client sends a text in quotes to another"},
		{head + "send alice bob \"hello", "s:2:16: the text has no closing quote"},
		{head + "advance", "s:2:8: a duration or a number of epochs is missing; write: advance DURATION | advance N epochs"},
		{head + "advance soon", `s:2:9: "soon" is not a duration`},
		{head + "advance 3 blocks", `s:2:11: unit "blocks" is unknown`},
		{head + "transfer account-0 account-10 5", `s:2:20: "account-10" is no account: account-0 to account-9`},
		{head + "transfer account-0 account-1 5.", `s:2:30: "5." is not an amount`},
		{head + "expect slashed relay-1 kind=theft", `s:2:29: "theft" is no kind of offence`},
		{head + "expect slashed relay-1 fraction=5", `s:2:33: "5" is not a share`},
		{head + "revert base", `s:2:8: no snapshot "base" is taken before`},
		{head + "snapshot a\nsnapshot a", `s:3:10: snapshot "a" is taken already`},
		{head + "snapshot", "s:2:9: a name is missing"},
		{head + "fund account-0", "s:2:15: an amount of TUN is missing"},
		{head + "expect listed relay-1 yes please", `s:2:27: "please" is one word too many`},
		{head + "expect listed relay-1", "s:2:22: answer is missing: yes, no"},
		{"network profile=devv", `s:1:17: profile "devv" is unknown; did you mean "dev"?`},
		{"network operators=9", "s:1:1: 9 operators for 5 relays"},
		{"network contributors=12", `s:1:22: "12" is not a number from 1 to 11`},
		{"network disk=maybe", "s:1:14: disk is yes or no"},
		{"network param", "s:1:14: a parameter, such as credit_start_ms=20s, is missing"},
		{"network param credit_start", `s:1:15: "credit_start" is not NAME=VALUE`},
		{"network param credit_strat_ms=1s", `s:1:15: "credit_strat_ms" is no parameter of genesis; did you mean "credit_start_ms"?`},
		{"network param credit_start_ms=soon", `s:1:31: "soon" is not a duration`},
		{"network param reporter_share_bps=6", `s:1:34: "6" is not a share`},
		{"network param cover=1", `s:1:21: "1" is neither yes nor no`},
		{"network param score_window=3", "s:1:1: genesis: parameters contradict each other: score_window must be 4 to 64"},
		{head + "fault relay-1 drop", "s:2:19: a share, such as 30%, is missing"},
		{head + "fault relay-1 drop 30", `s:2:20: "30" is not a share`},
		{head + "fault relay-1 lie relay-2 loos", `s:2:27: reason "loos" is unknown; did you mean "loss"?`},
		{head + "fault relay-1 shield relay-7", `s:2:22: "relay-7" is no relay of this network`},
		{head + "fault relay-1 forge-probes tags", `s:2:28: part "tags" is unknown: reveal, root`},
		{head + "link relay-1 relay-2 los 2%", `did you mean "loss"?`},
		{head + "partition relay-1,relay-9 | rest", `s:2:19: "relay-9" is no relay`},
		{head + "partition relay-1 relay-2", "s:2:19: between sides stands |"},
		{head + "backup relay-1 x", "s:2:1: this needs a network on disk: write disk=yes"},
		{"network disk=yes\nrestore relay-1 x", `s:2:17: no backup "x" is taken before`},
		{head + "load x", `s:2:6: no dump "x" is taken before`},
		{head + "change versions=1 for council", `s:2:19: "for" is not NAME=VALUE`},
		{head + "change by council", "a change says what changes"},
		{head + "report account-1 relay-1 double-vot", `did you mean "double-vote"?`},
		{head + "report account-1 relay-1 double-seal", "s:2:26: double-seal is not what is proven of that one"},
		{head + "prove relay-1 unavailable", "nobody makes a proof of unavailable of what is public"},
		{head + "tamper lst 1", `did you mean "last"?`},
		{head + "expect credit relay-1 more", "s:2:27: a duration, perhaps after more or less, is missing"},
		{head + "expect performance relay-1 over 930", `"over" is not a number from 0 to 1001`},
		{head + "expect state relay-1 active within 0 epochs", `s:2:36: "0" is not a number from 1 to`},
		{head + "expect slashed relay-1 basis=votes", `s:2:30: basis "votes" is unknown; did you mean "vote"?`},
	} {
		_, err := scenario.Parse("s", c.text)
		if !errors.Is(err, scenario.ErrScript) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func scenarioFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../scenarios/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	return files
}

// The scenarios that come with the program hold, and each begins by saying what
// rule it tests.
func TestScenarios(t *testing.T) {
	for _, f := range scenarioFiles(t) {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(b), "# RULE: ") {
				t.Error("the first comment does not say which rule is tested")
			}
			if r := run(t, string(b)); !r.OK {
				t.Error(r.Failure)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := scenario.Parse("fuzz", text); err != nil && !errors.Is(err, scenario.ErrScript) {
			t.Errorf("%v", err)
		}
	})
}
