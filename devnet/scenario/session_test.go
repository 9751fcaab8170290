package scenario_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tunic/api"
	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/devnet/scenario"
)

func attached(t *testing.T) (*devnet.Network, *scenario.Session) {
	t.Helper()
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	net, err := devnet.Start(t.Context(), devnet.Spec{Relays: 6, Clients: 2, Seed: 3, AtOnce: true, Params: &p, Dir: filepath.Join(dir, "net")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Close() })
	s, err := scenario.Attach(net, filepath.Join(dir, "steps"))
	if err != nil {
		t.Fatal(err)
	}
	return net, s
}

// A session keeps what a script keeps: the last transaction, the last proof,
// names, and who was reported.
func TestSession(t *testing.T) {
	t.Parallel()
	net, s := attached(t)
	if _, err := net.Ledger.Snapshot("theirs"); err != nil {
		t.Fatal(err)
	}
	height := net.Ledger.Head().Header.Height
	for _, c := range []struct{ step, refused, want, fails string }{
		{step: "transfer account-0 account-1 5  # a comment"},
		{step: "expect balance account-1 10005"},
		{step: "transfer account-0 account-1 1000000", refused: "insufficient_funds"},
		{step: "heal"}, // submits nothing, so nothing of it was refused
		{step: "expect refused insufficient_funds"},
		{step: "expect accepted", want: "the transaction to be applied"},
		{step: `send alice bob "hello"`},
		{step: "expect delivered"},
		{step: "fault relay-2 double-descriptor"},
		{step: "seal"},
		{step: "expect slashed relay-2 kind=double-descriptor"},
		{step: "fault relay-3 double-vote relay-4"},
		{step: "seal"},
		{step: "expect slashed relay-3 kind=double-vote"},
		{step: "report account-2 relay-3 double-vote", refused: "already_punished"},
		{step: "snapshot theirs", fails: `column 10: snapshot "theirs" is taken already`},
		{step: "revert theirs"},
		{step: "expect slashed relay-2 no"},
		{step: "stop relay-1"},
		{step: "stop relay-1", fails: "does not run"},
		{step: "restore relay-1 one", fails: `no backup "one"`},
		{step: "backup relay-1 one"},
		{step: "restore relay-1 one"},
		{step: "start relay-1"},
		{step: "dump one"},
		{step: "dump one", fails: "taken already"},
		{step: "load one"},
		{step: "expect epoch 2 within 3 epochs"},
		{step: "expect epoch 9 within 1 epochs", want: "epoch 9 within 1 epochs"},
	} {
		r, err := s.Step(t.Context(), c.step)
		switch {
		case c.fails != "":
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Fatalf("%s: %v, not %q", c.step, err, c.fails)
			}
		case err != nil:
			t.Fatalf("%s: %v", c.step, err)
		case r.Want != c.want || r.Refused != c.refused || r.Head.Hash() != net.Ledger.Head().Header.Hash():
			t.Fatalf("%s: %+v", c.step, r)
		}
	}
	if net.Ledger.Head().Header.Height <= height {
		t.Fatal("no block came of it")
	}
}

// What is no step changes nothing, and says where it went wrong.
func TestSessionMistakes(t *testing.T) {
	t.Parallel()
	net, s := attached(t)
	before := net.Ledger.Head().Header
	for step, want := range map[string]string{
		"":                        "nothing to do",
		"# a comment":             "nothing to do",
		"seal\nseal":              "more than one line",
		"network relays=3":        "column 1: the network runs already",
		"fualt relay-1 silent":    `column 1: step "fualt" is unknown; did you mean "fault"?`,
		"fault relay-1 silnt":     `column 15: fault "silnt" is unknown; did you mean "silent"?`,
		"  fault relay-7 silent":  `column 9: "relay-7" is no relay of this network: relay-1 to relay-6`,
		"fault relay-1 silent no": `column 22: "no" is one word too many; write: fault RELAY`,
		"expect stat relay-1":     `did you mean "state"?`,
		"advance":                 "is missing",
		"advance soon":            "is not a duration",
		`send alice carol "x"`:    `"carol" is no client`,
		`send alice bob "x`:       "no closing quote",
		"revert nowhere":          `no snapshot "nowhere"`,
		"load nowhere":            `no dump "nowhere"`,
		"partition relay-1,x":     `column 19: "x" is no relay`,
	} {
		if _, err := s.Step(t.Context(), step); !errors.Is(err, scenario.ErrScript) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", step, err, want)
		}
		if _, err := s.Serve(t.Context(), step); !errors.Is(err, api.ErrStep) || strings.Contains(err.Error(), "scenario:") {
			t.Errorf("%q: %v", step, err)
		}
	}
	if net.Ledger.Head().Header.Hash() != before.Hash() {
		t.Error("a mistake made a block")
	}
}

// One step is taken at a time, whoever asks.
func TestSessionIsShared(t *testing.T) {
	t.Parallel()
	_, s := attached(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if r, err := s.Step(t.Context(), "transfer account-0 account-1 1"); err != nil || r.Refused != "" {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
	if r, err := s.Step(t.Context(), "expect balance account-1 10020"); err != nil || r.Want != "" {
		t.Errorf("%+v, %v", r, err)
	}
}
