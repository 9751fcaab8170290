package api_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/wire"
	"tunic/ledger"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/slashing"
	"tunic/staking"
)

const octets = "application/octet-stream"

// signed is a transfer as a wallet would post it.
func signed(w *world, tx chain.Tx, v byte) []byte {
	w.Helper()
	schema, _ := machine.SchemaOf(tx.Kind)
	msg, err := schema.MarshalMessage(tx.Payload)
	w.must(err)
	sig := tx.Sig
	sig[64] += v
	return fmt.Appendf(nil, `{"kind":"transfer","message":%s,"signature":"0x%s"}`, msg, hex.EncodeToString(sig[:]))
}

func (w *world) post(path string, body []byte, contentType string) answer {
	w.Helper()
	return w.do(http.MethodPost, path, body, "Content-Type", contentType)
}

// accepted expects 202 and returns the id.
func (w *world) accepted(a answer) string {
	w.Helper()
	var s oas.Submitted
	if a.StatusCode != http.StatusAccepted || json.Unmarshal(a.body, &s) != nil {
		w.Fatalf("%s: %s", a.Status, a.body)
	}
	return s.Id
}

func TestTransactions(t *testing.T) {
	w := running(t, nil)
	a := w.transfer(w.accounts[0], w.accounts[4], 7)
	b := w.transfer(w.accounts[0], w.accounts[4], 8)
	// One transaction has one id however it is written.
	id := w.accepted(w.post("/v1/transactions", signed(w, a, 27), "application/json; charset=utf-8"))
	if id != a.ID().String() || w.accepted(w.post("/v1/transactions", signed(w, a, 0), "application/json")) != id ||
		w.accepted(w.post("/v1/transactions", a.Encode(), octets)) != id {
		t.Errorf("id %s, want %s", id, a.ID())
	}
	var tx oas.Transaction
	w.ok("/v1/transactions/"+id, &tx)
	if tx.Status != oas.Pending || tx.Result != nil || *tx.Kind != "transfer" || (*tx.Message)["amount"] != "7" || *tx.Sender != w.accounts[0].at.String() {
		t.Errorf("pending: %+v", tx)
	}
	w.accepted(w.post("/v1/transactions", b.Encode(), octets))
	w.seal()
	tx = oas.Transaction{}
	w.ok("/v1/transactions/"+b.ID().String(), &tx)
	if tx.Status != oas.Included || *tx.Result != "ok" || *tx.Index != 1 || *tx.Height != int64(w.ledger.Head().Header.Height) ||
		chain.SHA256(*tx.Raw) != b.ID() {
		t.Errorf("included: %+v", tx)
	}
	// What only its execution refuses is remembered.
	unlock := func() chain.Tx {
		return sign(w, w.accounts[2], staking.RequestUnlockType, func(h chain.Head) staking.RequestUnlock {
			return staking.RequestUnlock{Head: h, Node: w.relays[2].id}
		})
	}
	w.must(w.submit(unlock()))
	c := unlock()
	id = w.accepted(w.post("/v1/transactions", c.Encode(), octets))
	w.seal()
	tx = oas.Transaction{}
	w.ok("/v1/transactions/"+id, &tx)
	if tx.Status != oas.Refused || *tx.Result != staking.CodeAlreadyUnlocking || tx.Detail == nil || tx.Raw != nil {
		t.Errorf("refused: %+v", tx)
	}
	st := w.descriptor(w.relays[0], 2, 22021)
	id = w.accepted(w.post("/v1/statements", st.Encode(), octets))
	tx = oas.Transaction{}
	w.ok("/v1/transactions/"+id, &tx)
	if *tx.Kind != "publish" || tx.Statement.Label != "descriptor" || tx.Statement.Sequence != fmt.Sprint(2<<20) || tx.Statement.Epoch != 2 {
		t.Errorf("statement: %+v", tx.Statement)
	}
}

