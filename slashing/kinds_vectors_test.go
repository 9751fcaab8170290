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

// The golden proofs of each kind are still written byte for byte, and judged
// alike.
func TestKindVectors(t *testing.T) {
	w := newWorld()
	for _, k := range kindCases {
		p := k.good(w)
		v := vectors{
			Command: "go test ./slashing -run TestKindVectors -rewrite", Network: genesis.Genesis{Core: w.core}.Network().Encode(),
			Proof: hex.EncodeToString(p.Encode()), ID: p.ID(),
		}
		o, err := slashing.Verify(p, w.anchor)
		if err != nil {
			t.Fatal(err)
		}
		v.Until = slashing.PunishableUntil(o, w.core)
		for _, c := range k.refusals {
			p := clone(k.good(w))
			c.with(w, &p)
			b := p.Encode()
			back, err := slashing.Decode(b)
			if err == nil {
				_, err = slashing.Verify(back, w.anchor)
			}
			if c.want != nil && err != nil && len(b) <= slashing.MaxProof { // what is surplus in memory is not in the bytes
				v.Refused = append(v.Refused, refusedVector{c.name, hex.EncodeToString(b), c.want.Code})
			}
		}
		want, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		var read vectors
		if err := json.Unmarshal(testenv.Golden(t, "testdata/"+k.kind.String()+".json", append(want, '\n')), &read); err != nil {
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
		if len(read.Refused) < 10 {
			t.Errorf("%s: %d changed proofs", k.kind, len(read.Refused))
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
				t.Errorf("%s: %s: %v", k.kind, r.Name, err)
			}
		}
	}
}
