package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tunic/api"
	"tunic/api/client"
	"tunic/api/pages"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/staking"
)

// TestPagesBlocks: lists of blocks page by page, a block with its neighbours.
func TestPagesBlocks(t *testing.T) {
	w := empty(t, nil)
	w.shows("/blocks", "There is no block yet")
	w = paged(t)
	head := w.ledger.Head()
	p := w.shows("/blocks", `aria-current="page">Blocks`, head.Header.Hash().String(), w.gen.Hash().String())
	if got := p.Header.Get("Vary"); got != "Accept, Accept-Encoding" {
		t.Errorf("Vary is %q", got)
	}
	w.shows("/blocks/"+head.Header.Hash().String(), head.Header.TxRoot.String(), "/blocks/"+head.Header.Parent.String(), `rel="prev"`)
	if first := w.shows("/blocks/1", `rel="next"`); strings.Contains(first.body, `rel="prev"`) {
		t.Error("there is a block before the first")
	}
	w.shows("/blocks/2", ">register<", `<span class="badge good">ok</span>`)
}

// TestPageProblems: who asks for HTML gets a page about the problem, all others
// the problem; with the same status.
func TestPageProblems(t *testing.T) {
	w := paged(t)
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/blocks/999999":        {404, "block_not_found"}, // the API's
		"/blocks/x":             {400, "invalid_request"}, // of the path
		"/blocks?cursor=%25%25": {400, "invalid_cursor"},
		"/blocks?x=1":           {400, "invalid_request"},
		"/nowhere":              {404, "no_such_route"},
	} {
		p := w.browse(http.MethodGet, path, "")
		if p.StatusCode != want.status || !strings.Contains(p.body, "<code>"+want.code+"</code>") || !strings.Contains(p.body, p.Header.Get(httpx.RequestIDHeader)) {
			t.Errorf("%s: %s\n%s", path, p.Status, p.body)
		}
		if got := p.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		w.refused(w.get(path), want.status, want.code)
	}
	// The way back is the list without what was asked of it.
	if p := w.browse(http.MethodGet, "/blocks?cursor=%25%25", ""); !strings.Contains(p.body, `href="/blocks">From the beginning`) {
		t.Errorf("no way back:\n%s", p.body)
	}
	// What never reaches a page is one too, and does without the API.
	few := empty(t, func(c *api.Config, _ *ledger.Config) {
		c.Limits = &httpx.LimiterConfig{PerSecond: 0.001, Burst: 1, Now: func() time.Time { return time.Unix(0, 0) }}
	})
	few.shows("/blocks")
	if p := few.browse(http.MethodGet, "/blocks", ""); p.StatusCode != 429 || !strings.Contains(p.body, "<code>rate_limited</code>") || p.Header.Get("Retry-After") != "1000" || strings.Contains(p.body, "data-height") {
		t.Errorf("%s %v\n%s", p.Status, p.Header, p.body)
	}
	for path, want := range map[string]string{"/nodes?search=a%22b": `href="/nodes?search=a%22b">Load it again`, "//evil.test/x": "Load it again"} {
		if p := few.browse(http.MethodGet, path, ""); p.StatusCode != 429 || strings.Contains(p.body, want) != strings.HasPrefix(path, "/nodes") {
			t.Errorf("%s: %s\n%s", path, p.Status, p.body)
		}
	}
	few.refused(few.get("/v1/status", "Accept", "text/html"), 429, "rate_limited")
	if p := w.browse(http.MethodPost, "/blocks", ""); p.StatusCode != 405 || !strings.Contains(p.Header.Get("Allow"), "GET") {
		t.Errorf("POST /blocks: %s", p.Status)
	}
	// What is for programs stays for them.
	w.refused(w.get("/v1/blocks/999999", "Accept", "text/html, application/json"), 404, "block_not_found")
}

