package machine_test

import (
	"errors"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
)

func TestDevTransactions(t *testing.T) {
	w := newWorld(t, "a")
	w.ok(w.at(0))
	before, pool := w.m.Head(), w.m.Staking().Pool()
	to := address("new")
	for name, c := range map[string]struct {
		dev  machine.Dev
		code string
	}{
		"zero":         {machine.Dev{Op: machine.DevFund, Height: 2, To: to}, machine.CodeZeroAmount},
		"nobody":       {machine.Dev{Op: machine.DevFund, Height: 2, Amount: 1}, machine.CodeZeroAddress},
		"too much":     {machine.Dev{Op: machine.DevFund, Height: 2, To: to, Amount: pool + 1}, machine.CodeInsufficientFunds},
		"other height": {machine.Dev{Op: machine.DevFund, Height: 3, To: to, Amount: 1}, machine.CodeDevMisplaced},
		"no new fork":  {machine.Dev{Op: machine.DevRevert, Height: 2, Fork: 0}, machine.CodeDevMisplaced},
		"other fork":   {machine.Dev{Op: machine.DevLoad, Height: 2, Fork: 1}, machine.CodeDevMisplaced},
		"unknown":      {machine.Dev{Op: 9, Height: 2}, machine.CodeMalformed},
	} {
		fresh := newWorld(t, "a")
		fresh.ok(fresh.at(0))
		p := fresh.m.Prepare(c.dev.Tx().Encode())
		out, err := fresh.m.Propose(machine.Input{Height: 2, Time: before.Time, Txs: []machine.Prepared{p}})
		if err != nil || len(out.Refused) != 1 || out.Refused[0].Why.Code != c.code || fresh.m.Head().State != before.State {
			t.Errorf("%s: %+v, %v", name, out.Refused, err)
		}
	}
	h := w.m.Head().Height + 1
	fund := machine.Dev{Op: machine.DevFund, Height: h, To: to, Amount: pool}
	tx := fund.Tx().Encode()
	out, err := w.m.Apply(machine.Input{Height: h, Time: w.m.Head().Time, Txs: w.m.PrepareAll([][]byte{tx, tx})})
	if err != nil {
		t.Fatal(err)
	}
	if out.Results[0].Code != "" || out.Results[1].Code != machine.CodeInsufficientFunds || w.m.Account(to).Balance != pool || w.m.Staking().Pool() != 0 {
		t.Fatalf("%+v", out.Results)
	}
	if err := w.m.Check(); err != nil {
		t.Fatal(err)
	}
	if got, err := machine.DecodeDev(fund.Tx().Payload); err != nil || got != fund {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := w.m.CheckTx(new(w.m.Prepare(tx)), 0); !errors.Is(err, chain.Refuse(machine.CodeDevOnly, "")) {
		t.Fatalf("from outside: %v", err)
	}
}

// The fork rises by a transaction that says so, the first of its block, once.
func TestForkRisesBySayingSo(t *testing.T) {
	g := testGenesis(t, "a")
	raise := func(height chain.Height, fork uint32) []byte {
		return machine.Dev{Op: machine.DevRevert, Height: height, Fork: fork}.Tx().Encode()
	}
	fund := machine.Dev{Op: machine.DevFund, Height: 1, To: address("a"), Amount: 1}.Tx().Encode()
	for name, c := range map[string]struct {
		fork uint32
		txs  [][]byte
		ok   bool
	}{
		"nothing said":  {1, nil, false},
		"second":        {1, [][]byte{fund, raise(1, 1)}, false},
		"other fork":    {2, [][]byte{raise(1, 1)}, false},
		"other height":  {1, [][]byte{raise(2, 1)}, false},
		"said":          {1, [][]byte{raise(1, 1), fund}, true},
		"skips a fork":  {7, [][]byte{raise(1, 7)}, true},
		"said twice":    {1, [][]byte{raise(1, 1), raise(1, 1)}, true}, // the second is refused
		"without cause": {0, [][]byte{raise(1, 1)}, true},              // refused
	} {
		m, err := machine.New(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		before := m.Head().State
		out, err := m.Apply(machine.Input{Height: 1, Time: g.Time, Proposer: nodeID("sealer"), Fork: c.fork, Txs: m.PrepareAll(c.txs)})
		if c.ok != (err == nil) || !c.ok && (!errors.Is(err, machine.ErrInput) || m.Head().State != before) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		switch name {
		case "said twice":
			c.ok = out.Results[1].Code == machine.CodeDevMisplaced
		case "without cause":
			c.ok = out.Results[0].Code == machine.CodeDevMisplaced && m.Fork() == 0
		case "said":
			c.ok = out.Results[0].Code == "" && out.Results[1].Code == "" && m.Fork() == 1
		default:
			continue
		}
		if !c.ok {
			t.Errorf("%s: %+v", name, out.Results)
		}
	}
}

func TestDevOutsideDev(t *testing.T) {
	g := testGenesis(t, "a")
	g.Dev, g.Clock = false, genesis.ClockReal
	m, err := machine.New(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	tx := machine.Dev{Op: machine.DevFund, Height: 1, To: address("a"), Amount: 1}.Tx().Encode()
	out, err := m.Apply(machine.Input{Height: 1, Time: g.Time, Proposer: nodeID("sealer"), Txs: m.PrepareAll([][]byte{tx})})
	if err != nil || out.Results[0].Code != machine.CodeDevOnly {
		t.Fatalf("%+v, %v", out.Results, err)
	}
}

func FuzzDecodeDev(f *testing.F) {
	f.Add(machine.Dev{Op: machine.DevFund, Height: 1, Amount: 2}.Tx().Payload)
	f.Add(machine.Dev{Op: machine.DevLoad, Height: 1, Fork: 2}.Tx().Payload)
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := machine.DecodeDev(b); err == nil && string(d.Tx().Payload) != string(b) {
			t.Errorf("%x is not canonical", b)
		}
	})
}
