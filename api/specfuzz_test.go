package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/internal/testenv"
	"tunic/slashing"
)

// fuzzSeed makes a run of the fuzz the same each time; -rapid.seed draws another,
// -rapid.checks more.
const fuzzSeed = "20260106"

// perCheck is how many requests one check of the fuzz sends.
const perCheck = 100

// operation is one of openapi.yaml.
type operation struct {
	method, path string
	op           *openapi3.Operation
}

func operations(t testing.TB) []operation {
	t.Helper()
	spec, err := oas.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	var out []operation
	for _, path := range slices.Sorted(maps.Keys(spec.Paths.Map())) {
		of := spec.Paths.Value(path).Operations()
		for _, method := range slices.Sorted(maps.Keys(of)) {
			out = append(out, operation{method, path, of[method]})
		}
	}
	return out
}

// listedCodes are the codes that the specification's tables have.
func listedCodes(t testing.TB) map[string]bool {
	t.Helper()
	codes := map[string]bool{}
	code := regexp.MustCompile("`([a-z][a-z0-9_]+)`")
	for _, name := range []string{"api", "chain", "staking", "registry", "slashing", "statements", "dev"} {
		page, err := os.ReadFile("../docs/spec/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(page), "\n") {
			if cells := strings.Split(line, "|"); len(cells) > 3 {
				where := cells[1]
				if name == "api" && strings.TrimSpace(cells[1]) != "" && cells[1][1] != '`' { // | 422 | codes |
					where = cells[2]
				}
				for _, m := range code.FindAllStringSubmatch(where, -1) {
					codes[m[1]] = true
				}
			}
		}
	}
	if len(codes) < 80 || !codes["invalid_request"] || !codes["bad_signature"] || !codes["nonce_used"] || !codes["bad_step"] {
		t.Fatalf("the pages list %d codes", len(codes))
	}
	return codes
}

// fuzz holds what answers are held against, and what requests are made of.
type fuzz struct {
	*world
	ops    []operation
	codes  map[string]bool
	good   map[string][]string    // values of parameters by name that mean something
	bodies map[string][][]byte    // bodies by operation that mean something
	beats  uint32                 // heartbeats sent
	hit    map[string]map[int]int // operation, status class, times
}

// TestSpecificationFuzz: whatever comes to any operation, in any parameter or
// body, is answered: never with 5xx, each refusal as a problem with a code that
// the specification lists, each success as it describes.
func TestSpecificationFuzz(t *testing.T) {
	if f := flag.Lookup("rapid.seed"); f.Value.String() == "0" {
		flag.Set("rapid.seed", fuzzSeed)
		defer flag.Set("rapid.seed", "0")
	}
	w := running(t, func(c *api.Config, _ *ledgerConfig) {
		c.Step = func(_ context.Context, step string) (api.Step, error) {
			if step != "seal" {
				return api.Step{}, fmt.Errorf("%w: no such step", api.ErrStep)
			}
			return api.Step{Head: c.Ledger.Head().Header}, nil
		}
	})
	offence := w.slash(w.relays[0], w.relays[1])
	w.must(w.submit(w.transfer(w.accounts[0], w.accounts[1], 5)))
	w.seal()
	f := &fuzz{world: w, ops: operations(t), codes: listedCodes(t), hit: map[string]map[int]int{}}
	f.seedValues(offence)
	receipt, _ := w.challenge(w.relays[2])
	f.good["challenge"] = []string{slashing.ChallengeID(w.gen.Hash(), receipt).String()}
	testenv.Check(t, func(rt *rapid.T) {
		for range perCheck {
			f.one(rt)
		}
	})
	for _, op := range f.ops {
		id := op.op.OperationID
		if f.hit[id][4] == 0 && len(op.op.Parameters) > 0 {
			t.Errorf("%s refused nothing: %v", id, f.hit[id])
		}
		if f.hit[id][2]+f.hit[id][3] == 0 && id != "GetCertificate" { // a network of sealers has none
			t.Errorf("%s took nothing: %v", id, f.hit[id])
		}
	}
}

// seedValues collects values and bodies that the ledger knows.
func (f *fuzz) seedValues(offence slashing.Proof) {
	w := f.world
	head := w.ledger.Head().Header
	tx := w.transfer(w.accounts[4], w.accounts[0], 1)
	beat := w.heartbeat(w.relays[1], head.DirEpoch+1, 0)
	block, err := w.ledger.Block(head.Height)
	w.must(err)
	var page struct {
		Next string `json:"next_cursor"`
	}
	w.ok("/v1/nodes?limit=1", &page)
	asset := regexp.MustCompile(`"/assets/([^"]+)"`).FindSubmatch(w.get("/").body)
	if asset == nil {
		w.Fatal("the overview has no style")
	}
	node, address := w.relays[1].id.String(), w.accounts[0].at.String()
	f.good = map[string][]string{
		"block": {"latest", "1", head.Hash().String()}, "id": {tx.ID().String(), chain.SHA256(block.Txs[0]).String()}, "address": {address, strings.ToLower(address)},
		"node": {node, w.relays[2].id.String()}, "account": {address, ""}, "operator": {address}, "height": {fmt.Sprint(head.Height), "1"},
		"epoch": {"1", "0", "latest"}, "since": {"0", "1"}, "with": {"1"}, "limit": {"1", "1000"}, "cursor": {page.Next, ""}, "state": {"active", "left", ""},
		"part": {"nodes", "accounts"}, "key": {"01" + node}, "proof": {"true", "false"}, "offence": {offence.ID().String()}, "q": {node[:8], "1", "active"},
		"search": {node[:6], "127."}, "swarm": {"0"}, "version": {"1.0", "1*"}, "min_stake": {"0", "1"}, "fields": {"node,state", "node"},
		"file": {"swagger-ui.css", string(asset[1])}, "name": {"base"}, "Last-Event-ID": {"1"}, "kind": {"transfer"}, "flag": {""}, "order": {""},
		"types": {"block"}, "status": {"pending", "included"}, "event": {"block"},
	}
	name, fund := []byte(`{"name":"base"}`), []byte(`{"address":"`+address+`","amount":"5"}`)
	rpc := [][]byte{[]byte(sessionBody), []byte(`{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["` + address + `","latest"]}`),
		[]byte(`[{"jsonrpc":"2.0","id":1,"method":"get_height"},{"jsonrpc":"2.0","id":"x","method":"eth_getBlockByNumber","params":["latest",false]}]`)}
	f.bodies = map[string][][]byte{
		"SubmitTransaction": {signed(w, tx, 27), tx.Encode()}, "PublishStatement": {beat.Encode()}, "JudgeProof": {offence.Encode()},
		"OxenRpc": rpc, "EthereumRpc": rpc, "PageFund": {[]byte("address=" + address + "&amount=5")},
		"PageJudge": {[]byte("--b\r\nContent-Disposition: form-data; name=\"proof\"; filename=\"a\"\r\n\r\nxyz\r\n--b--\r\n")},
		"DevMine":   {[]byte(`{"blocks":1}`)}, "DevAdvance": {[]byte(`{"ms":1000}`)}, "DevSnapshot": {name, []byte(`{"name":"other"}`)}, "DevRevert": {name},
		"DevFund": {fund}, "DevStep": {[]byte(`{"step":"seal"}`)},
	}
}

