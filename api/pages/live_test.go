package pages_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/chromedp/chromedp"

	"tunic/chain"
)

// crowdOfRows: many events in few blocks come in few steps, the newest on top,
// and no more rows are kept than there should be.
func crowdOfRows(b *browser, n *world) {
	b.open("/")
	b.wait("the stream", `document.querySelector(".live.on") !== null`)
	eval[any](b, `window.steps = 0, new MutationObserver(() => window.steps++).observe(document.querySelector("#feed"), {childList: true}), 1`)
	ctx, cancel := context.WithTimeout(context.Background(), actionLimit)
	defer cancel()
	const gifts = 60
	for range gifts {
		if err := n.Fund(ctx, n.Accounts[0].Address(), chain.TUN); err != nil {
			b.Fatal(err)
		}
	}
	head := n.Ledger.Head().Header
	b.wait("the newest block", `document.querySelector('[data-show="height"]').textContent === "`+fmt.Sprint(head.Height)+`"`)
	b.wait("its row", `document.querySelector('#newest-transactions tr td:last-child').textContent === "`+fmt.Sprint(head.Height)+`"`)
	b.wait("the feed", `document.querySelector("#feed a").pathname === document.querySelector("#newest-transactions a").pathname`)
	if rows := eval[int](b, `document.querySelectorAll("#feed li").length`); rows != 30 {
		b.Errorf("%d rows in the feed", rows)
	}
	if steps := eval[int](b, "window.steps"); steps == 0 || steps >= gifts {
		b.Errorf("the feed changed %d times for %d transactions", steps, gifts)
	}
	for _, f := range b.settled() {
		b.Errorf("a crowd: %s", f)
	}
}

// goneBack: when the network goes back to a snapshot the overview begins anew,
// and a list says that it is old.
func goneBack(b *browser, n *world) {
	ctx, cancel := context.WithTimeout(context.Background(), actionLimit)
	defer cancel()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	_, err := n.Ledger.Snapshot("before")
	must(err)
	for path, want := range map[string]string{
		"/":       `window.stale === undefined && document.body?.dataset.fork === String(was + 1)`,
		"/blocks": `window.stale === 1 && document.querySelector(".fresh").textContent === "This page is old – load it again"`,
	} {
		b.open(path)
		b.wait("the stream", `document.querySelector(".live.on") !== null`)
		eval[any](b, "window.stale = 1")
		was := eval[string](b, "document.body.dataset.fork")
		must(n.Seal(ctx))
		must(n.Seal(ctx))
		must(n.Revert(ctx, "before"))
		must(n.Seal(ctx))
		b.wait(path+" to see that the network went back", "((was) => "+want+")("+was+")")
	}
	b.settled() // a page that loads itself again leaves its stream
}

// comesBack: while the server is away the page says so, and when it is there
// again goes on where it was; unless it serves another network by then.
func comesBack(b *browser, n *world) {
	target, err := url.Parse(n.URL)
	if err != nil {
		b.Fatal(err)
	}
	before := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	var handler http.Handler = before
	at := "127.0.0.1:0"
	serve := func() (stop func()) {
		l, err := net.Listen("tcp", at)
		if err != nil {
			b.Fatal(err)
		}
		at = l.Addr().String()
		srv, ended := &http.Server{Handler: handler}, make(chan error, 1)
		go func() { ended <- srv.Serve(l) }()
		return func() {
			srv.Close()
			if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
				b.Errorf("serve: %v", err)
			}
		}
	}
	stop := serve()
	front := &browser{b.TB, &tab{ctx: b.ctx, base: "http://" + at}}
	front.open("/")
	front.wait("the stream", `document.querySelector(".live.on") !== null`)
	stop()
	front.wait("what it says while nobody answers", `document.querySelector(".live.off span").textContent === "reconnecting"`)
	ctx, cancel := context.WithTimeout(context.Background(), actionLimit)
	defer cancel()
	if err := n.Seal(ctx); err != nil { // while nobody is there to hear of it
		b.Fatal(err)
	}
	missed := n.Ledger.Head().Header.Height
	stop = serve()
	front.wait("the stream again", `document.querySelector(".live.on") !== null`)
	front.wait("the block that it missed", `document.querySelector('#newest-blocks a[href="/blocks/`+fmt.Sprint(missed)+`"]') !== null`)
	eval[any](front, "window.stale = 1")
	stop()
	front.wait("what it says while nobody answers", `document.querySelector(".live.off span").textContent === "reconnecting"`)
	handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status" {
			fmt.Fprintf(w, `{"genesis_hash": "%064d", "height": %d}`, 0, missed+9)
			return
		}
		before.ServeHTTP(w, r)
	})
	defer serve()()
	front.wait("the page of what is there now", `window.stale === undefined && document.querySelector(".live.on") !== null`)
	b.do(chromedp.Navigate("about:blank")) // leaves the proxy
	b.settled()
}
