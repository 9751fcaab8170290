package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tunic/internal/httpx"
)

// A refusal says what is wanted, in words of the API and not of Go.
func TestWordsOfRefusals(t *testing.T) {
	w := running(t, nil)
	for path, says := range map[string]string{
		"/v1/blocks?limit=ten":                         "limit: must be a whole number, at most 9223372036854775807",
		"/v1/nodes?height=99999999999999999999":        "height: must be a whole number, at most 9223372036854775807",
		"/v1/params?proof=yes":                         "proof: must be true or false",
		"/v1/nodes?search=":                            "search: is empty",
		"/v1/nodes?flag=odd":                           "flag: must be one of listed, unlisted, staked, open",
		"/v1/directory?epoch=700":                      "there is no list of epoch 700: it has not come, or is older than the last 16, which are kept",
		"/v1/nodes?search=" + strings.Repeat("a", 200): "search: must have at most 128 characters",
	} {
		var p httpx.Problem
		w.must(json.Unmarshal(w.get(path).body, &p))
		if p.Detail != says {
			t.Errorf("%s: %s", path, p.Detail)
		}
	}
	if p := w.refused(w.post("/dev/advance", []byte(`{"ms":9223372036854775807}`), jsonType), 400, "invalid_request"); p.Detail != "ms: must be at most 3153600000000" {
		t.Errorf("%s", p.Detail)
	}
	for path, says := range map[string]string{
		"/v1/transactions": "malformed transaction: input too short",
		"/v1/statements":   "malformed: input too short",
	} {
		if p := w.refused(w.post(path, []byte("x"), octets), 422, "malformed_transaction"); p.Detail != says {
			t.Errorf("%s: %s", path, p.Detail)
		}
	}
	for params, says := range map[string]string{
		`{"limit":"a"}`:                      "limit: wrong type: string where a whole number (int64) is wanted",
		`{"limit":99999999999999999999}`:     "limit: wrong type: number 99999999999999999999 where a whole number (int64) is wanted",
		`{"active_only":"yes"}`:              "active_only: wrong type: string where true or false is wanted",
		`{"service_node_pubkeys":"x"}`:       "service_node_pubkeys: wrong type: string where an array is wanted",
		`{"service_node_pubkeys":[1]}`:       "service_node_pubkeys: wrong type: number where a string is wanted",
		`{"fields":"some"}`:                  `fields: an object of names and true, an array of names, or "all"`,
		`{"poll_block_hash":{"height":"1"}}`: "poll_block_hash: wrong type: object where a string is wanted",
	} {
		r := w.call("/json_rpc", `{"jsonrpc":"2.0","id":1,"method":"get_service_nodes","params":`+params+`}`)
		if r.Error == nil || r.Error.Code != -32602 || r.Error.Message != says {
			t.Errorf("%s: %+v", params, r.Error)
		}
	}
}
