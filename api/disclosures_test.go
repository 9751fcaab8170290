package api_test

import (
	"fmt"
	"slices"
	"testing"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// commit lets an account commit to disclose a relay's identity key.
func (w *world) commit(a *account, r *relay, salt byte) slashing.CommitKey {
	w.Helper()
	k := slashing.CommitKey{Epoch: w.ledger.Head().Header.DirEpoch, Account: a.at,
		Hash: slashing.Commitment(w.gen.Hash(), r.id, statement.KeyIdentity, 0, a.at, [32]byte{salt})}
	w.must(w.submit(sign(w, a, slashing.CommitDisclosureType, func(h chain.Head) slashing.CommitDisclosure {
		return slashing.CommitDisclosure{Head: h, Commitment: k.Hash, Deposit: 3 * chain.TUN}
	})))
	w.seal()
	return k
}

// disclose submits the opening of a commit, and seals it.
func (w *world) disclose(a *account, r *relay, k slashing.CommitKey, salt byte) slashing.Proof {
	w.Helper()
	head := w.ledger.Head()
	list, _, err := w.ledger.List(head.Header.DirEpoch)
	w.must(err)
	o := slashing.Opening{Key: statement.KeyIdentity, Reporter: a.at, Salt: [32]byte{salt}, Committed: k.Epoch}
	w.ledger.View(func(m *machine.Machine) { o.Commit = m.Prove(machine.PartOffences, k.Key()) })
	x, err := slashing.Disclosing(head, list, r.id, o)
	w.must(err)
	o.Sig = statement.Domain{Genesis: head.Header.Genesis, Fork: head.Header.Fork}.DiscloseIdentity(r.key, x)
	p, err := slashing.AssembleDisclosure(head, list, r.id, o)
	w.must(err)
	w.must(w.submit(sign(w, a, slashing.SubmitProofType, func(h chain.Head) slashing.SubmitProof {
		return slashing.SubmitProof{Head: h, Proof: p.Encode()}
	})))
	w.seal()
	return p
}

// Live commits are listed in the order of their making, with what became of them;
// what the ledger keeps for their accounts does not circulate.
func TestDisclosures(t *testing.T) {
	w := running(t, nil)
	var page oas.DisclosurePage
	w.ok("/v1/disclosures", &page)
	if page.Total != 0 || len(page.Items) != 0 {
		t.Fatalf("%+v", page)
	}
	var before, after oas.Status
	w.ok("/v1/status", &before)
	first := w.commit(w.accounts[1], w.relays[0], 1)
	second := w.commit(w.accounts[0], w.relays[0], 2)
	w.ok("/v1/disclosures", &page)
	if page.Total != 2 || page.Items[0].Commitment != first.Hash.String() || page.Items[1].Commitment != second.Hash.String() ||
		page.Items[0].LapsesHeight != nil || page.Items[0].Offence != nil || page.Items[0].Deposit != "3000000000" || page.Items[0].Held != "0" {
		t.Fatalf("%+v", page)
	}
	if w.ok("/v1/status", &after); after.Held != "6000000000" || before.Held != "0" {
		t.Errorf("held %s, then %s", before.Held, after.Held)
	}
	w.epoch(first.Epoch + 1)
	opened := w.ledger.Head().Header.Height
	p := w.disclose(w.accounts[0], w.relays[0], second, 2)
	w.ok("/v1/disclosures?account="+w.accounts[0].at.String(), &page)
	x := page.Items[0]
	if page.Total != 1 || x.Offence == nil || *x.Offence != p.ID().String() || x.Held == "0" || x.LapsesHeight == nil || *x.LapsesHeight < int64(opened) {
		t.Errorf("%+v", page)
	}
	var s oas.Slash
	w.ok("/v1/slashes/"+p.ID().String(), &s)
	if s.Kind != "key-disclosure" || s.Basis != "signature" || s.Disclosed == nil || s.Disclosed.Key != "identity" || s.Disclosed.CommittedEpoch != int64(second.Epoch) ||
		s.Reporter != w.accounts[0].at.String() {
		t.Errorf("%+v", s)
	}
	// The older one takes it over; page by page they come as they were made.
	w.disclose(w.accounts[1], w.relays[0], first, 1)
	var got []string
	for cursor := ""; ; {
		page = oas.DisclosurePage{}
		w.ok("/v1/disclosures?limit=1"+cursor, &page)
		got = append(got, string(page.Items[0].Account)+" "+string(page.Items[0].Held))
		if page.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *page.NextCursor
	}
	if want := []string{w.accounts[1].at.String() + " " + string(s.Reward), w.accounts[0].at.String() + " 0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	w.ok("/v1/slashes/"+p.ID().String(), &s)
	if s.Reporter != w.accounts[1].at.String() {
		t.Errorf("reporter %s", s.Reporter)
	}
	for w.ledger.Head().Header.Height < chain.Height(*x.LapsesHeight) {
		w.seal()
	}
	w.ok("/v1/disclosures", &page)
	if w.ok("/v1/status", &after); page.Total != 0 || after.Held != "0" {
		t.Errorf("held %s by %d commits", after.Held, page.Total)
	}
	// As it was.
	w.ok(fmt.Sprintf("/v1/disclosures?height=%d", opened), &page)
	if page.Total != 2 || page.Items[1].Offence != nil {
		t.Errorf("%+v", page)
	}
	w.refused(w.get("/v1/disclosures?cursor=AAAA"), 400, "invalid_cursor")
}