// TestBadTransactions: what is wrong with a JSON transaction is said, by code.
func TestBadTransactions(t *testing.T) {
	w := running(t, nil)
	tx := w.transfer(w.accounts[0], w.accounts[4], 7)
	good := string(signed(w, tx, 27))
	highS := tx
	copy(highS.Sig[32:64], complement(tx.Sig[32:64]))
	highS.Sig[64] ^= 1
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"syntax":            {good[:len(good)-1], 400, "malformed_body"},
		"trailing":          {good + "1", 400, "malformed_body"},
		"key twice":         {strings.Replace(good, `"kind"`, `"kind":"register","kind"`, 1), 400, "malformed_body"},
		"key twice, deeper": {strings.Replace(good, `"amount"`, `"amount":"1","amount"`, 1), 400, "malformed_body"},
		"key in capitals":   {strings.Replace(good, `"kind"`, `"Kind"`, 1), 400, "invalid_request"},
		"unknown member":    {strings.Replace(good, `"kind"`, `"a":1,"kind"`, 1), 400, "malformed_body"},
		"not UTF-8":         {strings.Replace(good, `transfer`, "\xff", 1), 400, "malformed_body"},
		"missing member":    {`{"kind":"transfer","message":{}}`, 400, "invalid_request"},
		"signature's form":  {strings.Replace(good, `"signature":"0x`, `"signature":"`, 1), 400, "invalid_request"},
		"kind":              {strings.Replace(good, `"transfer"`, `"mint"`, 1), 422, "unknown_kind"},
		"unknown field":     {strings.Replace(good, `"amount"`, `"a":"1","amount"`, 1), 422, "malformed_message"},
		"missing field":     {strings.Replace(good, `"amount":"7"`, `"to":"0x"`, 1), 400, "malformed_body"},
		"wrong field":       {strings.Replace(good, `"amount":"7"`, `"amount":"-7"`, 1), 422, "malformed_message"},
		"checksum":          {strings.Replace(good, w.accounts[4].at.String(), swapCase(w.accounts[4].at.String()), 1), 422, "malformed_message"},
		"recovery byte":     {strings.Replace(good, good[len(good)-4:], `05"}`, 1), 422, "bad_signature"},
		"high s":            {string(signed(w, highS, 27)), 422, "bad_signature"},
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			w.refused(w.post("/v1/transactions", []byte(c.body), "application/json"), c.status, c.code)
		})
	}
	if n := len(w.ledger.Pending()); n != 0 {
		t.Errorf("%d transactions wait", n)
	}
}

// complement is the order of secp256k1 minus s.
func complement(s []byte) []byte {
	n, _ := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	borrow := 0
	for i := 31; i >= 0; i-- {
		d := int(n[i]) - int(s[i]) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		n[i] = byte(d)
	}
	return n
}

// swapCase breaks a checksum.
func swapCase(a string) string {
	return "0x" + strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'f':
			return c - 32
		case 'A' <= c && c <= 'F':
			return c + 32
		}
		return c
	}, a[2:])
}

