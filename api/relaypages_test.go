package api_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/slashing"
)

// cheated is a network in which relay 0 signed two descriptors under one
// sequence and was punished for it, and the proof.
func cheated(t *testing.T) (*world, slashing.Proof) {
	t.Helper()
	w := paged(t)
	l, header, err := w.ledger.List(1)
	w.must(err)
	p, err := slashing.Assemble(slashing.DoubleDescriptor, w.descriptor(w.relays[0], 2, 1).Encode(), w.descriptor(w.relays[0], 2, 2).Encode(), header, l)
	w.must(err)
	st := statement.Sign(w.ledger.Statements(), w.relays[1].key, statement.LabelProof, statement.NewSequence(1, 0), p.Encode())
	_, err = w.ledger.Publish(w.Context(), st.Encode())
	w.must(err)
	w.seal()
	return w, p
}

// upload sends a file as the form of /proof does.
func (w *world) upload(file []byte) page {
	w.Helper()
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, err := m.CreateFormFile("proof", "a.bin")
	w.must(err)
	_, err = part.Write(file)
	w.must(err)
	w.must(m.Close())
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, "http://api.test/proof", &form)
	w.must(err)
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Content-Type", m.FormDataContentType())
	res, err := w.client.Do(req)
	w.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	w.must(err)
	p := page{res, string(body)}
	p.check(w, "/proof")
	return p
}

// TestPagesNodes: all nodes, some of them, in an order; why one is not listed.
func TestPagesNodes(t *testing.T) {
	w := empty(t, nil)
	w.seal()
	w.shows("/nodes", "No node was registered yet")
	w.shows("/map", "There is no relay to show yet")
	w = paged(t)
	a, b, c := w.relays[0].id.String(), w.relays[1].id.String(), w.relays[2].id.String()
	all := w.shows("/nodes", a, b, c, "waits for 1000 TUN of stake", "/nodes/"+c+"#why", `href="/nodes?state=registered"`, `href="/nodes?order=-staked"`)
	if strings.Contains(all.body, "/nodes/"+a+"#why") {
		t.Error("a listed node has a reason not to be")
	}
	some := w.shows("/nodes?state=&flag=&search="+a[:12], a, "1 node as chosen")
	if strings.Contains(some.body, c) {
		t.Error("another node than the one searched for")
	}
	w.shows("/nodes?state=tombstoned", "No node is as chosen")
	up, down := w.shows("/nodes?order=staked&flag=", `aria-sort="ascending"`, `href="/nodes?order=-staked"`), w.shows("/nodes?order=-staked", `aria-sort="descending"`)
	if at := strings.Index(up.body, c); at > strings.Index(up.body, a) || strings.Index(down.body, c) < strings.Index(down.body, a) {
		t.Error("nodes are not in the order of their stakes")
	}
	for path, code := range map[string]string{"/nodes?state=nowhere": "invalid_request", "/nodes?order=colour": "invalid_request", "/nodes?cursor=AAAA": "invalid_cursor"} {
		if p := w.browse(http.MethodGet, path, ""); p.StatusCode != 400 || !strings.Contains(p.body, code) {
			t.Errorf("%s: %s", path, p.Status)
		}
	}
}

// TestPagesNode: a node with all that is known of it.
func TestPagesNode(t *testing.T) {
	w, p := cheated(t)
	listed, cheat, waits := w.relays[1].id.String(), w.relays[0].id.String(), w.relays[2].id.String()
	w.shows("/nodes/"+listed, "In the directory", w.accounts[1].at.String(), w.accounts[3].at.String(), "50 %", "Next onion key", "127.", "heartbeat",
		"tunic explain node "+listed, `class="sq ok"`)
	w.shows("/nodes/"+cheat, "Not in the directory", "tombstoned", "/slashes/"+p.ID().String(), "double-descriptor", `class="sq bad"`)
	w.shows("/nodes/"+waits, "Not in the directory", "1000 TUN missing", "What to do")
	if got := w.browse(http.MethodGet, "/nodes/"+strings.Repeat("0", 64), ""); got.StatusCode != 404 || !strings.Contains(got.body, "node_not_found") {
		t.Errorf("a node that was never registered: %s", got.Status)
	}
}