// TestPageAssets: what pages load is there, forever, under the name of its
// content.
func TestPageAssets(t *testing.T) {
	w := paged(t)
	body := w.shows("/blocks").body
	n := 0
	for _, part := range strings.Split(body, `"`) {
		if !strings.HasPrefix(part, "/assets/") {
			continue
		}
		n++
		a := w.get(part)
		if a.StatusCode != 200 || !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || len(a.body) == 0 || len(a.body) > 20_000 {
			t.Errorf("%s: %s, %d bytes, %v", part, a.Status, len(a.body), a.Header)
		}
		if again := w.get(part, "If-None-Match", a.Header.Get("ETag")); again.StatusCode != 304 {
			t.Errorf("%s again: %s", part, again.Status)
		}
	}
	if n < 4 {
		t.Errorf("the page loads %d files", n)
	}
	for _, path := range []string{"/blocks", assetOf(body, "style")} {
		plain, zipped := w.get(path), w.get(path, "Accept-Encoding", "br, gzip;q=0.8")
		z, err := gzip.NewReader(bytes.NewReader(zipped.body))
		w.must(err)
		got, err := io.ReadAll(z)
		w.must(err)
		if zipped.Header.Get("Content-Encoding") != "gzip" || !bytes.Equal(got, plain.body) || len(zipped.body) >= len(got) {
			t.Errorf("%s in gzip: %d bytes of %d, %v", path, len(zipped.body), len(plain.body), zipped.Header)
		}
		if none := w.get(path, "Accept-Encoding", "gzip;q=0"); none.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s in gzip, which was refused", path)
		}
	}
	w.refused(w.get("/assets/style-000000000000.css"), 404, "no_such_route")
}

// TestPagesOverview: the tiles, the bar, the newest blocks, what happened.
func TestPagesOverview(t *testing.T) {
	empty(t, nil).shows("/", "No node is registered", "Quiet so far")
	w := paged(t)
	st := w.ledger.Head().Header
	w.shows("/", `data-show="height">`+fmt.Sprint(st.Height)+"<", `data-show="listed">2<`, "of 3 known", `data-add="bonded" data-n="`,
		`data-add="state-active" data-n="2"`, `data-add="state-registered" data-n="1"`, `data-state="active" class="c-good"`,
		`href="/blocks/`+st.Hash().String(), `data-types="head,epoch,node,slash,transaction,params"`)
}

// TestPagesTransactions: what became of a transaction, why it was refused and
// what to do; what it says, decoded; lists by what they are narrowed to.
func TestPagesTransactions(t *testing.T) {
	w := paged(t)
	from, to := w.accounts[0], w.accounts[1]
	tx := w.transfer(from, to, 12_500_000_000)
	w.must(w.submit(tx))
	id := tx.ID().String()
	w.shows("/transactions/"+id, `<span class="badge warn" title="waits for a block">pending</span>`, `data-live="transaction" data-of="`+id+`"`, from.at.String())
	w.seal()
	w.shows("/transactions/"+id, "<dt>Confirmations</dt><dd>1 ", "its block is the newest", `<p class="note">burned</p>`, `<span class="badge good">ok</span>`, "12<span class=\"part\">.5</span>", "moves an amount", `href="/accounts/`+to.at.String(), "base64")
	w.shows("/blocks/latest", ">transfer<", `href="/transactions/`+id, `data-live="head"`)

	late := sign(w, from, machine.TransferType, func(h chain.Head) machine.Transfer {
		h.Nonce++ // it has to wait for another
		h.ValidUntil = w.ledger.Head().Header.Height + 1
		return machine.Transfer{Head: h, To: to.at, Amount: 1}
	})
	w.must(w.submit(late))
	for range 2 {
		w.seal()
	}
	w.shows("/transactions/"+late.ID().String(), "Refused", "<code>expired</code>", "Sign it again with a later height")
	w.shows("/transactions?account=0xnonsense", "This is not an address", `aria-invalid="true"`)
	w.shows("/transactions?kind=publish&status=pending", `<option value="publish" selected>statements of nodes</option>`)
}

