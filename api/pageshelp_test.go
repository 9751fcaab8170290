package api_test

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"tunic/api"
	"tunic/ledger"
)

// browse asks as a browser does, and reads what came as a page.
func (w *world) browse(method, path, form string) page {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, "http://api.test"+path, strings.NewReader(form))
	w.must(err)
	req.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := w.client.Transport.RoundTrip(req) // follows no redirect
	w.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	w.must(err)
	w.validate(method, path, res, body)
	p := page{Response: res, body: string(body)}
	if res.StatusCode == http.StatusSeeOther {
		return p
	}
	referrer := "no-referrer"
	if strings.Contains(p.body, `method="post"`) {
		referrer = "same-origin"
	}
	for name, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "Referrer-Policy": referrer, "X-Content-Type-Options": "nosniff"} {
		if got := res.Header.Get(name); got != want {
			w.Errorf("%s %s: %s is %q", method, path, name, got)
		}
	}
	csp := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) || strings.Contains(csp, "unsafe") {
			w.Errorf("%s %s: policy %q", method, path, csp)
		}
	}
	p.check(w, path)
	return p
}

// page is an answer to a browser.
type page struct {
	*http.Response
	body string
}

// voids are the elements without an end.
var voids = []string{"meta", "link", "input", "img", "br", "hr", "wbr"}

// check holds a page to what all pages keep: every element is closed in order,
// ids are there once, nothing is inline, and what labels and links within the
// page name is there.
func (p page) check(w *world, path string) {
	w.Helper()
	var open []string
	ids, refs := map[string]int{}, map[string]bool{}
	svg := false
	for z := html.NewTokenizer(strings.NewReader(p.body)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		t := z.Token()
		switch kind {
		case html.StartTagToken, html.SelfClosingTagToken:
			svg = svg || t.Data == "svg"
			if kind == html.StartTagToken && !slices.Contains(voids, t.Data) {
				open = append(open, t.Data)
			}
			for _, a := range t.Attr {
				switch {
				case a.Key == "id":
					ids[a.Val]++
				case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
					w.Errorf("%s: <%s %s>: the policy forbids it", path, t.Data, a.Key)
				case a.Key == "for" || a.Key == "aria-labelledby" || a.Key == "aria-describedby":
					for _, id := range strings.Fields(a.Val) {
						refs[id] = true
					}
				case (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#"):
					w.Errorf("%s: <%s> leads to %q", path, t.Data, a.Val)
				}
			}
			if t.Data == "style" || t.Data == "script" && !slices.ContainsFunc(t.Attr, func(a html.Attribute) bool { return a.Key == "src" }) {
				w.Errorf("%s: <%s> within the page", path, t.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != t.Data {
				w.Errorf("%s: </%s> closes %v", path, t.Data, open)
				return
			}
			open = open[:len(open)-1]
			svg = svg && t.Data != "svg"
		}
	}
	if len(open) > 0 {
		w.Errorf("%s: not closed: %v", path, open)
	}
	for id, n := range ids {
		if n > 1 {
			w.Errorf("%s: id %s is there %d times", path, id, n)
		}
	}
	for id := range refs {
		if ids[id] == 0 {
			w.Errorf("%s: names id %s, which is not there", path, id)
		}
	}
	for _, want := range []string{"<!doctype html>", `<html lang="en">`, "<h1", `<main id="content"`, `class="skip" href="#content"`} {
		if strings.Count(p.body, want) != 1 {
			w.Errorf("%s: %s is there %d times", path, want, strings.Count(p.body, want))
		}
	}
	for _, bad := range []string{"ZgotmplZ", "%!", "<no value>", "<nil>"} {
		if strings.Contains(p.body, bad) {
			w.Errorf("%s holds %s", path, bad)
		}
	}
}

// shows opens a page that has to hold some texts.
func (w *world) shows(path string, texts ...string) page {
	w.Helper()
	p := w.browse(http.MethodGet, path, "")
	if p.StatusCode != http.StatusOK {
		w.Fatalf("GET %s: %s\n%s", path, p.Status, p.body)
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			w.Errorf("%s does not hold %q:\n%s", path, text, p.body)
		}
	}
	return p
}

// paged is a network in epoch 1 whose server's failures show in the test.
func paged(t *testing.T) *world {
	t.Helper()
	return running(t, func(c *api.Config, _ *ledger.Config) { c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil)) })
}

// assetOf is the path of a file that a page loads.
func assetOf(body, name string) string {
	_, rest, _ := strings.Cut(body, "/assets/"+name+"-")
	rest, _, _ = strings.Cut(rest, "\"")
	return "/assets/" + name + "-" + rest
}
