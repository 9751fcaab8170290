package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/internal/testenv"
	"tunic/registry"
	"tunic/staking"
)

// served is w over a socket, as the ledger serves it.
func served(w *world) *httptest.Server {
	w.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = httpx.NewServer(w.handler)
	srv.Start()
	w.Cleanup(srv.Close)
	return srv
}

// rpcReply is an answer of JSON-RPC.
type rpcReply struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    int
		Message string
	} `json:"error"`
}

// sessionBody is what Session's clients send for the list, to the byte.
const sessionBody = `{"jsonrpc":"2.0","method":"get_n_service_nodes","params":{"active_only":true,"fields":{"public_ip":true,"storage_port":true,"pubkey_x25519":true,"pubkey_ed25519":true,"requested_unlock_height":true,"height":true}}}`

// What Session's clients send, byte by byte and without a Content-Type, gets an
// answer that their own checks of every member take.
func TestSessionReadsTheList(t *testing.T) {
	w := running(t, nil)
	conn, err := net.Dial("tcp", served(w).Listener.Addr().String())
	w.must(err)
	defer conn.Close()
	fmt.Fprintf(conn, "POST /json_rpc HTTP/1.1\r\nHost: seed1.example:4443\r\nUser-Agent: WhatsApp\r\nAccept-Language: en-us\r\n"+
		"Accept: */*\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(sessionBody), sessionBody)
	raw, err := io.ReadAll(conn)
	w.must(err)
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 200 ") || !strings.Contains(head+"\r\n", "\r\nContent-Type: application/json\r\n") {
		t.Fatalf("%s", head)
	}
	if strings.Contains(strings.ToLower(head), "transfer-encoding") {
		t.Fatalf("not in one piece: %s", head)
	}
	var out struct {
		Result map[string]any `json:"result"`
	}
	w.must(json.Unmarshal([]byte(body), &out))
	if h, ok := out.Result["height"].(float64); !ok || h != float64(w.ledger.Head().Header.Height) {
		t.Fatalf("height: %v", out.Result["height"])
	}
	states, ok := out.Result["service_node_states"].([]any)
	if !ok || len(states) != 2 {
		t.Fatalf("%s", body)
	}
	for _, one := range states {
		node, ok := one.(map[string]any)
		if !ok || len(node) != 5 {
			t.Fatalf("%v", one)
		}
		for name, isString := range map[string]bool{"public_ip": true, "storage_port": false, "pubkey_ed25519": true, "pubkey_x25519": true, "requested_unlock_height": false} {
			_, text := node[name].(string)
			_, number := node[name].(float64)
			if text != isString || number == isString {
				t.Errorf("%s is %T", name, node[name])
			}
		}
		// They drop nodes without an address, and hand the rest to their dialer.
		ip, err := netip.ParseAddr(node["public_ip"].(string))
		if err != nil || ip.IsUnspecified() || node["storage_port"] != 22021.0 || node["requested_unlock_height"] != 0.0 {
			t.Errorf("%v", node)
		}
		for _, key := range []string{"pubkey_ed25519", "pubkey_x25519"} {
			if len(node[key].(string)) != 64 {
				t.Errorf("%s: %v", key, node[key])
			}
		}
	}
}

// call posts a request of JSON-RPC and expects one answer.
func (w *world) call(path, body string) rpcReply {
	w.Helper()
	a := w.do(http.MethodPost, path, []byte(body))
	var r rpcReply
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" || json.Unmarshal(a.body, &r) != nil || r.Version != "2.0" || (r.Result == nil) == (r.Error == nil) {
		w.Fatalf("%s %s: %s %s", path, body, a.Status, a.body)
	}
	return r
}

