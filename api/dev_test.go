package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"tunic/api"
	"tunic/chain/genesis"
	"tunic/ledger"
)

const jsonType = "application/json"

// A snapshot, what it undoes, and the fork that follows, over the API.
func TestControls(t *testing.T) {
	w := running(t, nil)
	var snap struct {
		Name   string
		Height int64
	}
	head := func(a answer) (h struct{ Height, Fork, Epoch, TimeMs int64 }) {
		t.Helper()
		if a.StatusCode != 200 {
			t.Fatalf("%s %s", a.Status, a.body)
		}
		w.must(json.Unmarshal(bytes.ReplaceAll(a.body, []byte("time_ms"), []byte("TimeMs")), &h))
		return h
	}
	before := w.ledger.Head().Header
	a := w.post("/dev/snapshots", []byte(`{"name":"base"}`), jsonType)
	w.must(json.Unmarshal(a.body, &snap))
	if a.StatusCode != 200 || snap.Name != "base" || snap.Height != int64(before.Height) {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	if h := head(w.post("/dev/mine", []byte(`{"blocks":3}`), jsonType)); h.Height != snap.Height+3 || h.Fork != 0 {
		t.Fatalf("%+v", h)
	}
	if h := head(w.post("/dev/advance", []byte(`{"ms":3600000}`), jsonType)); h.TimeMs < int64(before.Time)+3600000 {
		t.Fatalf("%+v", h)
	}
	if h := head(w.post("/dev/revert", []byte(`{"name":"base"}`), jsonType)); h.Height != snap.Height+1 || h.Fork != 1 || h.TimeMs != int64(before.Time) {
		t.Fatalf("%+v", h)
	}
	to := w.accounts[4].at
	rich := w.ledger.NextNonce(to)
	head(w.post("/dev/fund", []byte(`{"address":"`+to.String()+`","amount":"5"}`), jsonType))
	if rich != 0 {
		t.Fatal("the account was to be unused")
	}
	if a := w.ok("/dev/snapshots", nil); !bytes.Contains(a.body, []byte(`"base"`)) {
		t.Fatalf("%s", a.body)
	}
	dump := w.ok("/dev/dump", nil)
	r, err := ledger.Load(t.Context(), filepath.Join(t.TempDir(), "db"), sealerKey(), bytes.NewReader(dump.body))
	if err != nil || r.Height != w.ledger.Head().Header.Height+1 {
		t.Fatalf("%+v, %v", r, err)
	}
	// The list of the epoch is served with a header of the present fork.
	h, _ := open(w, w.ok("/v1/directory", nil, "Accept", octets).body)
	if h.Header.Fork != 1 {
		t.Fatalf("directory with a header of fork %d", h.Header.Fork)
	}
	if b := w.ok("/v1/blocks/latest", nil); !bytes.Contains(b.body, []byte(`"kind":"dev"`)) {
		t.Fatalf("%s", b.body)
	}
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/dev/snapshots", `{"name":"base"}`, 409, "snapshot_refused"},
		{"/dev/snapshots", `{"name":"a b"}`, 400, "invalid_request"},
		{"/dev/snapshots", `{"name":"a","name":"b"}`, 400, "malformed_body"},
		{"/dev/snapshots", `{"name":"a","blocks":1}`, 400, "invalid_request"},
		{"/dev/revert", `{"name":"other"}`, 404, "snapshot_not_found"},
		{"/dev/mine", `{"blocks":0}`, 400, "invalid_request"},
		{"/dev/mine", `{"blocks":10001}`, 400, "invalid_request"},
		{"/dev/advance", `{"ms":-1}`, 400, "invalid_request"},
		{"/dev/fund", `{"address":"` + to.String() + `","amount":"0"}`, 422, "zero_amount"},
		{"/dev/fund", `{"address":"` + to.String() + `","amount":"18446744073709551615"}`, 409, "insufficient_funds"},
		{"/dev/fund", `{"address":"` + to.String() + `","amount":"99999999999999999999"}`, 400, "invalid_request"},
	} {
		if a := w.post(c.path, []byte(c.body), jsonType); a.StatusCode != c.status || !bytes.Contains(a.body, []byte(`"`+c.code+`"`)) {
			t.Errorf("%s %s: %s %s", c.path, c.body, a.Status, a.body)
		}
	}
	if a := w.do(http.MethodDelete, "/dev/snapshots/base", nil); a.StatusCode != 204 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	w.refused(w.do(http.MethodDelete, "/dev/snapshots/base", nil), 404, "snapshot_not_found")
}