func TestProofs(t *testing.T) {
	w := running(t, nil)
	judge := func(b []byte) oas.Verdict {
		t.Helper()
		var v oas.Verdict
		a := w.post("/v1/proofs", b, octets)
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", a.Status, a.body)
		}
		w.must(json.Unmarshal(a.body, &v))
		return v
	}
	if v := judge([]byte("no proof")); v.Verdict != oas.Malformed || *v.Code != "malformed_proof" || len(v.Steps) != 1 || v.Steps[0].Ok {
		t.Errorf("malformed: %+v", v)
	}
	l, header, err := w.ledger.List(1)
	w.must(err)
	one, two := w.descriptor(w.relays[0], 2, 1), w.descriptor(w.relays[0], 2, 2)
	p, err := slashing.Assemble(slashing.DoubleDescriptor, one.Encode(), two.Encode(), header, l)
	w.must(err)
	proof := p.Encode()
	v := judge(proof)
	if v.Verdict != oas.Valid || *v.Offence != p.ID().String() || *v.Basis != "signature" || *v.Node != w.relays[0].id.String() {
		t.Errorf("valid: %+v", v)
	}
	forged := p
	forged.Header.Seal[0] ^= 1
	if v := judge(forged.Encode()); v.Verdict != oas.Invalid || *v.Code != "bad_header" {
		t.Errorf("forged: %+v", v)
	}
	// The ledger punishes what was judged valid, once.
	st := statement.Sign(w.ledger.Statements(), w.relays[1].key, statement.LabelProof, statement.NewSequence(1, 0), proof)
	before := w.ok("/v1/directory", nil)
	w.accepted(w.post("/v1/statements", st.Encode(), octets))
	w.seal()
	if v := judge(proof); v.Verdict != oas.AlreadyPunished || *v.Code != "already_punished" {
		t.Errorf("punished: %+v", v)
	}
	var page oas.SlashPage
	w.ok("/v1/slashes?node="+w.relays[0].id.String(), &page)
	if len(page.Items) != 1 || page.Items[0].Slashed != "100000000000" || page.Items[0].Reporter != w.accounts[1].at.String() || len(page.Items[0].Losses) != 1 {
		t.Errorf("slashes: %+v", page)
	}
	var s oas.Slash
	w.ok("/v1/slashes/"+p.ID().String(), &s)
	if a := w.ok("/v1/slashes/"+p.ID().String()+"/proof", nil); string(a.body) != string(proof) {
		t.Error("the proof file is another")
	}
	if c := s.Correlation; c == nil || c.DueMs != s.TimeMs+int64(w.gen.Params.CorrelationWindow) || c.Before != "0" || c.Settled != nil || s.Judged != nil {
		t.Errorf("correlation %+v", c)
	}
	// Its record is proven under a header, and so is that there is no other.
	row := func(id chain.Hash) (slashing.Record, bool) {
		t.Helper()
		b := w.ok("/v1/state/offences/"+hex.EncodeToString(slashing.RecordKey(id)), nil, "Accept", octets).body
		r := wire.NewReader(b)
		header, p := chain.ReadSealedHeader(r), state.ReadProof(r)
		w.must(r.Done())
		v, err := light.New(w.gen.Network())
		w.must(err)
		value, ok, err := v.Row(p, slashing.RecordKey(id), header)
		w.must(err)
		if !ok {
			return slashing.Record{}, false
		}
		rec, err := slashing.DecodeRecord(value)
		w.must(err)
		return rec, true
	}
	if rec, ok := row(p.ID()); !ok || rec.Node != w.relays[0].id || rec.Total != 100*chain.TUN {
		t.Errorf("record in the state: %+v", rec)
	}
	if _, ok := row(chain.Hash{1}); ok {
		t.Error("a record of nothing")
	}
	for _, path := range []string{"/v1/state/offences/0", "/v1/state/offences/ZZ", "/v1/state/nothing/01"} {
		w.refused(w.get(path), 400, "invalid_request")
	}
	// The removal shows at once: in the directory, its tag and its proofs.
	after := w.ok("/v1/directory", nil)
	if before.Header.Get("ETag") == after.Header.Get("ETag") {
		t.Error("a removal left the directory's tag as it was")
	}
	sealed, _ := open(w, w.ok("/v1/directory", nil, "Accept", octets).body)
	if len(sealed.Header.Removals) != 1 || sealed.Header.Removals[0] != w.relays[0].id {
		t.Errorf("removals %v", sealed.Header.Removals)
	}
	var at oas.DirectoryProof
	w.ok("/v1/directory/"+w.relays[0].id.String()+"/proof", &at)
	if !at.Listed || !at.Removed {
		t.Errorf("listed %v, removed %v", at.Listed, at.Removed)
	}
	var nodes []oas.ServiceNode
	w.ok("/api/service_nodes", &nodes)
	for _, n := range nodes {
		if n.Active && n.ServiceNodePubkey == w.relays[0].id.String() {
			t.Error("a tombstoned node is active")
		}
	}
	var d oas.NodeDetail
	w.ok("/v1/nodes/"+w.relays[0].id.String(), &d)
	if last := d.History[len(d.History)-1]; last.To != oas.Tombstoned || *last.Proof != p.ID().String() {
		t.Errorf("history ends in %+v", last)
	}
	// When the window is over the rest is counted out.
	w.must(w.ledger.AdvanceTo(t.Context(), chain.Time(s.Correlation.DueMs)))
	w.ok("/v1/slashes/"+p.ID().String(), &s)
	if x := s.Correlation.Settled; x == nil || x.TimeMs != s.Correlation.DueMs || x.Sum != s.Slashed || x.FractionPpm == 0 || len(x.Losses) != 1 {
		t.Errorf("settled %+v", x)
	}
	// Long after, it would be too late.
	w.must(w.ledger.AdvanceTo(t.Context(), w.gen.EpochStart(3)+chain.Time(w.gen.Params.EvidenceAge)+1))
	third, err := slashing.Assemble(slashing.DoubleDescriptor, w.descriptor(w.relays[1], 2, 1).Encode(), w.descriptor(w.relays[1], 2, 2).Encode(), header, l)
	w.must(err)
	if v := judge(third.Encode()); v.Verdict != oas.Expired || *v.Code != "proof_expired" {
		t.Errorf("expired: %+v", v)
	}
}

func TestPoolFull(t *testing.T) {
	w := empty(t, func(_ *api.Config, c *ledger.Config) {
		c.Pool = ledger.PoolLimits{Count: 1, Bytes: 1 << 20, PerSender: 8}
	})
	w.seal()
	w.accepted(w.post("/v1/transactions", w.transfer(w.accounts[0], w.accounts[1], 1).Encode(), octets))
	a := w.post("/v1/transactions", w.transfer(w.accounts[0], w.accounts[1], 2).Encode(), octets)
	w.refused(a, 503, "mempool_full")
	if a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
}
