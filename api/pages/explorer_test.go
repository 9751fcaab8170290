package pages_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"tunic/slashing"
)

var screenshots = flag.String("screenshots", "", "write pictures of the main pages into this folder")

// TestBrowser drives a real browser through the explorer of a real network. All
// parts share one browser and one network, in this order.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("drives a browser")
	}
	n := startWorld(t)
	b := openBrowser(t, n.URL)
	parts := []struct {
		name string
		run  func(*browser, *world)
	}{
		{"what would be found", faultsAreFound},
		{"pages", everyPage},
		{"without JavaScript", withoutScript},
		{"filter and sort", filterAndSort},
		{"keyboard", keyboard},
		{"proof", judgeFile},
		{"compare", compareLists},
		{"map", pointAtMap},
		{"live", slashAppears},
		{"crowd", crowdOfRows},
		{"revert", goneBack},
		{"reconnect", comesBack},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) { part.run(&browser{t, b.tab}, n) })
	}
	if *screenshots != "" {
		t.Run("screenshots", func(t *testing.T) { takePictures(&browser{t, b.tab}, n) })
	}
}

// faultsAreFound is the test of the test: each kind of fault is found on a page
// that has it.
func faultsAreFound(b *browser, _ *world) {
	b.open("/proof")
	b.size(360, 740)
	if f, a := b.settled(), b.axeFaults(); len(f) > 0 || len(a) > 0 {
		b.Fatalf("before: %q %q", f, a)
	}
	for name, c := range map[string]struct{ do, found string }{
		"an inline style":      {`document.querySelector("h1").setAttribute("style", "margin: 0"), 1`, "Content Security Policy"},
		"an inline script":     {`document.body.append(Object.assign(document.createElement("script"), {text: "1"})), 1`, "Content Security Policy"},
		"an error":             {`setTimeout(() => { throw new Error("on purpose") }), 1`, "on purpose"},
		"a line of the script": {`console.error("on purpose"), 1`, "console.error"},
		"a missing file":       {`document.body.append(Object.assign(new Image(), {src: "/assets/none.svg", alt: "none"})), 1`, "answer 404"},
	} {
		eval[int](b, c.do)
		deadline := time.Now().Add(actionLimit)
		for found := ""; !strings.Contains(found, c.found); time.Sleep(5 * time.Millisecond) {
			if found += strings.Join(b.settled(), "\n"); time.Now().After(deadline) {
				b.Fatalf("%s was not found, but %q", name, found)
			}
		}
	}
	b.open("/proof")
	eval[int](b, `document.querySelector("label[for=proof]").remove(), document.querySelector("main").insertAdjacentHTML("beforeend", '<svg width="900" height="9"></svg>'), 1`)
	if f := strings.Join(b.axeFaults(), "\n"); !strings.Contains(f, "label (critical)") {
		b.Errorf("a field without a label: %q", f)
	}
	if w := eval[int](b, width); w <= 360 {
		b.Errorf("a page with a wide part is %d pixels wide", w)
	}
	b.size(1280, 900)
	b.settled()
}

// docsPath is the page that Swagger UI makes.
const docsPath = "/docs"

// width is how wide the page is, whatever hides it.
const width = "document.scrollingElement.scrollWidth"

// everyPage: no page has an error in its console, a request that fails, a
// serious fault of accessibility in either colour scheme, or more width than a
// phone.
func everyPage(b *browser, n *world) {
	for _, path := range n.pages(b) {
		b.settled()
		b.dark(false)
		b.open(path)
		if path == docsPath {
			b.wait("the operations", `document.querySelector(".opblock") !== null`)
		}
		for _, f := range b.axeFaults() {
			b.Errorf("%s: %s", path, f)
		}
		b.dark(true)
		for _, f := range b.axeFaults("color-contrast", "link-in-text-block") { // nothing else is another in the dark
			b.Errorf("%s, dark: %s", path, f)
		}
		b.size(360, 740)
		if w := eval[int](b, width); w > 360 {
			b.Errorf("%s is %d pixels wide on a screen of 360: %s", path, w, eval[string](b, widest))
		}
		b.size(1280, 900)
		for _, f := range b.settled() {
			b.Errorf("%s: %s", path, f)
		}
	}
	b.dark(false)
}

