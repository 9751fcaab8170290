package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/ledger"
	"tunic/ledger/comettest"
)

// committed is the API of a ledger whose validators decide blocks together: e
// joins a, b, c and d in block 2, a and b leave in block 4; the head is block 8.
func committed(t testing.TB) (*world, *comettest.Chain, []chain.Block) {
	t.Helper()
	c := comettest.New(t, comettest.Genesis(t, []string{"a", "b", "c", "d"}, []string{"e"}), "a", "b", "c", "d", "e")
	w := empty(t, func(cfg *api.Config, l *ledger.Config) {
		cfg.Network = c.Genesis.Network()
		*l = ledger.Config{Genesis: c.Genesis}
	})
	var blocks []chain.Block
	for h := chain.Height(1); h <= 8; h++ {
		var txs [][]byte
		switch h {
		case 2:
			txs = c.Join("e")
		case 4:
			txs = [][]byte{c.Leave("a"), c.Leave("b")}
		}
		blocks = append(blocks, c.OK(comettest.Began+chain.Time(h)*1000, txs...))
	}
	n, err := w.ledger.Import(t.Context(), func(yield func([]byte, error) bool) {
		for _, b := range blocks {
			if !yield(b.Encode(), nil) {
				return
			}
		}
	})
	if err != nil || n != len(blocks) {
		t.Fatalf("%d blocks, %v", n, err)
	}
	return w, c, blocks
}

func TestCertificates(t *testing.T) {
	w, c, blocks := committed(t)
	id := cometbft.ChainID(c.Genesis.Hash())
	for h := chain.Height(2); h <= 9; h++ {
		path := fmt.Sprintf("/v1/chain/certificates/%d", h)
		octets := w.ok(path, nil, "Accept", "application/octet-stream")
		got, err := cometbft.DecodeCertificate(octets.body)
		if err != nil || got.Set == nil || got.Next == nil || got.Validate(id) != nil || got.Header.Height != h || got.Header.AppHash != blocks[h-2].Header.Hash() {
			t.Fatalf("height %d: %+v, %v", h, got.Header, err)
		}
		if err := got.Set.VerifyCommit(id, h, got.Commit.BlockID, &got.Commit); err != nil {
			t.Fatal(err)
		}
		var j oas.Certificate
		plain := w.ok(path, &j)
		if j.Height != int64(h) || j.Hash != got.Header.Hash().String() || j.HeaderHash != got.Header.AppHash.String() || j.Signed != got.Set.Len() ||
			len(j.Validators) != got.Set.Len() || len(j.NextValidators) != got.Next.Len() || j.ChainId != id || j.Proposer == "" {
			t.Fatalf("height %d: %+v", h, j)
		}
		for _, v := range j.Validators {
			if v.Power != 1 || v.Vote != "block" || v.TimeMs == nil || *v.TimeMs != j.TimeMs {
				t.Errorf("vote %+v", v)
			}
		}
		tag := octets.Header.Get("ETag")
		if a := w.get(path, "Accept", "application/octet-stream", "If-None-Match", tag); a.StatusCode != http.StatusNotModified || len(a.body) != 0 {
			t.Errorf("%s with its tag: %s", path, a.Status)
		}
		if tag == "" || tag == plain.Header.Get("ETag") {
			t.Errorf("%s: both forms have the tag %s", path, tag)
		}
	}
	for _, h := range []string{"0", "1", "10", "9223372036854775807"} {
		w.refused(w.get("/v1/chain/certificates/"+h), http.StatusNotFound, "certificate_not_found")
	}
	w.refused(w.get("/v1/chain/certificates/latest"), http.StatusBadRequest, "invalid_request")
	w.refused(running(t, nil).get("/v1/chain/certificates/2"), http.StatusNotFound, "certificate_not_found")
}