// TestPagesAccounts: a list, an account with its stakes, one never used.
func TestPagesAccounts(t *testing.T) {
	w := paged(t)
	a := w.accounts[0]
	w.shows("/accounts", a.at.String(), "Of the supply")
	w.shows("/accounts/"+a.at.String(), w.relays[0].id.String(), ">operator<", "?proof=true", `data-of="`+a.at.String()+`"`)
	w.shows("/accounts/0x00000000000000000000000000000000000000aa", "Nothing was ever sent")

	// A bond on its way out says until when it is bound, and the transaction what
	// it did.
	unlock := sign(w, a, staking.RequestUnlockType, func(h chain.Head) staking.RequestUnlock {
		return staking.RequestUnlock{Head: h, Node: w.relays[0].id}
	})
	w.must(w.submit(unlock))
	w.seal()
	free := w.ledger.Head().Header.Time + chain.Time(w.gen.Params.UnlockDelay)
	w.shows("/accounts/"+a.at.String(), ">unlocking<", fmt.Sprintf(`data-ms="%d"`, free), ">in 10 min<")
	w.shows("/nodes/"+w.relays[0].id.String(), "The stake is free <time", fmt.Sprintf(`data-ms="%d"`, free))
	w.shows("/transactions/"+unlock.ID().String(), "What it did", "active → <span", ">unlocking<")
	w.must(w.ledger.AdvanceTo(t.Context(), free))
	w.shows("/accounts/"+a.at.String(), `data-label="Stake is free" class="num">now<`, "tunic tx withdraw")
	if p := w.browse(http.MethodGet, "/accounts/"+strings.ToUpper(a.at.String()[2:6]), ""); p.StatusCode != 400 {
		t.Errorf("a part of an address: %s", p.Status)
	}
}

// TestPagesSearch: what is one thing is gone to; several are shown; none is
// explained.
func TestPagesSearch(t *testing.T) {
	w := paged(t)
	head := w.ledger.Head().Header
	b, err := w.ledger.Block(2)
	w.must(err)
	tx := chain.Hash(sha256.Sum256(b.Txs[0])).String()
	addr := w.accounts[4].at.String() // of no operator
	for q, want := range map[string]string{
		fmt.Sprint(head.Height):      "/blocks/" + fmt.Sprint(head.Height),
		head.Hash().String():         "/blocks/" + head.Hash().String(),
		"0x" + head.Hash().String():  "/blocks/" + head.Hash().String(),
		strings.ToUpper(tx):          "/transactions/" + tx,
		w.relays[1].id.String():      "/nodes/" + w.relays[1].id.String(),
		w.relays[1].id.String()[:10]: "/nodes/" + w.relays[1].id.String(),
		addr:                         "/accounts/" + addr,
		addr[2:]:                     "/accounts/" + addr,
		strings.ToLower(addr):        "/accounts/" + strings.ToLower(addr),
		strings.ToUpper(addr):        "/accounts/" + strings.ToLower(addr),
		addr[:12]:                    "/accounts/" + addr,
		head.Hash().String()[:12]:    "/blocks/" + head.Hash().String(),
		" latest ":                   "/blocks/latest",
	} {
		p := w.browse(http.MethodGet, "/search?q="+url.QueryEscape(q), "")
		if p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != want {
			t.Errorf("%q: %s to %q, want %q\n%s", q, p.Status, p.Header.Get("Location"), want, p.body)
		}
	}
	w.shows("/search?q=1", "Block 1", "Epoch 1")
	w.shows("/search?q=0+0%E2%80%AF1", "Block 1", "Epoch 1") // grouped, as pages write numbers
	w.shows("/search", "What can be searched for")
	w.shows("/search?q=zzz", "Nothing found", `value="zzz"`)
	w.shows("/search?q="+strings.Repeat("f", 64), "Nothing found")
	wrong := []byte(addr)
	for i := 2; i < len(wrong); i++ {
		if wrong[i] >= 'A' && wrong[i] <= 'F' {
			wrong[i] += 'a' - 'A'
			break
		}
	}
	w.shows("/search?q="+string(wrong), "a typing error")
}

// TestPagesParams: each parameter that the API has is shown in words, none of
// them as one that the pages do not know.
func TestPagesParams(t *testing.T) {
	w := paged(t)
	var p struct {
		Params map[string]any `json:"params"`
	}
	w.ok("/v1/params", &p)
	body := w.shows("/params", "2000 TUN", "25 %", w.accounts[2].at.String(), "2 of 3 members").body
	for name := range p.Params {
		if !strings.Contains(body, "<code>"+name+"</code>") {
			t.Errorf("parameter %s is not shown", name)
		}
	}
	if strings.Contains(body, "do not know") || strings.Contains(body, "At genesis") {
		t.Errorf("%s", body)
	}
}

