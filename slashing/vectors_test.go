package slashing_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/ledger/light"
	"tunic/slashing"
)

const vectorFile = "testdata/double-descriptor.json"

// vectors are a proof, the network that it is of, changed bytes and their codes.
type vectors struct {
	Command string          `json:"command"`
	Network json.RawMessage `json:"network"`
	Proof   string          `json:"proof"`
	ID      chain.Hash      `json:"offence_id"`
	Until   chain.Time      `json:"punishable_until_ms"`
	Refused []refusedVector `json:"refused"`
}

type refusedVector struct {
	Name  string `json:"name"`
	Proof string `json:"proof"`
	Code  string `json:"code"`
}

// The golden proofs are still written byte for byte, and judged alike.
func TestVectors(t *testing.T) {
	w := newWorld()
	p := w.proof(1)
	o, err := slashing.Verify(p, w.anchor)
	if err != nil {
		t.Fatal(err)
	}
	v := vectors{
		Command: "go test ./slashing -run TestVectors -rewrite", Network: genesis.Genesis{Core: w.core}.Network().Encode(),
		Proof: hex.EncodeToString(p.Encode()), ID: o.ID, Until: slashing.PunishableUntil(o, w.core),
	}
	for _, c := range refusals {
		p := w.proof(1)
		c.with(w, &p)
		if b := p.Encode(); c.want != nil && len(b) <= slashing.MaxProof {
			v.Refused = append(v.Refused, refusedVector{c.name, hex.EncodeToString(b), c.want.Code})
		}
	}
	want, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	got := testenv.Golden(t, vectorFile, want)
	var read vectors
	if err := json.Unmarshal(got, &read); err != nil {
		t.Fatal(err)
	}
	net, err := genesis.ParseNetwork(read.Network)
	if err != nil {
		t.Fatal(err)
	}
	anchor, err := light.New(net)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(read.Refused, refusedVector{"good", read.Proof, ""}) {
		b, err := hex.DecodeString(r.Proof)
		if err != nil {
			t.Fatal(err)
		}
		p, err := slashing.Decode(b)
		if err == nil {
			_, err = slashing.Verify(p, anchor)
		}
		var want *chain.Refusal
		if r.Code != "" {
			want = &chain.Refusal{Code: r.Code}
		}
		if !is(err, want) {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
}