func TestValidators(t *testing.T) {
	w, c, _ := committed(t)
	ids := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, comettest.Node(n).String())
		}
		slices.Sort(out)
		return out
	}
	look := func(path string, height, from int64, changes int, want ...string) oas.Validators {
		t.Helper()
		var v oas.Validators
		w.ok(path, &v)
		var got []string
		for _, x := range v.Validators {
			got = append(got, x.Node)
			if x.Operator == nil {
				t.Errorf("%s has no operator", x.Node)
			}
		}
		if v.Height != height || v.From != from || v.Engine != "cometbft" || len(v.Changes) != changes || !slices.Equal(got, ids(want...)) {
			t.Fatalf("%s: %+v", path, v)
		}
		return v
	}
	look("/v1/chain/validators?height=3", 3, 1, 0, "a", "b", "c", "d")
	look("/v1/chain/validators?height=4", 4, 4, 1, "a", "b", "c", "d", "e")
	v := look("/v1/chain/validators", 9, 6, 2, "c", "d", "e")
	if x := v.Changes[0]; x.From != 6 || x.Count != 3 || len(x.Joined) != 0 || !slices.Equal(x.Left, ids("a", "b")) {
		t.Errorf("newest change %+v", x)
	}
	if x := v.Changes[1]; x.From != 4 || x.Count != 5 || len(x.Left) != 0 || !slices.Equal(x.Joined, ids("e")) {
		t.Errorf("first change %+v", x)
	}
	look("/v1/chain/validators?height=10", 10, 6, 2, "c", "d", "e")
	w.refused(w.get("/v1/chain/validators?height=11"), http.StatusNotFound, "height_not_found")
	w.refused(w.get("/v1/chain/validators?height=0"), http.StatusBadRequest, "invalid_request")
	if len(c.Genesis.Sealers) != 4 {
		t.Fatal("another genesis")
	}

	sealed := running(t, nil)
	var s oas.Validators
	sealed.ok("/v1/chain/validators", &s)
	if s.Engine != "sealer" || s.From != 1 || len(s.Changes) != 0 || len(s.Validators) != 1 || s.Validators[0].Node != sealed.gen.Sealers[0].String() {
		t.Fatalf("sealers: %+v", s)
	}
	sealed.refused(sealed.get("/v1/chain/validators?height=1000"), http.StatusNotFound, "height_not_found")
}

// TestCommittedHeaders: a header says who committed it in place of a seal, in JSON
// and on the pages.
func TestCommittedHeaders(t *testing.T) {
	w, _, blocks := committed(t)
	var h oas.Header
	w.ok("/v1/headers/5", &h)
	c, err := cometbft.Of(blocks[4].SealedHeader)
	if err != nil {
		t.Fatal(err)
	}
	if x := h.Commit; h.Seal != nil || x == nil || x.Height != 6 || x.Hash != c.Header.Hash().String() || x.Signed != 3 || x.Validators != 3 || x.TimeMs != int64(c.Header.Time.Millis()) {
		t.Fatalf("%+v", h)
	}
	var page oas.BlockPage
	w.ok("/v1/blocks", &page)
	for _, h := range page.Items {
		if h.Commit == nil || h.Seal != nil || h.Commit.Height != h.Height+1 {
			t.Errorf("%+v", h)
		}
	}
	w.shows("/blocks/5", "by 3 of <a href=\"/validators?height=6\">3 validators</a>", c.Header.Hash().String(), "/v1/chain/certificates/6")
	w.shows("/blocks")
	w.shows("/validators", "Validators", "of height 9", comettest.Node("c").String(), comettest.Address("e").String(), "/validators?height=6", comettest.Node("a").String())
	w.shows("/validators?height=6", "3 of 3 validators voted", ">block 5<")
	w.shows("/validators?height=1", "4 nodes, from height 1 on", "Those of genesis, ever since")
	w.refused(w.get("/validators?height=99"), http.StatusNotFound, "height_not_found")
	sealed := running(t, nil)
	var own oas.Header
	sealed.ok("/v1/headers/1", &own)
	if own.Commit != nil || own.Seal == nil || len(*own.Seal) != 128 {
		t.Errorf("%+v", own)
	}
	sealed.shows("/validators", "Sealers", sealed.gen.Sealers[0].String())
	sealed.shows("/blocks/1", *own.Seal)
}