// one sends one request and holds the answer against the specification.
func (f *fuzz) one(t *rapid.T) {
	o := rapid.SampledFrom(f.ops).Draw(t, "operation")
	method := o.method
	if rapid.IntRange(0, 19).Draw(t, "other method") == 0 {
		method = rapid.SampledFrom([]string{http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodTrace, "ANY"}).Draw(t, "method")
	}
	path, query, header := f.params(t, o)
	body := f.body(t, o, header)
	for _, h := range []string{"Accept", "If-None-Match", "Accept-Encoding", "X-Request-Id"} {
		if rapid.IntRange(0, 7).Draw(t, h+" given") == 0 {
			header.Set(h, rapid.SampledFrom([]string{"*/*", "application/json", "application/octet-stream", "text/html", "application/json;q=x", "*", `"a", W/"b"`, "gzip;q=0", "\xff", strings.Repeat("a,", 500)}).Draw(t, h))
		}
	}
	target := path
	if query != "" {
		target += "?" + query
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return // net/http answers this itself: TestRawRequests
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	u.Scheme, u.Host = "http", "api.test"
	req := (&http.Request{Method: method, URL: u, Host: "api.test", Header: header, Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	if body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	res, err := f.handlerTransport().RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %.300q: no answer: %v", method, target, err)
	}
	defer res.Body.Close()
	var got []byte
	if res.Header.Get("Content-Type") != httpx.EventStreamType {
		if got, err = io.ReadAll(res.Body); err != nil {
			t.Fatalf("%s %.300q: %v", method, target, err)
		}
	}
	f.judge(t, o, req, res, got, body)
}

func (f *fuzz) handlerTransport() http.RoundTripper { return httpx.InMemory(f.handler) }

// judge holds one answer against what is promised of all.
func (f *fuzz) judge(t *rapid.T, o operation, req *http.Request, res *http.Response, got, sent []byte) {
	what := fmt.Sprintf("%s %.300q %.300v, body %.300q: %d %.600s", req.Method, req.URL.RequestURI(), req.Header, sent, res.StatusCode, got)
	if req.Method == o.method {
		if f.hit[o.op.OperationID] == nil {
			f.hit[o.op.OperationID] = map[int]int{}
		}
		f.hit[o.op.OperationID][res.StatusCode/100]++
	}
	switch {
	case res.StatusCode >= 500:
		t.Fatalf("a fault: %s", what)
	case res.Header.Get(httpx.RequestIDHeader) == "":
		t.Fatalf("no request id: %s", what)
	case res.StatusCode >= 400 && req.Method == http.MethodHead:
		return
	case res.StatusCode >= 400:
		f.judgeProblem(t, res, got, what)
		return
	case req.Method != o.method || res.Header.Get("Content-Type") == httpx.EventStreamType || res.Header.Get("Content-Encoding") != "":
		return
	}
	if err := f.described(req.Method, req.URL.RequestURI(), res, got); err != nil {
		t.Fatalf("not as described: %v\n%s", err, what)
	}
}

func (f *fuzz) judgeProblem(t *rapid.T, res *http.Response, got []byte, what string) {
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && strings.Contains(res.Request.Header.Get("Accept"), "text/html") {
		return // a page says it
	}
	var p httpx.Problem
	switch err := json.Unmarshal(got, &p); {
	case err != nil, res.Header.Get("Content-Type") != httpx.ProblemType, p.Status != res.StatusCode, p.Title == "", p.Type == "":
		t.Fatalf("not a problem document: %s", what)
	case !f.codes[p.Code]:
		t.Fatalf("code %q is not in the specification: %s", p.Code, what)
	case len(got) > 2000 || res.Header.Get("Cache-Control") != "no-store":
		t.Fatalf("too long, or kept: %s", what)
	case p.Status == http.StatusMethodNotAllowed && res.Header.Get("Allow") == "":
		t.Fatalf("no Allow: %s", what)
	}
}

// described says how a response differs from openapi.yaml.
func (w *world) described(method, target string, res *http.Response, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.Join(err, fmt.Errorf("validation: %v", r))
		}
	}()
	return w.check(method, target, res, body)
}
