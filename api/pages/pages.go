// Package pages is the explorer: the ledger's REST answers as HTML, for
// browsers with and without JavaScript. It implements docs/spec/explorer.md.
//
// It sees the network through the REST client alone: what a page shows, a script
// can ask for too. A page is an [action], which asks the client and gives a
// [view], and a template of the view's name; layout, headers, problems and the
// network's status around it are the same for all.
//
// It promises: what nodes and accounts wrote is escaped; each page carries a
// Content-Security-Policy that lets nothing run but this package's one script;
// pages work without that script.
package pages

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"html/template"
	"net/http"
	"strconv"

	"tunic/api/client"
	"tunic/internal/httpx"
)

// Config is what the pages need.
type Config struct {
	// API answers with what the pages show, within the process or over HTTP.
	API client.ClientWithResponsesInterface
	// Faucet says that there is a faucet: a dev chain.
	Faucet bool
}

// Route is one page. Serve finds the path's variables by r.PathValue; what it
// answers has its Content-Security-Policy.
type Route struct {
	Method, Path string // as in openapi.yaml, such as /blocks/{block}
	Serve        http.HandlerFunc
}

// Site is the explorer of one API. Safe for concurrent use.
type Site struct {
	cfg       Config
	api       client.ClientWithResponsesInterface
	templates map[string]*template.Template // by view.Template
}

// New returns the pages of an API.
func New(cfg Config) (*Site, error) {
	t, err := templates()
	if err != nil {
		return nil, fmt.Errorf("pages: templates: %w", err)
	}
	return &Site{cfg: cfg, api: cfg.API, templates: t}, nil
}

// Routes are all pages, and the files that they load.
func (s *Site) Routes() []Route {
	return []Route{
		s.page("/", s.overview),
		s.page("/blocks", s.blocks),
		s.page("/blocks/{block}", s.block),
		s.page("/transactions", s.transactions),
		s.page("/transactions/{id}", s.transaction),
		s.page("/accounts", s.accounts),
		s.page("/accounts/{address}", s.account),
		s.page("/nodes", s.nodes),
		s.page("/nodes/{node}", s.node),
		s.page("/validators", s.validators),
		s.page("/directory", s.directory),
		s.page("/epochs", s.epochs),
		s.page("/epochs/{epoch}", s.epoch),
		s.page("/slashes", s.slashes),
		s.page("/slashes/{offence}", s.slash),
		s.page("/map", s.networkMap),
		s.page("/proof", s.proof),
		{http.MethodPost, "/proof", s.serve(s.judge)},
		s.page("/params", s.params),
		s.page("/search", s.search),
		s.page("/faucet", s.faucet),
		{http.MethodPost, "/faucet", s.serve(s.fund)},
		{http.MethodGet, "/assets/{file}", serveAsset},
	}
}

// An action asks the API for one page. Its error is an httpx.Problem that the
// API answered with, or a failure to ask.
type action func(r *http.Request) (view, error)

// A view is what an action found.
type view struct {
	// Template is the name of a file in templates, without .html.
	Template string
	// Title is of the window; the network's name goes behind it.
	Title string
	// Nav is the path of the navigation's item that is marked as current.
	Nav string
	// Live names the kind of event (head, epoch, node, slash, transaction or
	// params) of which the script counts and announces new ones; with several,
	// commas between, the page shows them by itself. Empty: what the page shows
	// does not change.
	Live string
	// LiveOf narrows Live to events that hold this id.
	LiveOf string
	// Query is what the search box holds.
	Query string
	// Location, where it is set, is where the browser is sent instead: 303.
	Location string
	// Status is the answer's; 0 is 200.
	Status int
	// Problem is what a script gets in place of a form that is shown again.
	Problem *httpx.Problem
	// Data is the template's .Data.
	Data any

	status *client.Status // where the action has asked for it already
	bare   bool           // the API is not asked
}

// page is a GET route.
func (s *Site) page(path string, do action) Route {
	return Route{http.MethodGet, path, s.serve(do)}
}

func (s *Site) serve(do action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := do(r)
		switch {
		case err != nil:
			s.fail(w, r, err)
		case v.Location != "":
			secure(w.Header())
			w.Header().Set("Location", v.Location)
			w.WriteHeader(http.StatusSeeOther)
		case v.Problem != nil && !wantsHTML(r):
			s.fail(w, r, *v.Problem)
		default:
			s.render(w, r, v)
		}
	}
}

// policy lets a page use what comes from here, and no style or script within
// itself: neither style attributes nor event attributes work.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

// render writes a view, once its template has run to the end.
func (s *Site) render(w http.ResponseWriter, r *http.Request, v view) {
	f := s.frame(r, v)
	var b bytes.Buffer
	t := s.templates[v.Template]
	if t == nil {
		panic("pages: internal error: no template " + v.Template)
	}
	if err := t.ExecuteTemplate(&b, "layout", f); err != nil {
		panic("pages: internal error: template " + v.Template + ": " + err.Error())
	}
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Accept, Accept-Encoding")
	body := b.Bytes()
	if bytes.Contains(body, []byte(`method="post"`)) {
		// Without a referrer a form's origin is sent as null, and the server
		// takes forms of its own pages alone.
		h.Set("Referrer-Policy", "same-origin")
	}
	if httpx.TakesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = httpx.Gzip(body, gzip.BestSpeed)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(cmp.Or(v.Status, http.StatusOK))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// fail answers with what err means.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if !s.Problem(w, r, p) {
		httpx.WriteProblem(w, r, p)
	}
}