// TestPagesDirectory: a list, what commits to it, and what differs from another.
func TestPagesDirectory(t *testing.T) {
	w, _ := cheated(t)
	h := w.ledger.Head().Header
	cheat, listed := w.relays[0].id.String(), w.relays[1].id.String()
	w.shows("/directory", "Directory of epoch 1", h.Directory.String(), cheat, listed, "Removed since")
	w.publish(w.relays[1], 2)
	w.seal()
	w.epoch(2)
	next := w.shows("/directory?epoch=&with=1", "Directory of epoch 2", "From epoch 1 to 2", "/directory?epoch=1", "onion key", cheat)
	if !strings.Contains(next.body, `<del>`) {
		t.Error("what an entry was is not shown")
	}
	w.shows("/directory?epoch=1&with=1", "The two lists are the same", `rel="next"`)
	w.shows("/directory?epoch=2&with=99", "No comparison")
	if got := w.browse(http.MethodGet, "/directory?epoch=99", ""); got.StatusCode != 404 || !strings.Contains(got.body, "epoch_not_found") {
		t.Errorf("an epoch to come: %s", got.Status)
	}
	for _, path := range []string{"/directory?epoch=x", "/directory?with=-1"} {
		if got := w.browse(http.MethodGet, path, ""); got.StatusCode != 400 {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

// TestPagesSlashes: the timeline, and each step of verifying a proof.
func TestPagesSlashes(t *testing.T) {
	w := paged(t)
	w.shows("/slashes", "Nobody was punished yet")
	w, p := cheated(t)
	id := p.ID().String()
	w.shows("/slashes", "/slashes/"+id, "double-descriptor", "1 offence<", ">100 <", `class="chart wide"`)
	if p := w.browse(http.MethodGet, "/search?q="+strings.ToUpper(id[:9]), ""); p.Header.Get("Location") != "/slashes/"+id {
		t.Errorf("the beginning of an offence leads to %q", p.Header.Get("Location"))
	}
	w.shows("/", ` lost <data class="amount" value="100000000000"`, `href="/slashes/`+id+`">double-descriptor</a>, by signature`)
	one := w.shows("/slashes/"+id, w.relays[0].id.String(), w.accounts[0].at.String(), "Its own signatures", "The proof holds", "/v1/slashes/"+id+"/proof", "tunic proof verify",
		"to who reported it", "If many are punished at once")
	if got := strings.Count(one.body, `<li class="ok">`); got != 11 {
		t.Errorf("%d questions were answered with yes, of 11", got)
	}
	if !strings.Contains(one.body, `<li class="past">`) || strings.Contains(one.body, `<li class="no">`) {
		t.Error("the last answer is not that it is punished already")
	}
	if got := w.browse(http.MethodGet, "/slashes/"+strings.Repeat("0", 64), ""); got.StatusCode != 404 || !strings.Contains(got.body, "offence_not_found") {
		t.Errorf("an offence of nobody: %s", got.Status)
	}
	if got := w.browse(http.MethodGet, "/slashes?cursor=AAAA", ""); got.StatusCode != 400 || !strings.Contains(got.body, "invalid_cursor") {
		t.Errorf("a cursor of nothing: %s", got.Status)
	}
	// When the window is over, what else it cost.
	w.must(w.ledger.AdvanceTo(t.Context(), w.ledger.Head().Header.Time+chain.Time(w.gen.Params.CorrelationWindow)))
	w.shows("/slashes/"+id, "Because many were punished at once")
}

// TestPagesVerdict: an offence that a quorum found, with its votes.
func TestPagesVerdict(t *testing.T) {
	w := judging(t)
	for _, r := range w.relays[1:] {
		_, err := w.ledger.Publish(w.Context(), w.vote(r, w.relays[0], statement.ReasonLoss, 870))
		w.must(err)
	}
	w.seal()
	subject := w.relays[0].id.String()
	w.shows("/nodes/"+subject, "Votes of this epoch", "87 %")
	w.epoch(2)
	var id string
	for _, part := range strings.Split(w.shows("/slashes", "unavailable", "is decommissioned").body, `"`) {
		if rest, ok := strings.CutPrefix(part, "/slashes/"); ok {
			id = rest
		}
	}
	w.shows("/", ` was found <a href="/slashes/`+id+`">unavailable</a>, by vote`, ">verdict<") // nothing was lost
	w.shows("/slashes/"+id, "A quorum of other nodes", "4 votes", w.relays[1].id.String(), "87 %", "The proof holds", "Are the voters those that the beacon drew?")
	w.shows("/epochs/1", "1 judged, 1 found unfit", subject, "4 ballots", "loss")
	w.shows("/nodes/"+subject, `class="sq weak"`, "4 of 4 votes unfit", "score 87 %", `class="chart narrow"`)
}

// TestPagesProof: a file is judged, whatever it is.
func TestPagesProof(t *testing.T) {
	w, p := cheated(t)
	w.shows("/proof", `enctype="multipart/form-data"`, `type="file"`)
	if got := w.upload(p.Encode()); got.StatusCode != 200 || !strings.Contains(got.body, "<b>already punished</b>") || !strings.Contains(got.body, "/slashes/"+p.ID().String()) {
		t.Errorf("a true one: %s\n%s", got.Status, got.body)
	}
	forged := p
	forged.Header.Seal[0] ^= 1
	if got := w.upload(forged.Encode()); got.StatusCode != 200 || !strings.Contains(got.body, "<b>invalid</b>") || !strings.Contains(got.body, `<li class="no">`) {
		t.Errorf("a forged one: %s\n%s", got.Status, got.body)
	}
	if got := w.upload([]byte("<script>alert(1)</script>")); got.StatusCode != 200 || !strings.Contains(got.body, "<b>malformed</b>") || strings.Contains(got.body, "<script>alert") {
		t.Errorf("no proof: %s\n%s", got.Status, got.body)
	}
	if got := w.upload(nil); got.StatusCode != 422 || !strings.Contains(got.body, "Choose another") {
		t.Errorf("an empty file: %s\n%s", got.Status, got.body)
	}
	if got := w.upload(make([]byte, 40<<10)); got.StatusCode != 413 || !strings.Contains(got.body, "body_too_large") {
		t.Errorf("a large file: %s", got.Status)
	}
}

// TestPagesEpochs: what was in an epoch, and who judges whom.
func TestPagesEpochs(t *testing.T) {
	w := judging(t)
	w.epoch(3)
	all := w.shows("/epochs", `href="/epochs/3"`, `href="/epochs/1"`, "running", `class="chart wide"`)
	if strings.Index(all.body, `href="/epochs/3"`) > strings.Index(all.body, `href="/epochs/2"`) {
		t.Error("the newest epoch is not the first")
	}
	h := w.ledger.Head().Header
	w.shows("/epochs/latest", "Epoch 3", h.Beacon.String(), h.Directory.String(), fmt.Sprint("/directory?epoch=", h.DirEpoch), `rel="prev"`, "who judges whom")
	first := w.shows("/epochs/1", "5 quorums", w.relays[4].id.String(), "Nobody was voted on", `rel="next"`)
	if strings.Contains(first.body, `class="badge good">running`) {
		t.Error("an epoch that is over runs")
	}
	for path, status := range map[string]int{"/epochs/99": 404, "/epochs/x": 400} {
		if got := w.browse(http.MethodGet, path, ""); got.StatusCode != status {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

// TestPagesMap: each node once on the map and once in the list below it.
func TestPagesMap(t *testing.T) {
	w, _ := cheated(t)
	m := w.shows("/map", "tombstoned", `class="node registered"`, "1 node in the directory")
	for _, r := range w.relays {
		if got := strings.Count(m.body, `href="/nodes/`+r.id.String()+`"`); got != 2 {
			t.Errorf("node %s is there %d times", r.id, got)
		}
	}
}
