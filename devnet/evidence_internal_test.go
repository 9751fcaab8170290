package devnet

import (
	"context"
	"errors"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// Nothing that was signed before a revert is evidence after it: neither two
// descriptors under one sequence that the ledger would have punished, shown with
// a header that is of its history still, nor one of them beside a descriptor that
// the new fork has under the same sequence.
func TestNothingBeforeARevertIsEvidence(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	net, err := Start(ctx, Spec{Relays: 5, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	if _, err := net.Ledger.Snapshot("base"); err != nil {
		t.Fatal(err)
	}
	base, reporter := net.Ledger.Head(), net.Relays[1].keys.Identity
	seq := statement.NewSequence(base.Header.DirEpoch, 777)
	sign := func(n byte) statement.Statement {
		d := statement.Descriptor{Version: "x", Endpoints: []string{"127.0.0.1:1"},
			Keys: []statement.OnionKey{{First: seq.Epoch(), Last: seq.Epoch() + 2, Key: [32]byte{n}}}}
		return statement.Sign(net.Ledger.Statements(), net.Relays[3].keys.Identity, statement.LabelDescriptor, seq, d.Encode())
	}
	first := sign(1)
	list, _, err := net.Ledger.List(base.Header.DirEpoch)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := slashing.Assemble(slashing.DoubleDescriptor, first.Encode(), sign(2).Encode(), base, list)
	if err != nil {
		t.Fatal(err)
	}
	judged := func(p slashing.Proof) (err error) {
		net.Ledger.View(func(m *machine.Machine) { err = m.CheckProof(p) })
		return err
	}
	reported := func(p slashing.Proof) error {
		e := net.Ledger.Head().Header.DirEpoch
		st := statement.Sign(net.Ledger.Statements(), reporter, statement.LabelProof, statement.NewSequence(e+1, 900), p.Encode())
		_, err := net.Ledger.Publish(ctx, st.Encode())
		return err
	}
	if err := net.AdvanceEpochs(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := judged(proof); err != nil {
		t.Fatalf("before the revert: %v", err)
	}
	if err := net.Revert(ctx, "base"); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]slashing.Proof{"both from before": proof, "one from before": mixed(proof, first, sign(2))} {
		for what, err := range map[string]error{"judged": judged(p), "reported": reported(p)} {
			if !errors.Is(err, chain.Refuse(slashing.ErrWrongFork.Code, "")) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	if err := net.AdvanceEpochs(ctx, 3); err != nil {
		t.Fatal(err)
	}
	net.Ledger.View(func(m *machine.Machine) {
		if n := len(m.Slashing().All()); n != 0 {
			t.Errorf("%d offences", n)
		}
	})
	if h := net.Ledger.Head().Header; h.DirCount != 5 {
		t.Errorf("%d relays are listed", h.DirCount)
	}
}

// mixed is p with another second statement.
func mixed(p slashing.Proof, a, b statement.Statement) slashing.Proof {
	p.First, p.Second = a.Encode(), b.Encode()
	if string(p.First) > string(p.Second) {
		p.First, p.Second = p.Second, p.First
	}
	return p
}
