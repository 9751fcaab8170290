package node_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"tunic/node"
)

// What the metrics say after known requests; and that their labels are bounded
// and name nobody.
func TestMetrics(t *testing.T) {
	url, admin, end := started(t, node.LedgerConfig{Dir: makeLedger(t), Rate: 0.001, Admin: "127.0.0.1:0"})
	defer end()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(url string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
			if header[i] == "Host" {
				req.Host = header[i+1]
			}
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if code, _ := get(url + "/v1/status"); code != 200 {
		t.Fatalf("%d", code)
	}
	for range 2 { // the second request from one address is one too many
		if code, _ := get(url + "/v1/status"); code != 429 {
			t.Fatalf("%d", code)
		}
	}
	code, text := get(admin + "/metrics")
	if code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	for _, line := range []string{
		`tunic_http_requests_total{operation="getStatus",status="2xx"} 1`,
		`tunic_http_requests_total{operation="none",status="4xx"} 2`,
		`tunic_http_request_duration_seconds_count{operation="getStatus"} 1`,
		`tunic_http_requests_in_flight 0`, `tunic_event_streams 0`, `tunic_http_rate_limited_total 2`, `tunic_http_panics_total 0`,
		`tunic_ledger_up 1`, `tunic_mempool_transactions 0`, `tunic_nodes{state="active"} 0`, `tunic_nodes{state="tombstoned"} 0`, `tunic_nodes_listed 0`,
		`tunic_epoch 0`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, name := range []string{"tunic_height", "tunic_block_seal_duration_seconds_count", "go_goroutines", "go_memstats_heap_alloc_bytes"} {
		if !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("no %s", name)
		}
	}
	if found := regexp.MustCompile(`127\.0\.0\.1|[0-9a-f]{64}|0x[0-9a-fA-F]{40}`).FindString(text); found != "" {
		t.Errorf("it names %s", found)
	}
	for _, c := range []struct {
		path   string
		status int
		header []string
	}{
		{"/debug/pprof/", 200, nil}, {"/debug/pprof/goroutine?debug=1", 200, nil}, {"/debug/pprof/cmdline", 200, nil},
		{"/metrics", 200, []string{"Sec-Fetch-Site", "none"}},
		{"/", 404, nil}, {"/v1/status", 404, nil},
		{"/metrics", 403, []string{"Sec-Fetch-Site", "cross-site"}}, {"/debug/pprof/", 403, []string{"Origin", "https://a.test"}},
		{"/debug/pprof/", 403, []string{"Host", "a.test:9400"}}, {"/metrics", 403, []string{"X-Forwarded-For", "10.0.0.7"}},
	} {
		if code, body := get(admin+c.path, c.header...); code != c.status || code >= 400 && !strings.Contains(body, `"code":`) {
			t.Errorf("%s %v: %d %.200s", c.path, c.header, code, body)
		}
	}
	// The public listener has neither.
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if code, _ := get(url + path); code == 200 {
			t.Errorf("%s is public", path)
		}
	}
}