// result is call's result in v.
func (w *world) result(path, method, params string, v any) {
	w.Helper()
	r := w.call(path, fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":%q,"params":%s}`, method, params))
	if r.Error != nil || string(r.ID) != "7" {
		w.Fatalf("%s %s: id %s, %+v", method, params, r.ID, r.Error)
	}
	w.must(json.Unmarshal(r.Result, v))
}

type oxenList struct {
	Status    string
	Height    int64
	Hash      *string `json:"block_hash"`
	Unchanged *bool
	States    []map[string]any `json:"service_node_states"`
}

func TestOxenNodes(t *testing.T) {
	w := running(t, nil)
	list := func(params string) oxenList {
		t.Helper()
		var l oxenList
		w.result("/json_rpc", "get_service_nodes", params, &l)
		if l.Status != "OK" || l.Height != int64(w.ledger.Head().Header.Height) {
			t.Fatalf("%s: %+v", params, l)
		}
		return l
	}
	all := list(`{}`)
	if len(all.States) != 3 || all.Hash == nil || len(all.States[0]) < 20 {
		t.Fatalf("%+v", all)
	}
	first := all.States[0]
	for name, want := range map[string]any{"service_node_pubkey": first["pubkey_ed25519"], "decommission_count": 0.0, "operator_fee": 100_000.0} {
		if first[name] != want {
			t.Errorf("%s: %v, want %v", name, first[name], want)
		}
	}
	for _, n := range all.States {
		contributors := n["contributors"].([]any)
		if n["total_contributed"] == 0.0 || len(contributors) == 0 || contributors[0].(map[string]any)["address"] != n["operator_address"] {
			t.Errorf("%v", n)
		}
	}
	one := w.relays[0].id.String()
	for params, want := range map[string]struct{ nodes, members int }{
		`{"active_only":true}`: {2, len(first)}, `{"limit":1}`: {1, len(first)}, `{"limit":-1}`: {3, len(first)}, `{"limit":0}`: {3, len(first)},
		`{"limit":9223372036854775807}`:    {3, len(first)},
		`{"fields":["active","swarm_id"]}`: {3, 2}, `{"fields":{"active":true,"state":false,"nothing":true}}`: {3, 1},
		`{"fields":"all"}`: {3, len(first)}, `{"fields":{}}`: {3, len(first)}, `{"fields":{"all":true}}`: {3, len(first)}, `{"fields":[]}`: {3, len(first)}, `{"fields":null}`: {3, len(first)},
		`{"service_node_pubkeys":["` + one + `"]}`:                        {1, len(first)},
		`{"service_node_pubkeys":["` + strings.Repeat("ab", 32) + `"]}`:   {0, 0},
		`{"include_json":false,"service_node_pubkeys":[],"unknown":[[]]}`: {3, len(first)},
		`null`: {3, len(first)},
		`{"poll_block_hash":"` + strings.Repeat("0", 64) + `"}`: {3, len(first)},
	} {
		l := list(params)
		if len(l.States) != want.nodes || want.nodes > 0 && len(l.States[0]) != want.members {
			t.Errorf("%s: %d nodes, %+v", params, len(l.States), l.States)
		}
	}
	if l := list(`{"poll_block_hash":"` + *all.Hash + `"}`); l.Unchanged == nil || !*l.Unchanged || l.States != nil || *l.Hash != *all.Hash {
		t.Errorf("%+v", l)
	}
	w.seal()
	if l := list(`{"poll_block_hash":"` + *all.Hash + `"}`); l.Unchanged == nil || *l.Unchanged || len(l.States) != 3 {
		t.Errorf("%+v", l)
	}
	seen := map[string]bool{}
	for i := 0; i < 200 && len(seen) < 3; i++ {
		seen[list(`{"limit":1}`).States[0]["service_node_pubkey"].(string)] = true
	}
	if len(seen) != 3 {
		t.Errorf("limit 1 draws from %d nodes", len(seen))
	}
	var info struct {
		Height      int64
		Hash        string
		Top         string `json:"top_block_hash"`
		Requirement int64  `json:"staking_requirement"`
	}
	for method, ok := range map[string]func() bool{
		"get_height":              func() bool { return info.Hash == w.ledger.Head().Header.Hash().String() },
		"get_info":                func() bool { return info.Top == info.Hash },
		"get_staking_requirement": func() bool { return info.Requirement == int64(w.gen.Params.StakingRequirement) },
	} {
		info.Hash, info.Top = w.ledger.Head().Header.Hash().String(), ""
		w.result("/json_rpc", method, `{}`, &info)
		if !ok() || info.Height != int64(w.ledger.Head().Header.Height) {
			t.Errorf("%s: %+v", method, info)
		}
	}
}

// A node that asked to leave says when, and one that is out is not listed.
func TestOxenUnlocking(t *testing.T) {
	w := running(t, nil)
	w.must(w.submit(sign(w, w.accounts[0], staking.RequestUnlockType, func(h chain.Head) staking.RequestUnlock {
		return staking.RequestUnlock{Head: h, Node: w.relays[0].id}
	})))
	w.seal()
	var l oxenList
	w.result("/json_rpc", "get_service_nodes", `{"fields":["requested_unlock_height","state"],"service_node_pubkeys":["`+w.relays[0].id.String()+`"]}`, &l)
	if len(l.States) != 1 || l.States[0]["state"] != registry.Unlocking.String() || l.States[0]["requested_unlock_height"].(float64) <= float64(l.Height) {
		t.Errorf("%+v", l)
	}
}

func TestRPCErrors(t *testing.T) {
	w := running(t, nil)
	for _, path := range []string{"/json_rpc", "/eth"} {
		for body, want := range map[string]struct {
			code int
			id   string
		}{
			`{`:                      {-32700, "null"},
			"{}\xff":                 {-32700, "null"},
			`{} {}`:                  {-32700, "null"},
			strings.Repeat("[", 100): {-32700, "null"},
			`null`:                   {-32600, "null"},
			`5`:                      {-32600, "null"},
			`"get_height"`:           {-32600, "null"},
			`[]`:                     {-32600, "null"},
			` [ ] `:                  {-32600, "null"},
			`{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}`:                    {-32600, "null"},
			`{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":1,"x":2}}`:          {-32600, "null"},
			`{"jsonrpc":"2.0","id":{},"method":"get_height"}`:                       {-32600, "null"},
			`{"jsonrpc":"2.0","id":true,"method":"get_height"}`:                     {-32600, "null"},
			`{"jsonrpc":"1.0","id":"x","method":"get_height"}`:                      {-32600, `"x"`},
			`{"id":"x","method":"get_height"}`:                                      {-32600, `"x"`},
			`{"jsonrpc":"2.0","id":"x"}`:                                            {-32600, `"x"`},
			`{"jsonrpc":"2.0","id":1.5,"method":3}`:                                 {-32600, `1.5`},
			`{"jsonrpc":"2.0","id":1,"method":"get_height","params":3}`:             {-32600, `1`},
			`{"jsonrpc":"2.0","id":1,"method":"submit_everything"}`:                 {-32601, `1`},
			`{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 5000) + `"}`: {-32601, `1`},
			`[` + strings.Repeat(`{},`, 20) + `{}]`:                                 {-32600, "null"},
		} {
			r := w.call(path, body)
			if r.Error == nil || r.Error.Code != want.code || string(r.ID) != want.id || len(r.Error.Message) > 320 {
				t.Errorf("%s %.60s: id %s, %+v", path, body, r.ID, r.Error)
			}
		}
		w.refused(w.do(http.MethodPost, path, bytes.Repeat([]byte(" "), 98305)), 413, "body_too_large")
		w.refused(w.do(http.MethodPost, path, nil), 400, "malformed_body")
		w.refused(w.do(http.MethodPost, path, []byte("x"), "Content-Encoding", "gzip"), 415, "unsupported_media_type")
		w.refused(w.do(http.MethodGet, path, nil), 405, "method_not_allowed")
	}
	who := w.accounts[0].at.String()
	for path, calls := range map[string][]string{
		"/json_rpc": {`"get_service_nodes","params":[]`, `"get_service_nodes","params":{"fields":3}`, `"get_service_nodes","params":{"fields":{"active":1}}`,
			`"get_service_nodes","params":{"fields":[1]}`, `"get_service_nodes","params":{"fields":"some"}`, `"get_service_nodes","params":{"limit":1.5}`,
			`"get_service_nodes","params":{"limit":"1"}`, `"get_service_nodes","params":{"limit":9223372036854775808}`, `"get_service_nodes","params":{"active_only":1}`,
			`"get_service_nodes","params":{"service_node_pubkeys":["x"]}`, `"get_service_nodes","params":{"poll_block_hash":7}`},
		"/eth": {`"eth_chainId","params":[1]`, `"eth_chainId","params":{}`, `"eth_getBalance","params":[]`, `"eth_getBalance","params":["0x12"]`, `"eth_getBalance","params":[7]`,
			`"eth_getBalance","params":["` + swapCase(who) + `"]`, `"eth_getBalance","params":["` + who[2:] + `","latest"]`, `"eth_getBalance","params":["` + who + `","newest"]`,
			`"eth_getBalance","params":["` + who + `","0x0"]`, `"eth_getBalance","params":["` + who + `","0xffffffffffffffffff"]`, `"eth_getBalance","params":["` + who + `",5]`,
			`"eth_getBalance","params":["` + who + `","latest",1]`, `"eth_getBlockByNumber","params":["latest"]`, `"eth_getBlockByNumber","params":["latest","no"]`},
	} {
		for _, c := range calls {
			if r := w.call(path, `{"jsonrpc":"2.0","id":1,"method":`+c+`}`); r.Error == nil || r.Error.Code != -32602 {
				t.Errorf("%s: %s %+v", c, r.Result, r.Error)
			}
		}
	}
	r := w.call("/eth", `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x"]}`)
	if r.Error == nil || r.Error.Code != -32601 || !strings.Contains(r.Error.Message, "/v1/transactions") {
		t.Errorf("%+v", r.Error)
	}
	r = w.call("/eth", `{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["`+who+`","0xfffff"]}`)
	if r.Error == nil || r.Error.Code != -32000 {
		t.Errorf("%+v", r.Error)
	}
}

// Batches: answers in the requests' order; on /eth none for what has no id.
func TestRPCBatch(t *testing.T) {
	w := running(t, nil)
	batch := func(path, body string) (out []rpcReply) {
		t.Helper()
		a := w.do(http.MethodPost, path, []byte(body))
		if a.StatusCode != 200 {
			t.Fatalf("%s %s", a.Status, a.body)
		}
		w.must(json.Unmarshal(a.body, &out))
		return out
	}
	out := batch("/eth", `[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},{"jsonrpc":"2.0","method":"eth_chainId"},5,{"jsonrpc":"2.0","id":"b","method":"no"}]`)
	if len(out) != 3 || string(out[0].Result) != `"0x309"` || string(out[1].ID) != "null" || out[1].Error.Code != -32600 || string(out[2].ID) != `"b"` || out[2].Error.Code != -32601 {
		t.Errorf("%+v", out)
	}
	for _, body := range []string{`[{"jsonrpc":"2.0","method":"eth_chainId"}]`, `{"jsonrpc":"2.0","method":"eth_chainId"}`, `{"jsonrpc":"2.0","method":"no"}`} {
		if a := w.do(http.MethodPost, "/eth", []byte(body)); a.StatusCode != http.StatusNoContent || len(a.body) != 0 {
			t.Errorf("%s: %s %s", body, a.Status, a.body)
		}
	}
	// Former states are of one block.
	balance := func(block string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["` + w.accounts[4].at.String() + `","` + block + `"]}`
	}
	out = batch("/eth", `[`+balance("0x1")+`,`+balance("latest")+`,`+balance("0x1")+`,`+balance("0x2")+`]`)
	if len(out) != 4 || out[0].Result == nil || out[1].Result == nil || out[2].Result == nil || out[3].Error == nil || out[3].Error.Code != -32000 {
		t.Errorf("%+v", out)
	}
	// Of the large answers a batch holds one.
	out = batch("/json_rpc", `[`+sessionBody+`,{"jsonrpc":"2.0","method":"get_height"},`+sessionBody+`]`)
	if len(out) != 3 || out[0].Result == nil || out[1].Result == nil || out[2].Error == nil || out[2].Error.Code != -32600 {
		t.Errorf("%+v", out)
	}
}

func TestEthereum(t *testing.T) {
	w := running(t, nil)
	who := w.accounts[4].at.String()
	eth := func(method, params string) (s string) {
		t.Helper()
		w.result("/eth", method, params, &s)
		return s
	}
	head := w.ledger.Head().Header
	for _, c := range [][3]string{
		{"eth_chainId", "[]", "0x309"}, {"net_version", "[]", "777"}, {"web3_clientVersion", "[]", "tunic/test"},
		{"eth_blockNumber", "[]", fmt.Sprintf("%#x", uint64(head.Height))},
		{"eth_getBalance", `["` + who + `","latest"]`, "0x152d02c7e14af6800000"}, // 100,000 coins of 18 decimals
		{"eth_getBalance", `["` + strings.ToLower(who) + `"]`, "0x152d02c7e14af6800000"},
		{"eth_getBalance", `["0x0000000000000000000000000000000000000001","safe"]`, "0x0"},
		{"eth_getTransactionCount", `["` + w.accounts[3].at.String() + `","latest"]`, "0x1"},
		{"eth_getTransactionCount", `["` + who + `","pending"]`, "0x0"},
	} {
		if got := eth(c[0], c[1]); got != c[2] {
			t.Errorf("%s%s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
	w.must(w.submit(w.transfer(w.accounts[4], w.accounts[0], 1)))
	if l, p := eth("eth_getTransactionCount", `["`+who+`","latest"]`), eth("eth_getTransactionCount", `["`+who+`","pending"]`); l != "0x0" || p != "0x1" {
		t.Errorf("latest %s, pending %s", l, p)
	}
	var block struct{ Number, Hash, ParentHash, Timestamp string }
	w.result("/eth", "eth_getBlockByNumber", `["latest",false]`, &block)
	if block.Hash != "0x"+head.Hash().String() || block.ParentHash != "0x"+head.Parent.String() || block.Timestamp != fmt.Sprintf("%#x", uint64(head.Time)/1000) {
		t.Errorf("%+v", block)
	}
	if r := w.call("/eth", `{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0xffff",false]}`); string(r.Result) != "null" {
		t.Errorf("a block that there is not: %s", r.Result)
	}
}

// ethers connects as a wallet does, and reads balance, nonce and head.
func TestEthersConnects(t *testing.T) {
	testenv.Need(t, "node")
	testenv.NeedFile(t, "../node_modules/ethers", "run npm ci")
	w := running(t, nil)
	srv := served(w)
	out, err := exec.CommandContext(t.Context(), "node", "testdata/connect.mjs", srv.URL+"/eth", w.accounts[4].at.String()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := fmt.Sprintf(`{"chain":"777","height":%d,"balance":"100000.0","nonce":0,"block":"0x%s"}`, w.ledger.Head().Header.Height, w.ledger.Head().Header.Hash())
	if strings.TrimSpace(string(out)) != want {
		t.Errorf("%s\nwant %s", out, want)
	}
}
