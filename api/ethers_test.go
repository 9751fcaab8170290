package api_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/internal/testenv"
)

// ethersBody is what a wallet posts, and what testdata/sign.mjs prints.
type ethersBody struct {
	Kind      string            `json:"kind"`
	Message   map[string]string `json:"message"`
	Signature string            `json:"signature"`
}

// What /v1/chain/eip712 says is all that a wallet needs: ethers signs a transfer
// and a registration with it, the API takes them, and neither with a change.
func TestEthersSignsWhatTheAPITakes(t *testing.T) {
	testenv.Need(t, "node")
	testenv.NeedFile(t, "../node_modules/ethers", "run npm ci")
	w := empty(t, nil)
	w.seal()
	from, r := w.accounts[0], w.relays[0]
	vrf, hash := r.vrf.Public(), w.gen.Hash()
	sig := statement.Domain{Genesis: hash}.SignRaw(r.key, statement.LabelRegistration, statement.RegistrationBody(from.at, vrf))
	proof := r.vrf.Prove(beacon.RegistrationAlpha(hash, from.at))
	hexOf := func(b []byte) string { return "0x" + hex.EncodeToString(b) }
	in, err := json.Marshal(map[string]any{
		"typed": json.RawMessage(w.ok("/v1/chain/eip712", nil).body),
		"key":   hexOf(crypto.FromECDSA(from.key)),
		"messages": []map[string]any{
			{"kind": "transfer", "message": map[string]string{"nonce": "0", "fee": "1000", "validUntil": "500",
				"to": w.accounts[1].at.String(), "amount": "12500000000"}},
			{"kind": "register", "message": map[string]string{"nonce": "1", "fee": "1000", "validUntil": "500",
				"node": hexOf(r.id[:]), "vrfKey": hexOf(vrf[:]), "feeBps": "1000", "amount": strconv.FormatUint(uint64(w.gen.Params.StakingRequirement), 10),
				"nodeSignature": hexOf(sig[:]), "vrfProof": hexOf(proof[:])}},
		},
	})
	w.must(err)
	cmd := exec.CommandContext(t.Context(), "node", "testdata/sign.mjs")
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var bodies []ethersBody
	w.must(json.Unmarshal(out, &bodies))
	if len(bodies) != 2 {
		t.Fatalf("%s", out)
	}
	post := func(b ethersBody) answer {
		raw, err := json.Marshal(b)
		w.must(err)
		return w.post("/v1/transactions", raw, "application/json")
	}
	for _, b := range bodies {
		bad := b
		for at := 2; at < len(b.Signature); at += 2 {
			bad.Signature = changed(b.Signature, at)
			if a := post(bad); a.StatusCode < 400 {
				t.Fatalf("%s: signature changed at %d: %s", b.Kind, at, a.Status)
			}
		}
		bad = b
		for name, v := range b.Message {
			bad.Message = maps.Clone(b.Message)
			bad.Message[name] = changed(v, len(v)-1)
			if a := post(bad); a.StatusCode < 400 {
				t.Fatalf("%s: %s changed to %s: %s", b.Kind, name, bad.Message[name], a.Status)
			}
		}
	}
	for _, b := range bodies {
		if a := post(b); a.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s %s", b.Kind, a.Status, a.body)
		}
	}
	if s := w.seal(); s.Header.TxCount != 2 {
		t.Fatalf("%d transactions", s.Header.TxCount)
	}
	w.ok("/v1/nodes/"+r.id.String(), nil)
}

// changed is text with the digit at a place changed, within hex and decimals.
func changed(text string, at int) string {
	b := slices.Clone([]byte(text))
	if b[at] == '1' {
		b[at] = '2'
	} else {
		b[at] = '1'
	}
	return string(b)
}
