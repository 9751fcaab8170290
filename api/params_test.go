package api_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

// approve makes account i approve c.
func (w *world) approve(i int, c genesis.Change) {
	w.Helper()
	w.must(w.submit(sign(w, w.accounts[i], machine.ChangeParamsType, func(h chain.Head) machine.ChangeParams {
		return machine.ChangeParams{Head: h, Number: c.Number, Epoch: c.Epoch, Params: c.Params.Encode()}
	})))
	w.seal()
}

// provenParams reads the canonical bytes of /v1/params as a light client does.
func (w *world) provenParams() genesis.InForce {
	w.Helper()
	a := w.ok("/v1/params", nil, "Accept", "application/octet-stream")
	r := wire.NewReader(a.body)
	sealed, err := chain.DecodeSealedHeader(r.Bytes(1 << 16))
	w.must(err)
	p, err := light.DecodeStateProof(r.Fixed(r.Len()))
	w.must(err)
	v, err := light.New(w.gen.Network())
	w.must(err)
	f, err := v.InForce(p, sealed)
	w.must(err)
	return f
}

func TestParams(t *testing.T) {
	w := running(t, nil)
	var p oas.Params
	w.ok("/v1/params", &p)
	if p.Number != 0 || p.Epoch != 1 || p.Scheduled != nil || len(p.Approvals) != 0 || len(p.Council) != 3 || p.CouncilMin != 2 ||
		p.Params["min_fee"] != "1000" || !bytes.Equal(p.Encoding, w.gen.Params.Encode()) || p.Proof != nil {
		t.Fatalf("of genesis: %+v", p)
	}
	c := genesis.Change{Number: 1, Epoch: 4, Params: w.gen.Params}
	c.Params.MinFee, c.Params.Versions = 2000, []string{"1.0"}
	w.approve(2, c)
	w.ok("/v1/params", &p)
	if len(p.Approvals) != 1 || p.Approvals[0].Hash != c.Hash().String() || len(p.Approvals[0].ApprovedBy) != 1 ||
		p.Approvals[0].ApprovedBy[0] != w.accounts[2].at.String() || !bytes.Equal(p.Approvals[0].Encoding, c.Params.Encode()) ||
		len(p.Approvals[0].Changed) != 2 || p.Approvals[0].Changed[1] != "versions" {
		t.Fatalf("one approval: %+v", p.Approvals)
	}
	w.approve(3, c)
	p = oas.Params{}
	w.ok("/v1/params", &p)
	if s := p.Scheduled; s == nil || s.Epoch != 4 || s.Number != 1 || s.Params["min_fee"] != "2000" || len(p.Approvals) != 0 || p.Number != 0 {
		t.Fatalf("scheduled: %+v", p)
	}
	if f := w.provenParams(); f.Number != 0 {
		t.Fatalf("proven: %+v", f)
	}
	w.epoch(4)
	p = oas.Params{}
	w.ok("/v1/params?proof=true", &p)
	if p.Number != 1 || p.SinceEpoch != 4 || p.VersionsSinceEpoch != 4 || p.Params["min_fee"] != "2000" || p.Scheduled != nil || p.Proof == nil {
		t.Fatalf("in force: %+v", p)
	}
	sealed, err := chain.DecodeSealedHeader(p.Proof.Header)
	w.must(err)
	if sealed.Header.Hash() != w.ledger.Head().Header.Hash() || p.Proof.Part != "params" || !bytes.Equal(p.Proof.Key, light.InForceKey()) {
		t.Fatalf("proof: %+v", p.Proof)
	}
	if f := w.provenParams(); f.Number != 1 || f.Params.MinFee != 2000 {
		t.Fatalf("proven: %+v", f)
	}
	// A transaction with the old fee is refused now, and says why.
	if err := w.submit(w.transfer(w.accounts[4], w.accounts[3], 1)); err == nil || err.(*chain.Refusal).Code != machine.CodeFeeTooLow {
		t.Fatalf("the old fee: %v", err)
	}
}

func TestParamsBeforeTheFirstBlock(t *testing.T) {
	w := empty(t, nil)
	var p oas.Params
	w.ok("/v1/params", &p)
	if p.Height != 0 || p.Params["min_fee"] != "1000" {
		t.Fatalf("%+v", p)
	}
	w.refused(w.get("/v1/params?proof=true"), 503, "no_head")
	w.refused(w.get("/v1/params", "Accept", "application/octet-stream"), 503, "no_head")
	w.refused(w.get("/v1/params", "Accept", "text/html"), 406, "not_acceptable")
}

// Each block event says the number in force at the head.
func TestEventsTellTheNumber(t *testing.T) {
	w := running(t, nil)
	c := genesis.Change{Number: 1, Epoch: 3, Params: w.gen.Params}
	c.Params.BlockReward++
	w.approve(2, c)
	w.approve(4, c)
	f := w.events("?since=1")
	number := func() uint32 {
		e, err := f.events.Next()
		w.must(err)
		var body struct{ Params *uint32 }
		w.must(json.Unmarshal(e.Data, &body))
		if body.Params == nil {
			t.Fatalf("no number: %s", e.Data)
		}
		return *body.Params
	}
	for range w.ledger.Head().Header.Height {
		if n := number(); n != 0 {
			t.Fatalf("number %d before the change", n)
		}
	}
	w.epoch(3)
	last := uint32(0)
	for h := w.ledger.Head().Header.Height; last == 0 && h > 0; h-- {
		last = number()
	}
	if last != 1 {
		t.Fatalf("number %d after the change", last)
	}
}
