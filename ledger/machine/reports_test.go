package machine_test

import (
	"errors"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
)

// Reports cost no fee: a node that is out for good makes none, and one offender
// can be punished only as often as it has something to lose.
func TestReportsAreBounded(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.serve("a", "n", "m", "r")
	report := func(by string, proof []byte) []byte {
		return publish(statement.Sign(w.domain(), nodeKey(by), statement.LabelProof, w.next(by, 1), proof))
	}
	before := w.m.Account(address("a")).Balance
	w.ok(w.at(1)+1, report("m", w.equivocation("n").Encode()))
	if got := w.m.Account(address("a")).Balance; got <= before {
		t.Fatal("the reporter's part did not go to its operator")
	}
	if out := w.block(w.at(1)+2, report("n", w.equivocation("m").Encode())); out.Results[0].Code != registry.CodeTombstoned {
		t.Fatalf("a report by a tombstoned node: %q", out.Results[0].Code)
	}
	codes := map[string]int{}
	for range 25 {
		out := w.block(w.at(1)+3, report("r", w.equivocation("n").Encode()))
		codes[out.Results[0].Code]++
	}
	// 5 % each of the stake of the epoch, which the first one began.
	if codes[""] != 19 || codes["unknown_node"] != 6 || w.m.Staking().Total(nodeID("n")) != 0 {
		t.Fatalf("%v, %s left", codes, w.m.Staking().Total(nodeID("n")))
	}
}

// The same bytes twice in a block: the second time their nonce is used.
func TestTransactionTwice(t *testing.T) {
	w, twin := newWorld(t, "a", "b"), newWorld(t, "a", "b")
	tx := w.transfer("a", "b", 5, 0)
	out := w.block(w.at(0), tx, tx)
	if out.Results[0].Code != "" || out.Results[1].Code != machine.CodeNonceUsed {
		t.Fatalf("%+v", out.Results)
	}
	if want := twin.ok(w.at(0), tx).Header.State; out.Header.State != want {
		t.Fatal("the second one changed the state")
	}
}

// A fork is what a revert of a dev network begins; others have none.
func TestForksAreOfDevNetworks(t *testing.T) {
	for _, dev := range []bool{true, false} {
		g := testGenesis(t, "a")
		if g.Dev = dev; !dev {
			g.Clock = genesis.ClockReal
		}
		m, err := machine.New(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		raise := machine.Dev{Op: machine.DevRevert, Height: 1, Fork: 1}
		_, err = m.Apply(machine.Input{Height: 1, Time: g.Time, Proposer: nodeID("sealer"), Fork: 1,
			Txs: m.PrepareAll([][]byte{raise.Tx().Encode()})})
		if dev != (err == nil) || !dev && !errors.Is(err, machine.ErrInput) {
			t.Errorf("dev %v: %v", dev, err)
		}
	}
}

// A block may come after many boundaries: one list, of the last epoch; who said
// nothing meanwhile is not on it, and nobody earns.
func TestBlockAcrossEpochs(t *testing.T) {
	w := newWorld(t, "a")
	w.serve("a", "n")
	out := w.ok(w.at(9) + 1)
	if out.List == nil || out.List.Epoch != 9 || len(out.List.Entries) != 0 || out.Header.DirEpoch != 9 {
		t.Fatalf("%+v", out.List)
	}
	pool := w.m.Staking().Pool()
	if w.ok(w.at(9) + 2); w.m.Staking().Pool() != pool || w.m.Staking().Earning() != 0 {
		t.Fatal("rewards where nobody is listed")
	}
	first := newWorld(t, "a")
	if out := first.ok(first.at(5)); out.Header.Height != 1 || out.List == nil || out.List.Epoch != chain.Epoch(5) {
		t.Fatalf("a first block in epoch 5: %+v", out.Header)
	}
}
