package scenario_test

import (
	"errors"
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
advance 60s
expect listed relay-5 no
start relay-5
expect listed relay-5 yes within 4 epochs
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
	if r.Delivered != 2 || len(r.LatencyMS) != 2 || len(r.Slashes) != 2 || r.Slashes[0].Relay != "relay-3" ||
		r.Slashes[1].Kind != "unavailable" || r.Slashes[1].TUN != "0" || r.Seed != 7 {
		t.Errorf("%+v", r)
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
