package pages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"tunic/internal/testenv"
)

const (
	// wholeLimit ends the browser and all that waits for it, whatever happens.
	wholeLimit = 5 * time.Minute
	// actionLimit is how long one thing may take in the browser.
	actionLimit = 20 * time.Second

	axePath = "../../node_modules/axe-core/axe.min.js"
)

// browser is the tab as one test uses it.
type browser struct {
	testing.TB
	*tab
}

// tab is one Chromium with one tab, and what went wrong in it.
type tab struct {
	ctx  context.Context
	base string
	axe  string // the script

	mu     sync.Mutex
	faults []string
}

// openBrowser starts Chromium. It ends with the test, or after wholeLimit.
func openBrowser(t testing.TB, base string) *browser {
	t.Helper()
	testenv.Need(t, "chromium")
	testenv.NeedFile(t, axePath, "run npm ci")
	axe, err := os.ReadFile(axePath)
	if err != nil {
		t.Fatal(err)
	}
	// The first action decides how long the browser lives, so that it has no
	// deadline of its own.
	whole, cancel := context.WithCancel(context.Background())
	limit := time.AfterFunc(wholeLimit, cancel)
	alloc, stop := chromedp.NewExecAllocator(whole, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("disable-dev-shm-usage", true))...)
	ctx, closeTab := chromedp.NewContext(alloc)
	b := &browser{t, &tab{ctx: ctx, base: base, axe: string(axe)}}
	t.Cleanup(func() {
		closeTab() // waits for the process
		stop()
		limit.Stop()
		cancel()
	})
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return b
}

// hear notes what a user would find in the console as an error.
func (b *tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.fault("exception: %s %s", e.ExceptionDetails.Text, describe(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.fault("console.%s: %v", e.Type, describe(e.Args...))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.fault("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" { // a page that is left ends its stream
			b.fault("request failed: %s %s", e.ErrorText, e.BlockedReason)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			b.fault("answer %d: %s", e.Response.Status, e.Response.URL)
		}
	}
}

func describe(objects ...*runtime.RemoteObject) string {
	var out []string
	for _, o := range objects {
		if o != nil {
			out = append(out, o.Description+string(o.Value))
		}
	}
	return strings.Join(out, " ")
}

func (b *tab) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

// settled returns what went wrong since it was last asked.
func (b *tab) settled() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.faults
	b.faults = nil
	return out
}

// do takes actions, each within its time.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	for _, a := range actions {
		ctx, cancel := context.WithTimeout(b.ctx, actionLimit)
		err := chromedp.Do(ctx, a)
		cancel()
		if err != nil {
			b.Fatalf("in the browser: %v (faults: %v)", err, b.settled())
		}
	}
}

// eval is a value of the page's; a promise is waited for.
func eval[T any](b *browser, expression string) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, actionLimit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("evaluate %.120q: %v", expression, err)
	}
	return v
}

// open loads a page of the explorer.
func (b *browser) open(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

// wait returns when an expression is true.
func (b *browser) wait(what, expression string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, actionLimit)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if ok && err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.Fatalf("waited in vain for %s: %s (%v; faults: %v)", what, expression, err, b.settled())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// call sends a command of the DevTools protocol.
func call[P, R any](b *browser, send func(ctx context.Context, params P) (R, error), params P) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, actionLimit)
	defer cancel()
	if _, err := send(ctx, params); err != nil {
		b.Fatalf("in the browser: %v", err)
	}
}

// dark sets what the system of the reader prefers.
func (b *browser) dark(on bool) {
	b.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[on]
	call(b, func(ctx context.Context, p emulation.SetEmulatedMediaParams) (any, error) {
		return chromedp.Call(ctx, emulation.SetEmulatedMedia, p)
	}, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// scripts lets pages run their script, or not.
func (b *browser) scripts(on bool) {
	b.Helper()
	call(b, func(ctx context.Context, p emulation.SetScriptExecutionDisabledParams) (any, error) {
		return chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, p)
	}, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// size sets the window's size in CSS pixels; the scale is that of the screen.
func (b *browser) size(width, height int64) {
	b.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// violation is what axe found.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		Target         []any
		FailureSummary string
	}
}

// axeFaults are the serious faults of accessibility of the page as it is, by
// some rules or by all.
func (b *browser) axeFaults(rules ...string) (out []string) {
	b.Helper()
	only := "undefined"
	if len(rules) > 0 {
		only = `["` + strings.Join(rules, `", "`) + `"]`
	}
	if !eval[bool](b, "typeof axe !== 'undefined'") {
		eval[any](b, b.axe+";1")
	}
	text := eval[string](b, `axe.run(document, {resultTypes: ["violations"], runOnly: `+only+`}).then(r => JSON.stringify(r.violations))`)
	var all []violation
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		b.Fatal(err)
	}
	for _, v := range all {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		for _, n := range v.Nodes[:min(len(v.Nodes), 6)] {
			out = append(out, fmt.Sprintf("%s (%s): %.160s %s", v.ID, v.Impact, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " ")))
		}
	}
	return out
}

// main is the page's content for comparison: its headings, how many rows each
// table has, and what its links lead to. What the head's time and the stream
// change is left out.
func (b *browser) main() string {
	b.Helper()
	return eval[string](b, `JSON.stringify({
		title: document.title,
		headings: [...document.querySelectorAll("main h1, main h2, main h3")].map(e => e.innerText),
		rows: [...document.querySelectorAll("main table")].map(e => e.rows.length),
		links: [...new Set([...document.querySelectorAll("main a[href]")].map(e => e.getAttribute("href")))].sort(),
		fields: [...document.querySelectorAll("main input, main select, main button:not(.copy)")].map(e => e.name || e.innerText),
	}, null, 1)`)
}

// difference of two texts, by line.
func difference(a, b string) string {
	as, bs := lines(a), lines(b)
	var out []string
	for _, l := range slices.Sorted(maps.Keys(as)) {
		if !bs[l] {
			out = append(out, "- "+l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(bs)) {
		if !as[l] {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

func lines(text string) map[string]bool {
	out := map[string]bool{}
	for l := range strings.Lines(text) {
		out[strings.TrimSpace(l)] = true
	}
	return out
}