// widest names the elements that stick out to the right.
const widest = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > 361 && !e.closest(".table, nav, pre")).slice(0, 4)
	.map(e => e.tagName + "." + e.className + " " + (e.textContent || "").trim().slice(0, 40)).join("; ")`

// withoutScript: pages say and offer the same without JavaScript.
func withoutScript(b *browser, n *world) {
	for _, path := range n.pages(b) {
		if path == docsPath {
			continue // it says that it needs it, and where the same stands without
		}
		b.open(path)
		live := b.main()
		b.scripts(false)
		b.open(path)
		still := b.main()
		b.scripts(true)
		if live != still {
			b.Errorf("%s differs without JavaScript:\n%s", path, difference(live, still))
		}
	}
	b.settled()
}

// column is the text of a column of the nodes' table.
func column(b *browser, name string) []string {
	b.Helper()
	return eval[[]string](b, `[...document.querySelectorAll("#nodes tbody tr")].map(r => r.querySelector('[data-label="`+name+`"]').innerText.trim())`)
}

// filterAndSort: the nodes' form and the heads of its columns do what they say.
func filterAndSort(b *browser, n *world) {
	b.open("/nodes")
	if got := column(b, "Node"); len(got) != len(n.Relays) {
		b.Errorf("%d nodes, of %d", len(got), len(n.Relays))
	}
	b.do(chromedp.SetValue("#state", "decommissioned"), chromedp.Click("form.filter button"))
	b.wait("the filtered list", `new URL(location).searchParams.get("state") === "decommissioned" && document.readyState === "complete"`)
	if got := column(b, "State"); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return s != "decommissioned" }) {
		b.Errorf("decommissioned: %v", got)
	}
	b.do(chromedp.Click(`.states a[href="/nodes?state=tombstoned"]`))
	b.wait("another state", `new URL(location).searchParams.get("state") === "tombstoned" && document.readyState === "complete"`)
	id := n.Relays[doubleSigner].ID.String()
	if got := eval[[]string](b, `[...document.querySelectorAll("#nodes tbody a[data-id]")].map(a => a.dataset.id)`); !slices.Contains(got, id) {
		b.Errorf("tombstoned: %v, without %s", got, id)
	}

	b.open("/nodes")
	for _, want := range []struct{ click, aria, key string }{{"Stake", "descending", "-staked"}, {"Stake", "ascending", "staked"}} {
		b.do(chromedp.Click(`//table[@id="nodes"]//thead//a[text()="` + want.click + `"]`))
		b.wait("order "+want.key, `new URL(location).searchParams.get("order") === "`+want.key+`" && document.readyState === "complete"`)
		if got := eval[string](b, `document.querySelector("#nodes th[aria-sort]").ariaSort + " " + document.querySelector("#nodes th[aria-sort]").innerText`); !strings.HasPrefix(got, want.aria+" "+want.click) {
			b.Errorf("sorted %q, want %v", got, want)
		}
		stakes := eval[[]int64](b, `[...document.querySelectorAll('#nodes [data-label="Stake"] data')].map(d => +d.value)`)
		if want.aria == "descending" {
			slices.Reverse(stakes)
		}
		if len(stakes) != len(n.Relays) || !slices.IsSorted(stakes) || stakes[0] == stakes[len(stakes)-1] {
			b.Errorf("%s: %v", want.key, stakes)
		}
	}
	b.do(chromedp.SetValue("#search", id[:9]), chromedp.Click("form.filter button"))
	b.wait("what was searched", `new URL(location).searchParams.get("search") === "`+id[:9]+`" && document.readyState === "complete"`)
	if got := column(b, "Node"); len(got) != 1 || !strings.HasPrefix(got[0], id[:8]) {
		b.Errorf("search: %v", got)
	}
	if got := eval[string](b, `new URL(location).searchParams.get("order")`); got != "staked" {
		b.Errorf("the form forgot the order: %q", got)
	}
}

// keyboard: the first stop skips to the content; then come search, navigation
// and what the page is for, each to be seen; a slash goes to the search box.
func keyboard(b *browser, _ *world) {
	b.open("/nodes")
	tab := chromedp.KeyEvent(kb.Tab)
	b.do(tab)
	if got := focused(b); got != "Skip to the content" {
		b.Errorf("first stop: %q", got)
	}
	if !eval[bool](b, `(r => r.top >= 0 && r.height > 0)(document.activeElement.getBoundingClientRect())`) {
		b.Error("the skip link is not to be seen with the focus on it")
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	if got := eval[string](b, "location.hash + ' ' + document.activeElement.id"); got != "#content content" {
		b.Errorf("the skip link leads to %q", got)
	}
	b.open("/nodes")
	var stops []string
	for range 60 {
		b.do(tab)
		stops = append(stops, focused(b))
		if !eval[bool](b, `document.activeElement.matches(":focus-visible")`) {
			b.Errorf("the focus is not to be seen on %q", stops[len(stops)-1])
		}
	}
	order := -1
	for _, want := range []string{"q", "Overview", "Proof", "search", "state", "flag", "Filter", "Stake", "what to do"} {
		at := slices.IndexFunc(stops, func(s string) bool { return strings.HasPrefix(s, want) })
		if at <= order {
			b.Errorf("%q is stop %d, after %d: %q", want, at, order, stops)
		}
		order = max(order, at)
	}
	b.open("/map")
	b.do(chromedp.KeyEvent("/"))
	if got := focused(b); got != "q" {
		b.Errorf("/ goes to %q", got)
	}
}

// focused is the name or text of the element with the focus.
func focused(b *browser) string {
	b.Helper()
	return eval[string](b, `(e => e.name || e.textContent.trim() || e.getAttribute("aria-label") || e.tagName)(document.activeElement)`)
}

// judgeFile: a proof that is downloaded from a slash is judged as a file, step by
// step, and one with a changed byte is not believed.
func judgeFile(b *browser, n *world) {
	proof := n.proof(b, n.offence[slashing.DoubleDescriptor])
	dir := b.TempDir()
	forged := slices.Clone(proof)
	forged[len(forged)/2] ^= 1
	for name, c := range map[string]struct {
		file    []byte
		verdict []string
	}{"true": {proof, []string{"already punished"}}, "forged": {forged, []string{"invalid", "malformed"}}} {
		path := filepath.Join(dir, name+".bin")
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			b.Fatal(err)
		}
		b.open("/proof")
		b.do(chromedp.SetUploadFiles("#proof", []string{path}), chromedp.Click("form.stack button"))
		b.wait("a verdict", `document.querySelector(".verdict b") !== null && document.readyState === "complete"`)
		got := eval[string](b, `document.querySelector(".verdict b").textContent`)
		if !slices.Contains(c.verdict, got) {
			b.Errorf("%s: verdict %q", name, got)
		}
		answers := eval[[]string](b, `[...document.querySelectorAll(".steps-list li")].map(l => l.className)`)
		if name == "true" && (len(answers) < 8 || slices.Contains(answers, "no") || answers[len(answers)-1] != "past") {
			b.Errorf("steps of a true proof: %v", answers)
		}
		if name == "forged" && (len(answers) == 0 || answers[len(answers)-1] != "no") {
			b.Errorf("steps of a forged proof: %v", answers)
		}
	}
	b.settled()
}

