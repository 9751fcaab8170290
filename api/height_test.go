package api_test

import (
	"bytes"
	"encoding/base64"
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
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/slashing"
)

// slashed is a network in which one node was caught: there is one row at least
// in every list of the state.
func slashed(t testing.TB, change func(*api.Config, *ledger.Config)) (*world, string) {
	t.Helper()
	w := running(t, change)
	l, header, err := w.ledger.List(1)
	w.must(err)
	proof, err := slashing.Assemble(slashing.DoubleDescriptor, w.descriptor(w.relays[1], 2, 1).Encode(), w.descriptor(w.relays[1], 2, 2).Encode(), header, l)
	w.must(err)
	st := statement.Sign(w.ledger.Statements(), w.relays[0].key, statement.LabelProof, statement.NewSequence(1, 0), proof.Encode())
	_, err = w.ledger.Publish(w.Context(), st.Encode())
	w.must(err)
	w.seal()
	var p oas.SlashPage
	w.ok("/v1/slashes", &p)
	if len(p.Items) != 1 {
		t.Fatalf("slashes %+v", p)
	}
	return w, p.Items[0].Offence
}

// stateful are the requests that height can be added to, each in the form wanted.
func (w *world) stateful(offence string) map[string]string {
	id := w.relays[1].id.String()
	stake := fmt.Sprintf("%x", append([]byte{1}, w.relays[1].id[:]...))
	return map[string]string{
		"/v1/params?proof=true": "application/json", "/v1/params?proof=false": "application/octet-stream",
		"/v1/accounts/" + w.accounts[0].at.String() + "?proof=true": "application/json",
		"/v1/accounts/" + chain.Address{7}.String() + "?proof=true": "application/json",
		"/v1/accounts?limit=1000":                                   "application/json",
		"/v1/stakes?limit=1000":                                     "application/json", "/v1/nodes?limit=1000": "application/json", "/v1/slashes?limit=1000": "application/json",
		"/v1/stakes/" + id + "?": "application/json", "/v1/nodes/" + id + "?": "application/json", "/v1/slashes/" + offence + "?": "application/json",
		"/v1/state/stakes/" + stake + "?": "application/octet-stream", "/v1/state/offences/00?": "application/octet-stream",
		fmt.Sprintf("/v1/state/params/%x?", state.ParamsKey()): "application/octet-stream",
	}
}

