package pages

import (
	"net/http"
	"strings"

	"tunic/internal/httpx"
)

// Problem answers with a page about p where the request wants HTML, and
// reports whether it did; otherwise nothing was written.
func (s *Site) Problem(w http.ResponseWriter, r *http.Request, p httpx.Problem) bool {
	return s.problem(w, r, p, false)
}

// BareProblem does what Problem does without asking the API, so that the page
// costs little and comes even while the API fails.
func (s *Site) BareProblem(w http.ResponseWriter, r *http.Request, p httpx.Problem) bool {
	return s.problem(w, r, p, true)
}

func (s *Site) problem(w http.ResponseWriter, r *http.Request, p httpx.Problem, bare bool) bool {
	w.Header().Add("Vary", "Accept")
	if !wantsHTML(r) {
		return false
	}
	if p.Status < 400 || p.Status > 599 {
		p.Status = http.StatusInternalServerError
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	h := w.Header()
	for _, name := range []string{"Etag", "Last-Modified", "Content-Encoding", "Expires"} { // of an answer that was begun
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
	again, words := again(r, p.Status)
	s.render(w, r, view{Template: "problem", Title: p.Title, Status: p.Status, bare: bare, Data: struct {
		httpx.Problem
		Advice, Again, Words, Request string
	}{p, advice(p), again, words, httpx.RequestID(w)}})
	return true
}

// again is where a reader can try once more, in words; empty where that is of
// no use.
func again(r *http.Request, status int) (path, words string) {
	path = r.URL.EscapedPath()
	switch {
	case r.Method != http.MethodGet, strings.HasPrefix(path, "//"): // the latter would lead to another host
		return "", ""
	case status == http.StatusTooManyRequests, status >= 500:
		if r.URL.RawQuery != "" {
			path += "?" + r.URL.RawQuery
		}
		return path, "Load it again"
	case status == http.StatusNotFound, r.URL.RawQuery == "":
		return "", ""
	}
	return path, "From the beginning" // without what was asked of it
}

// wantsHTML reports whether Accept names text/html: a browser, not a script.
func wantsHTML(r *http.Request) bool {
	for name, weight := range httpx.Weights(r.Header["Accept"]) {
		if name == "text/html" {
			return weight > 0
		}
	}
	return false
}

// advice says what a reader can do.
func advice(p httpx.Problem) string {
	switch p.Code {
	case "no_such_route":
		return "Begin with the overview, or search for a height, a hash, an address or a node's id."
	case "method_not_allowed":
		return "Go back and follow a link of the page."
	case "block_not_found":
		return "Blocks begin at height 1 and end at the head. On a dev network that went back to a snapshot, later blocks are gone."
	case "transaction_not_found":
		return "A transaction that was refused is remembered for a while only. Check the id, or send it again: that does no harm."
	case "node_not_found":
		return "A node is known from its registration on. Check the id, or search for its beginning."
	case "epoch_not_found":
		return "Lists of the last epochs are kept. Choose a later one."
	case "offence_not_found":
		return "Slashes are listed from the newest on; choose one there."
	case "challenge_not_found":
		return "Challenges that are open or have lapsed are listed below the slashes; choose one there."
	case "invalid_cursor", "height_not_kept":
		return "The list has gone on since. Begin at its first page."
	case "invalid_request", "limit_too_large", "malformed_body":
		return "Check the address, or search for what you mean."
	case "no_head":
		return "The first block is sealed when something waits for it, or when its time has come; on a dev network, by `tunic dev mine`. Then load the page again."
	case "rate_limited", "too_many_streams":
		return "Wait a moment, then load the page again."
	case "ledger_halted":
		return "Ask another ledger of this network."
	}
	switch {
	case p.Status >= 500:
		return "Load the page again in a moment. If it stays so, tell who runs this server the request's id."
	case p.Status == http.StatusNotFound:
		return "Check the address, or search for what you mean."
	}
	return "Go back and try it differently."
}