// Who is not a program on this machine, or asks another network, finds nothing.
func TestControlsAreHidden(t *testing.T) {
	w := running(t, nil)
	for name, c := range map[string]struct {
		remote, host, header, value string
		status                      int
	}{
		"loopback":       {"127.0.0.1:999", "127.0.0.1:8400", "", "", 200},
		"ipv6":           {"[::1]:999", "[::1]:8400", "", "", 200},
		"by name":        {"127.0.0.1:999", "localhost:8400", "", "", 200},
		"another host":   {"10.0.0.7:999", "127.0.0.1:8400", "", "", 404},
		"a page":         {"127.0.0.1:999", "127.0.0.1:8400", "Origin", "https://a.test", 404},
		"a page's image": {"127.0.0.1:999", "127.0.0.1:8400", "Sec-Fetch-Site", "cross-site", 404},
		"a sister site":  {"127.0.0.1:999", "127.0.0.1:8400", "Sec-Fetch-Site", "same-site", 404},
		"our own page":   {"127.0.0.1:999", "127.0.0.1:8400", "Sec-Fetch-Site", "same-origin", 200},
		"typed in":       {"127.0.0.1:999", "127.0.0.1:8400", "Sec-Fetch-Site", "none", 200},
		"through proxy":  {"127.0.0.1:999", "127.0.0.1:8400", "X-Forwarded-For", "10.0.0.7", 404},
		"says no client": {"127.0.0.1:999", "127.0.0.1:8400", "X-Forwarded-For", "", 404},
		"a rebound name": {"127.0.0.1:999", "a.test:8400", "", "", 404},
		"no address":     {"", "127.0.0.1:8400", "", "", 404},
	} {
		r := httptest.NewRequest(http.MethodGet, "/dev/snapshots", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if rec.Code != c.status {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	w = empty(t, func(c *api.Config, l *ledger.Config) {
		l.Genesis.Dev, l.Genesis.Clock, l.Clock = false, genesis.ClockReal, nil
		c.Network = l.Genesis.Network()
	})
	w.refused(w.get("/dev/snapshots"), 404, "no_such_route")
	w.refused(w.get("/dev/dump"), 404, "no_such_route")
	w.refused(w.post("/dev/mine", []byte("junk"), jsonType), 404, "no_such_route")
	w.refused(w.post("/dev/step", []byte(`{"step":"seal"}`), jsonType), 404, "no_such_route")
}

// What a step gave, and each way in which it can fail, over the API.
func TestSteps(t *testing.T) {
	w := running(t, func(c *api.Config, _ *ledger.Config) {
		c.Step = func(_ context.Context, step string) (api.Step, error) {
			switch head := c.Ledger.Head().Header; step {
			case "seal":
				return api.Step{Head: head}, nil
			case "expect":
				return api.Step{Want: "this", Is: "that", Head: head}, nil
			case "transfer":
				return api.Step{Refused: "insufficient_funds", Head: head}, nil
			case "none":
				return api.Step{}, api.ErrNoSteps
			case "long":
				return api.Step{}, fmt.Errorf("%w: %s", api.ErrStep, strings.Repeat("x", 5000))
			}
			if strings.HasPrefix(step, "bad") {
				return api.Step{}, fmt.Errorf("%w: column 1: no", api.ErrStep)
			}
			return api.Step{}, errors.New("devnet: cannot")
		}
	})
	for _, c := range []struct {
		body   string
		status int
		holds  string
	}{
		{`{"step":"seal"}`, 200, `"ok":true`},
		{`{"step":"expect"}`, 200, `"expected":"this"`},
		{`{"step":"expect"}`, 200, `"ok":false`},
		{`{"step":"transfer"}`, 200, `"refused":"insufficient_funds"`},
		{`{"step":"none"}`, 404, `"no_steps"`},
		{`{"step":"bad"}`, 400, `"detail":"column 1: no"`},
		{`{"step":"bad"}`, 400, `"bad_step"`},
		{`{"step":"long"}`, 400, `"bad_step"`},
		{`{"step":"else"}`, 409, `"step_failed"`},
		{`{"step":""}`, 400, `"invalid_request"`},
		{`{"step":"seal","name":"x"}`, 400, `"invalid_request"`},
		{`{"step":"seal","step":"seal"}`, 400, `"malformed_body"`},
		{`{"step":"` + strings.Repeat("b", 4097) + `"}`, 400, `"invalid_request"`},
		{`{"step":"` + strings.Repeat("b", 1<<20) + `"}`, 413, `"body_too_large"`},
	} {
		a := w.post("/dev/step", []byte(c.body), jsonType)
		if a.StatusCode != c.status || !bytes.Contains(a.body, []byte(c.holds)) || len(a.body) > 2000 {
			t.Errorf("%.60s: %s %.300s", c.body, a.Status, a.body)
		}
	}
	w = running(t, nil)
	w.refused(w.post("/dev/step", []byte(`{"step":"seal"}`), jsonType), 404, "no_steps")
}
