package api_test

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/slashing"
)

// A challenge is listed, shown, proven, and on the page; whoever asks for one that
// is not there is told so.
func TestChallenges(t *testing.T) {
	w := running(t, nil)
	var page oas.ChallengePage
	w.ok("/v1/challenges", &page)
	if page.Total != 0 || page.Items == nil {
		t.Fatalf("%+v", page)
	}
	w.refused(w.get("/v1/challenges/"+strings.Repeat("0", 64)), http.StatusNotFound, "challenge_not_found")

	r := w.relays[1]
	receipt, promise := w.challenge(r)
	w.ok("/v1/challenges?state=waiting&node="+r.id.String(), &page)
	if page.Total != 1 {
		t.Fatalf("%+v", page)
	}
	c := page.Items[0]
	id := slashing.ChallengeID(w.gen.Hash(), receipt)
	if c.Id != id.String() || c.Node != r.id.String() || c.State != "waiting" || c.Chunks != 5 || c.UntilMs != int64(promise.Until) || c.Chunk != nil || c.Deposit != "20000" {
		t.Fatalf("%+v", c)
	}
	var one oas.Challenge
	w.ok("/v1/challenges/"+c.Id, &one)
	if one.Id != c.Id || string(one.Receipt) != string(receipt.Encode()) {
		t.Fatalf("%+v", one)
	}
	for _, query := range []string{"state=open", "state=lapsed", "node=" + w.relays[2].id.String()} {
		w.ok("/v1/challenges?"+query, &page)
		if page.Total != 0 {
			t.Errorf("%s: %d", query, page.Total)
		}
	}
	// The row proves itself.
	proof := w.ok("/v1/state/offences/"+hex.EncodeToString(slashing.ChallengeKey(id)), nil)
	head := w.ledger.Head()
	p, err := state.DecodeProof(proof.body[len(head.Encode()):])
	w.must(err)
	value, ok, err := p.Verify(head.Header.State, slashing.ChallengeKey(id))
	w.must(err)
	if row, err := slashing.DecodeChallenge(value); !ok || err != nil || row.ID != id {
		t.Fatalf("%v, %v, %+v", ok, err, row)
	}
	var st oas.Status
	w.ok("/v1/status", &st)
	if st.Held != "20000" {
		t.Errorf("held %s", st.Held)
	}
	if got := w.browse(http.MethodGet, "/slashes", ""); !strings.Contains(got.body, c.Id) {
		t.Error("the page does not show it")
	}
}

// challenge challenges a receipt of r, in a block of its own.
func (w *world) challenge(r *relay) (statement.Statement, statement.Receipt) {
	w.Helper()
	promise := statement.Receipt{Chunks: chain.Hash{1}, Class: 5, Until: w.ledger.Head().Header.Time + 200_000, Deleter: chain.Hash{2}}
	receipt := statement.Sign(w.ledger.Statements(), r.key, statement.LabelReceipt, 0, promise.Encode())
	w.must(w.submit(sign(w, w.accounts[0], slashing.ChallengeType, func(h chain.Head) slashing.OpenChallenge {
		return slashing.OpenChallenge{Head: h, Receipt: receipt.Encode(), Deposit: 20_000}
	})))
	w.seal()
	return receipt, promise
}