// compareLists: the directory page compares two epochs.
func compareLists(b *browser, n *world) {
	b.open("/directory")
	b.do(chromedp.SetValue("#with", "1"), chromedp.Click("form.filter button"))
	b.wait("a comparison", `document.querySelector("#diff-h") !== null`)
	left := eval[[]string](b, `[...document.querySelectorAll('[aria-labelledby="diff-h"] .facts > div:nth-child(2) a')].map(a => a.dataset.id)`)
	for _, i := range []int{doubleSigner, silent} {
		if id := n.Relays[i].ID.String(); !slices.Contains(left, id) {
			b.Errorf("%s left the list, and the page says: %v", id, left)
		}
	}
	if got := eval[int](b, `document.querySelectorAll(".diff li").length`); got == 0 {
		b.Error("no member of an entry changed")
	}
}

// pointAtMap: who is pointed at is named, with all relays of the same operator.
func pointAtMap(b *browser, n *world) {
	b.open("/map")
	if got := eval[int](b, `document.querySelectorAll("svg.map a.node").length`); got != len(n.Relays) {
		b.Errorf("%d relays on the map, of %d", got, len(n.Relays))
	}
	id := n.Relays[0].ID.String()
	b.do(chromedp.Focus(`svg.map a[href="/nodes/` + id + `"]`))
	b.wait("what is pointed at", `document.querySelector(".pointed").textContent.startsWith("`+id[:6]+`")`)
	kin := eval[[]string](b, `[...document.querySelectorAll("svg.map a.kin")].map(a => a.getAttribute("href").slice(7))`)
	if same := n.Relays[n.Spec.Operators].ID.String(); !slices.Contains(kin, id) || !slices.Contains(kin, same) { // operators in turn
		b.Errorf("kin of %s: %v, without %s", id, kin, same)
	}
}

// slashAppears: a slash is in the live feed of a page that is open, within a
// second of its block.
func slashAppears(b *browser, n *world) {
	b.open("/")
	b.wait("the stream", `document.querySelector(".live.on") !== null`)
	before := eval[string](b, `document.querySelector('[data-add="slashes"]')?.textContent || ""`)
	eval[any](b, `new MutationObserver((_, o) => { if (document.querySelector("#feed li.slash.new")) { window.seenAt = Date.now(); o.disconnect(); } }).observe(document.querySelector("#feed"), {childList: true}), 1`)
	ctx, cancel := context.WithTimeout(context.Background(), actionLimit)
	defer cancel()
	if _, err := n.DoubleDescriptor(ctx, laterSigner); err != nil {
		b.Fatal(err)
	}
	sealing := time.Now()
	if err := n.Seal(ctx); err != nil {
		b.Fatal(err)
	}
	b.wait("the slash", "window.seenAt !== undefined")
	seen := time.UnixMilli(eval[int64](b, "window.seenAt"))
	b.Logf("the slash was on the page %v after its block began to be sealed", seen.Sub(sealing).Round(time.Millisecond))
	if got := eval[string](b, `document.querySelector("#feed li.slash").innerText`); !strings.Contains(got, "double-descriptor") || !strings.Contains(got, n.Relays[laterSigner].ID.String()[:8]) {
		b.Errorf("the feed says %q", got)
	}
	if after := eval[string](b, `document.querySelector('[data-add="slashes"]')?.textContent || ""`); after == before {
		b.Errorf("slashes were %q and are %q", before, after)
	}
	for _, f := range b.settled() {
		b.Errorf("live: %s", f)
	}
}