// TestPagesFaucet: a form that is wrong says why, one that is right gives and
// shows where; loading the answer again gives nothing more.
func TestPagesFaucet(t *testing.T) {
	w := paged(t)
	to := "0x00000000000000000000000000000000000000aa"
	w.shows("/faucet", "holds", "at most 10000", `href="/faucet" aria-current="page"`)
	far := w.get("/blocks", "Accept", "text/html", "X-Forwarded-For", "198.51.100.7")
	if strings.Contains(string(far.body), `href="/faucet"`) {
		t.Error("a page for another machine leads to the faucet, which that may not use")
	}
	for form, want := range map[string]string{
		"address=0x12&amount=1":            "Give 0x and 40 hex digits",
		"address=" + to + "&amount=1e3":    "Give a number of TUN",
		"address=" + to + "&amount=0":      "Give more than nothing",
		"address=" + to + "&amount=10001":  "Give at most",
		"address=%3Cscript%3E&amount=%22x": "&lt;script&gt;",
	} {
		p := w.browse(http.MethodPost, "/faucet", form)
		if p.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(p.body, want) || !strings.Contains(p.body, `aria-invalid="true"`) {
			t.Errorf("%s: %s\n%s", form, p.Status, p.body)
		}
	}
	p := w.browse(http.MethodPost, "/faucet", "address="+to+"&amount=12.5")
	at := p.Header.Get("Location")
	if p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, "/faucet?account=0x") {
		t.Fatalf("%s to %q\n%s", p.Status, at, p.body)
	}
	w.shows(at, "Given.", `value="12500000000"`, "/blocks/", "/transactions/")
	w.shows(at, `value="12500000000"`)
}

// TestPagesEscape: what others wrote, and what a link says, is text.
func TestPagesEscape(t *testing.T) {
	w := paged(t)
	evil := url.QueryEscape(`"><script>alert(1)</script>`)
	for _, path := range []string{"/search?q=" + evil, "/transactions?account=" + evil, "/transactions?kind=%3Cscript%3E", "/faucet?account=" + evil, "/" + evil} {
		if p := w.browse(http.MethodGet, path, ""); strings.Contains(p.body, "<script>") {
			t.Errorf("%s:\n%s", path, p.body)
		}
	}
}

// TestPagesNoFaucet: only dev networks have one.
func TestPagesNoFaucet(t *testing.T) {
	w := empty(t, nil)
	site, err := pages.New(pages.Config{API: nobody{}})
	w.must(err)
	for _, r := range site.Routes() {
		if r.Path != "/faucet" {
			continue
		}
		rec := httptest.NewRecorder()
		r.Serve(rec, httptest.NewRequest(r.Method, r.Path, nil))
		if rec.Code != 404 {
			t.Errorf("%s %s: %d", r.Method, r.Path, rec.Code)
		}
	}
}

// nobody is an API that does not answer.
type nobody struct {
	client.ClientWithResponsesInterface
}

func (nobody) GetStatusWithResponse(context.Context, ...client.RequestEditorFn) (*client.GetStatusResponse, error) {
	return nil, errors.New("nobody answers")
}

func (nobody) ListBlocksWithResponse(context.Context, *client.ListBlocksParams, ...client.RequestEditorFn) (*client.ListBlocksResponse, error) {
	return nil, errors.New("nobody answers")
}

// TestPagesUnreachable: where the API does not answer, a page says so.
func TestPagesUnreachable(t *testing.T) {
	site, err := pages.New(pages.Config{API: nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range site.Routes() {
		if r.Path != "/blocks" && r.Path != "/" {
			continue
		}
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(r.Method, r.Path, nil)
		req.Header.Set("Accept", "text/html")
		r.Serve(rec, req)
		if rec.Code != 502 || !strings.Contains(rec.Body.String(), "api_unreachable") || !strings.Contains(rec.Body.String(), "Load the page again") {
			t.Errorf("%s: %d\n%s", r.Path, rec.Code, rec.Body)
		}
	}
}
