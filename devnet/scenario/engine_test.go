package scenario_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet/scenario"
	"tunic/internal/testenv"
)

// `make scenarios-validators` runs all of them.
var onValidators = flag.Bool("on-validators", false, "run every scenario that fits on four validators, not the shortest alone")

// inCI is how many run where nobody asks for more: those that take least.
const inCI = 4

// The scenarios that need no control of a dev network hold on four validators, which
// are processes, in real time. Which others there are, and why, is in the log.
func TestScenariosOnValidators(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	program := testenv.Program(t, "tunic-validator")
	var fit []*scenario.Script
	for _, f := range scenarioFiles(t) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(filepath.Base(f), string(b))
		if err != nil {
			t.Fatal(err)
		}
		if left := s.LeftOut(); len(left) > 0 {
			t.Logf("left out: %s, %s", s.Name, left[0])
			continue
		}
		fit = append(fit, s)
	}
	if len(fit) < 25 {
		t.Fatalf("only %d scenarios fit", len(fit))
	}
	slices.SortStableFunc(fit, func(a, b *scenario.Script) int { return a.Epochs() - b.Epochs() })
	if !*onValidators {
		fit = fit[:inCI]
	}
	for _, s := range fit {
		t.Run(strings.TrimSuffix(s.Name, ".txt"), func(t *testing.T) {
			quick, err := s.OnValidators(4, program)
			if err != nil {
				t.Fatal(err)
			}
			r, err := quick.Run(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !r.OK {
				t.Error(r.Failure)
			}
			t.Logf("%d steps, height %d, epoch %d, %v", r.Steps, r.Height, r.Epoch, time.Duration(r.ElapsedMS)*time.Millisecond)
		})
	}
}

// What validators cannot do is known by what the step is, and said step by step.
func TestLeftOut(t *testing.T) {
	const head = "network relays=6 seed=7\n"
	for _, c := range []struct {
		text string
		line int
		why  string
	}{
		{head + "snapshot a\nrevert a", 2, "a control of dev networks"},
		{head + "seal\ndump a", 3, "a control of dev networks"},
		{head + "fund account-0 5", 2, "a control of dev networks"},
		{head + "fault sealer double-seal", 2, "there is no one sealer"},
		{head + "report account-1 sealer double-seal", 2, "there is no one sealer"},
		{head + "expect halted relay-2 no", 2, "there is no one sealer"},
		{head + "expect epoch 3", 2, "epochs begin whether or not anybody waits"},
		{"network seed=7 draws=seed", 1, "the seed fixes draws on a clock that is driven alone"},
		{head + "advance 30d", 1, "it takes up to 61 epochs"},
		{head + "advance 30 epochs\nexpect listed relay-1 yes for 31 epochs", 1, "it takes up to 61 epochs"},
		{head + "on validators snapshot a", 2, "a control of dev networks"},
		{head + "restart sealer", 0, ""},
		{head + "on sealer snapshot a\non sealer expect epoch 3\non sealer advance 30d", 0, ""},
		{head + "advance 30 epochs\nexpect listed relay-1 yes for 30 epochs", 0, ""},
	} {
		if strings.Contains(c.text, "restart") {
			c.text = strings.Replace(c.text, "seed=7", "seed=7 disk=yes", 1)
		}
		s, err := scenario.Parse("test", c.text)
		if err != nil {
			t.Fatal(err)
		}
		left := s.LeftOut()
		if c.why == "" {
			if len(left) > 0 {
				t.Errorf("%q is left out: %s", c.text, left[0])
			}
			continue
		}
		if len(left) == 0 || left[0].Line != c.line || !strings.HasPrefix(left[0].Why, c.why) {
			t.Errorf("%q: %v", c.text, left)
		}
		if _, err := s.OnValidators(4, "nothing"); err == nil {
			t.Errorf("%q fits validators", c.text)
		}
	}
}

// On validators an epoch takes four seconds, and all other times are shortened as much,
// but for those that are rates.
func TestPace(t *testing.T) {
	s, err := scenario.Parse("test", "network relays=5 clients=0 seed=7 skew=20s param epoch_length_ms=20s param credit_per_day_ms=2h\nadvance 40s\n")
	if err != nil {
		t.Fatal(err)
	}
	quick, err := s.OnValidators(4, "nothing")
	if err != nil {
		t.Fatal(err)
	}
	dev, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	p := quick.Spec.Params
	for _, c := range []struct {
		name     string
		is, want chain.Duration
	}{
		{"epoch", p.EpochLength, 4 * genesis.Second}, {"heartbeat", p.HeartbeatEvery, dev.HeartbeatEvery / 5}, {"unlock", p.UnlockDelay, dev.UnlockDelay / 5},
		{"credit a day", p.CreditPerDay, 2 * genesis.Hour}, {"skew", chain.Duration(quick.Spec.Skew / time.Millisecond), 4 * genesis.Second},
	} {
		if c.is != c.want {
			t.Errorf("%s: %d ms, not %d", c.name, c.is, c.want)
		}
	}
	if s.Spec.Params.EpochLength != 20*genesis.Second || s.Epochs() != 2 || quick.Epochs() != 2 || quick.Spec.Engine != genesis.EngineComet || quick.Spec.Validators != 4 {
		t.Errorf("%+v, %d and %d epochs", quick.Spec, s.Epochs(), quick.Epochs())
	}
}

// A step for one kind of network is not taken on another, and a mistake in it is found
// all the same.
func TestOn(t *testing.T) {
	r := run(t, "network relays=5 clients=0 seed=3\non validators expect listed relay-1 no\non validators=4 expect listed relay-1 no\non sealer seal\non sealer expect listed relay-1 no\n")
	if f := r.Failure; r.OK || f == nil || f.Line != 5 || r.Steps != 3 {
		t.Fatalf("%+v, %+v", r, f)
	}
	for text, want := range map[string]string{
		"on sealers seal": `kind of network "sealers" is unknown; did you mean "sealer"?`, "on sealer advnace 1s": `step "advnace" is unknown; did you mean "advance"?`,
		"on validators=0 seal": `"0" is not a number from 1 to`, "on": "kind of network is missing",
	} {
		if _, err := scenario.Parse("s", "network seed=1\n"+text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