// plain is a body without what is of the present alone.
func plain(t testing.TB, body []byte) string {
	t.Helper()
	var v map[string]any
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	delete(v, "next_nonce")
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestHeight: what is asked with a height is answered as it was when that was
// the head, after blocks of all sorts and across epochs.
func TestHeight(t *testing.T) {
	w, offence := slashed(t, nil)
	asked := w.stateful(offence)
	then := map[int64]map[string]string{}
	for n := range 6 {
		height := int64(w.ledger.Head().Header.Height)
		then[height] = map[string]string{}
		for path, accept := range asked {
			then[height][path] = plain(t, w.ok(path, nil, "Accept", accept).body)
		}
		switch n {
		case 0, 3:
			w.must(w.submit(w.transfer(w.accounts[4], &account{at: chain.Address{9, byte(n)}}, 5)))
			w.seal()
		case 1, 4:
			w.epoch(chain.Epoch(n + 1))
		default:
			w.publish(w.relays[0], w.ledger.Head().Header.DirEpoch+1)
			w.seal()
		}
	}
	different := map[string]bool{}
	for height, bodies := range then {
		for path, want := range bodies {
			a := w.ok(fmt.Sprintf("%s&height=%d", path, height), nil, "Accept", asked[path])
			if got := plain(t, a.body); got != want {
				t.Errorf("%s at height %d:\n%s\nwas\n%s", path, height, got, want)
			}
			if bytes.Contains(a.body, []byte("next_nonce")) {
				t.Errorf("%s at height %d tells a nonce of now", path, height)
			}
			if c := a.Header.Get("Cache-Control"); c != "no-cache" {
				t.Errorf("%s at height %d: Cache-Control %q", path, height, c)
			}
			different[want] = true
		}
	}
	if len(different) < 5*len(asked) {
		t.Errorf("%d answers are different: too little has changed", len(different))
	}
	// Of the head the nonce is told, asked for with its height or without.
	head := w.ledger.Head().Header.Height
	var acc oas.Account
	if w.ok(fmt.Sprintf("/v1/accounts/%s?height=%d", w.accounts[4].at, head), &acc); acc.NextNonce == nil || *acc.NextNonce != "2" {
		t.Errorf("account at the head: %+v", acc)
	}
	for path, accept := range asked {
		p := w.refused(w.get(fmt.Sprintf("%s&height=%d", path, head+1), "Accept", accept), http.StatusNotFound, "height_not_found")
		if !strings.Contains(p.Detail, fmt.Sprint("the head is ", head)) {
			t.Errorf("%s above the head: %s", path, p.Detail)
		}
		w.refused(w.get(path+"&height=0", "Accept", accept), http.StatusBadRequest, "invalid_request")
	}
	// What was not there then is not found, though the height is.
	w.refused(w.get("/v1/slashes/"+offence+"?height=2"), http.StatusNotFound, "offence_not_found")
	w.refused(w.get("/v1/nodes/"+w.relays[1].id.String()+"?height=1"), http.StatusNotFound, "node_not_found")
	w.refused(w.get("/v1/stakes/"+w.relays[1].id.String()+"?height=1"), http.StatusNotFound, "stake_not_found")
}

// pageOf is one page of any list.
type pageOf struct {
	Height, Total int64
	Next          string            `json:"next_cursor"`
	Items         []json.RawMessage `json:"items"`
}

// TestPinnedLists: every later page of a list of the state is of the height of
// the first, though between any two pages rows come, change and go.
func TestPinnedLists(t *testing.T) {
	w, _ := slashed(t, nil)
	for n, path := range []string{"/v1/accounts?limit=1", "/v1/stakes?limit=1", "/v1/nodes?limit=1", "/v1/nodes?state=tombstoned&limit=1", "/v1/slashes?limit=1"} {
		height := int64(w.ledger.Head().Header.Height)
		if n%2 == 1 {
			height-- // asked for, not the head
			path += fmt.Sprint("&height=", height)
		}
		var all pageOf
		w.ok(strings.Replace(path, "limit=1", "limit=1000", 1), &all)
		got, cursor := []json.RawMessage{}, ""
		for i := 0; ; i++ {
			var p pageOf
			w.ok(path+cursor, &p)
			if p.Height != height || p.Total != all.Total {
				t.Errorf("%s: page %d is of height %d with %d in all, want %d with %d", path, i, p.Height, p.Total, height, all.Total)
			}
			if got = append(got, p.Items...); p.Next == "" {
				break
			}
			cursor = "&cursor=" + p.Next
			w.must(w.submit(w.transfer(w.accounts[4], &account{at: chain.Address{1, byte(n), byte(i)}}, 5))) // new rows before and behind
			w.must(w.submit(w.transfer(w.accounts[3], &account{at: chain.Address{0xff - byte(n), byte(i)}}, 5)))
			w.epoch(w.ledger.Head().Header.DirEpoch + 1)
		}
		if fmt.Sprintf("%s", got) != fmt.Sprintf("%s", all.Items) || len(got) == 0 {
			t.Errorf("%s: in pages %s, at once %s", path, got, all.Items)
		}
	}
}

// TestHeightNotKept: below the states that are kept, a list or a height is gone,
// and the answer says where states begin.
func TestHeightNotKept(t *testing.T) {
	w, offence := slashed(t, func(_ *api.Config, l *ledger.Config) { l.KeepStates = 2 })
	var p pageOf
	w.ok("/v1/accounts?limit=1", &p)
	next := "/v1/accounts?limit=1&cursor=" + p.Next
	for range 2 {
		w.seal()
		w.ok(next, nil)
	}
	w.seal()
	kept := w.ledger.Head().Header.Height - 2
	gone := map[string]string{next: "application/json"}
	for path, accept := range w.stateful(offence) {
		gone[fmt.Sprintf("%s&height=%d", path, kept-1)] = accept
		w.ok(fmt.Sprintf("%s&height=%d", path, kept), nil, "Accept", accept)
	}
	for path, accept := range gone {
		problem := w.refused(w.get(path, "Accept", accept), http.StatusGone, "height_not_kept")
		if !strings.Contains(problem.Detail, fmt.Sprintf("from height %d on", kept)) || !strings.Contains(problem.Detail, "begin a list again") {
			t.Errorf("%s: %s", path, problem.Detail)
		}
	}
}

// TestCursorOfAnotherHistory: a cursor is of use in the history that it was made
// in, and for its own height.
func TestCursorOfAnotherHistory(t *testing.T) {
	w := running(t, nil)
	_, err := w.ledger.Snapshot("s")
	w.must(err)
	lists := []string{"/v1/accounts?limit=1", "/v1/stakes?limit=1", "/v1/nodes?limit=1", "/v1/blocks?limit=1"}
	follow := func() map[string]string {
		out := map[string]string{}
		for _, path := range lists {
			var p pageOf
			w.ok(path, &p)
			out[path] = path + "&cursor=" + p.Next
		}
		return out
	}
	before := follow() // of the snapshot's own height
	w.seal()
	lost := follow()
	w.seal()
	w.seal()
	above := follow()
	_, err = w.ledger.Revert(t.Context(), "s")
	w.must(err)
	lostCursor := func(path string) httpx.Problem {
		t.Helper()
		return w.refused(w.get(path), http.StatusBadRequest, "invalid_cursor")
	}
	for range 2 { // with the height there again, and above the head
		for _, path := range lists {
			w.ok(before[path], nil)
			for _, url := range []string{lost[path], above[path]} {
				if p := lostCursor(url); !strings.Contains(p.Detail, "begin the list again") {
					t.Errorf("%s: %s", url, p.Detail)
				}
			}
		}
		for range 5 {
			w.seal()
		}
	}
	now := follow()
	head := w.ledger.Head().Header.Height
	w.ok(now[lists[0]]+fmt.Sprint("&height=", head), nil)
	lostCursor(now[lists[0]] + fmt.Sprint("&height=", head-1))
	// Nothing of a cursor can be changed, and those of version 1 are no more.
	_, text, _ := strings.Cut(now[lists[0]], "cursor=")
	b, err := base64.RawURLEncoding.DecodeString(text)
	w.must(err)
	for i := range 1 + 8 + 8 + 4 + 4 {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		lostCursor("/v1/accounts?limit=1&cursor=" + base64.RawURLEncoding.EncodeToString(bad))
	}
	lostCursor("/v1/accounts?limit=1&cursor=" + base64.RawURLEncoding.EncodeToString(append(append([]byte{1}, b[1:9]...), b[17:]...)))
}

// TestListBeforeTheFirstBlock: what was begun then goes on after it.
func TestListBeforeTheFirstBlock(t *testing.T) {
	w := empty(t, nil)
	seen, cursor := 0, ""
	for {
		var p pageOf
		w.ok("/v1/accounts?limit=2"+cursor, &p)
		if p.Height != 0 || p.Total != int64(len(w.accounts)) {
			t.Errorf("page of height %d, %d in all", p.Height, p.Total)
		}
		if seen += len(p.Items); p.Next == "" {
			break
		}
		cursor = "&cursor=" + p.Next
		w.must(w.submit(w.transfer(w.accounts[0], &account{at: chain.Address{0xff, byte(seen)}}, 5)))
		w.seal()
	}
	if seen != len(w.accounts) {
		t.Errorf("%d accounts", seen)
	}
}
