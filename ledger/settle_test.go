package ledger_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// Advance seals at the very instant at which an offence's correlation is due.
func TestAdvanceSettles(t *testing.T) {
	ctx := ctxFor(t)
	cfg := config("", ledger.ModeAuto)
	rich(&cfg)
	l := open(t, cfg)
	if s, err := l.Await(ctx, submit(t, l, register(cfg.Genesis, "n", "a", 0))); err != nil || s.Code != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, b := range [][]byte{descriptor(l, "n", statement.NewSequence(1, 1)), heartbeat(l, "n", statement.NewSequence(1, 1))} {
		if _, err := l.Publish(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.AdvanceTo(ctx, cfg.Genesis.EpochStart(1)+1234); err != nil {
		t.Fatal(err)
	}
	list, header, err := l.List(1)
	if err != nil {
		t.Fatal(err)
	}
	vote := func(score chain.Permille) []byte {
		v := statement.Vote{Subject: chain.NodeID{1}, Epoch: 1, Score: score}
		return statement.Sign(l.Statements(), nodeKey("n"), statement.LabelVote, statement.NewSequence(1, 0), v.Encode()).Encode()
	}
	p, err := slashing.Assemble(slashing.DoubleVote, vote(1), vote(2), header, list)
	if err != nil {
		t.Fatal(err)
	}
	tx := slashing.SubmitProofType.Unsigned(slashing.SubmitProof{Head: chain.Head{Fee: cfg.Genesis.Params.MinFee, ValidUntil: 1 << 40}, Proof: p.Encode()})
	d, err := chain.NewDomain(cfg.Genesis.ChainID, cfg.Genesis.Hash()).Digest(slashing.SubmitProofType.Schema(), tx.Payload)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := crypto.Sign(d[:], accountKey("b"))
	if err != nil {
		t.Fatal(err)
	}
	tx.Sig = [65]byte(sig)
	if s, err := l.Await(ctx, submit(t, l, tx.Encode())); err != nil || s.Code != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	record := func() (r slashing.Record) {
		l.View(func(m *machine.Machine) { r, _ = m.Slashing().Record(p.ID()) })
		return r
	}
	due := record().Correlation.Due
	if due%chain.Time(cfg.Genesis.Params.HeartbeatEvery) == 0 {
		t.Fatal("it is due when something else is")
	}
	if err := l.AdvanceTo(ctx, due+2000); err != nil {
		t.Fatal(err)
	}
	if x := record().Correlation.Settled; x == nil || x.Time != due {
		t.Fatalf("due at %d, settled %+v", due, x)
	}
	check(t, l)
}
