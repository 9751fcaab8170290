package machine_test

import (
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/ledger/machine"
	"tunic/registry/directory"
)

// Whatever bytes come as a transaction: no panic, CheckTx and a block agree on
// what is refused without state, and a refused one leaves the state root alone.
func FuzzTransaction(f *testing.F) {
	w := newCouncil(f, "a", "b", "c")
	w.serve("a", "n", "m")
	k := w.keep("n", 1, w.at(9))
	w.ok(w.at(1)+1, w.challenge("b", k, deposit, 0))
	w.ok(w.at(2))
	for _, tx := range [][]byte{
		w.transfer("a", "b", 1, 0), w.register("x", "b", 2000*tun, 0), w.contribute("n", "b", 1, 0), w.unlock("n", "a", 0),
		w.withdraw("n", "a", 0), w.submitProof("b", w.equivocation("n").Encode(), 0), publish(w.heartbeat("n", w.next("n", 1))),
		publish(w.descriptor("n", w.next("n", 1), 3)), w.answer("n", k, 0), w.answer("n", k, 1), w.deleted("n", k, k.token),
		w.challenge("b", w.keep("m", 2, w.at(9)), deposit, 0),
		w.commit(telling{who: "b", node: "n", key: statement.KeyIdentity, epoch: 1}, 0), w.change("k1", 1, 4, 0, changes[0]), {}, {1, 0, 0, 0, 0},
	} {
		f.Add(tx)
	}
	rows, head, list := rowsOf(w.m), w.m.Head(), w.m.List()
	empty := load(f, w, rows, head, list)
	quiet := run(f, empty, nil)
	f.Fuzz(func(t *testing.T, tx []byte) {
		m := load(t, w, rows, head, list)
		p := m.Prepare(tx)
		why := m.CheckTx(&p, head.Time+5000)
		out := run(t, m, []machine.Prepared{p})
		if code := out.Results[0].Code; code != "" && out.Header.State != quiet.Header.State {
			t.Fatalf("refused with %s and changed the state", code)
		} else if p.Err != nil && (code != p.Err.Code || why == nil) {
			t.Fatalf("prepared as %s, result %q, checked %v", p.Err.Code, code, why)
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

func load(t testing.TB, w *world, rows [machine.Parts][]table.Row, head chain.Header, list *directory.List) *machine.Machine {
	t.Helper()
	m, err := machine.Load(w.g.Core, w.g.Hash(), head, rows, list, indexOf(w.headers))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func run(t testing.TB, m *machine.Machine, txs []machine.Prepared) machine.Output {
	t.Helper()
	out, err := m.Apply(machine.Input{Height: m.Head().Height + 1, Time: m.Head().Time + 5000, Txs: txs})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
