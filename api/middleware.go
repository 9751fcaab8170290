package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"tunic/internal/httpx"
)

// heavyWait is how long a request for a directory waits for its turn at most.
const heavyWait = 50 * time.Millisecond

// heavy names the requests whose answers are large.
func heavy(r *http.Request) bool {
	return r.Method != http.MethodHead && strings.HasPrefix(r.URL.Path, "/v1/directory")
}

type headKey struct{}

// headAsGet lets every GET route answer HEAD: handlers see a GET, the server
// keeps the body back because the request it got is a HEAD.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, true))
			r.Method = http.MethodGet
			w = bodiless{w}
		}
		next.ServeHTTP(w, r)
	})
}

// isHead reports whether the client asked with HEAD.
func isHead(ctx context.Context) bool {
	head, _ := ctx.Value(headKey{}).(bool)
	return head
}

// bodiless drops what is written; the head of the answer goes out.
type bodiless struct{ http.ResponseWriter }

func (b bodiless) Write(p []byte) (int, error) { return len(p), nil }

func (b bodiless) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// noRoute answers what no path is, or none for the caller.
func noRoute(c *gin.Context) {
	httpx.LeaveBody(c.Writer, c.Request)
	fail(c, problem(http.StatusNotFound, codeNoRoute, "there is no such path"))
}

// noMethod answers OPTIONS, and 405 to the methods that a path has not.
func noMethod(c *gin.Context) {
	allow := strings.Split(c.Writer.Header().Get("Allow"), ", ")
	if slices.Contains(allow, http.MethodGet) {
		allow = append(allow, http.MethodHead)
	}
	allow = append(allow, http.MethodOptions)
	slices.Sort(allow)
	list := strings.Join(allow, ", ")
	c.Header("Allow", list)
	if c.Request.Method == http.MethodOptions {
		c.Status(http.StatusNoContent)
		c.Writer.WriteHeaderNow()
		return
	}
	httpx.LeaveBody(c.Writer, c.Request)
	fail(c, problem(http.StatusMethodNotAllowed, codeMethod, "this path answers "+list))
}

// What answers depend on. Nobody may write to these slices; whoever appends to
// one gets a copy, since they are full.
var (
	varyOrigin = []string{"Origin"}
	varyAccept = []string{"Accept"}
	varyCoding = []string{"Accept, Accept-Encoding"}
	varyAll    = []string{"Origin, Accept, Accept-Encoding"}
)

// addVary adds to the header Vary.
func addVary(h http.Header, on []string) {
	switch before := h["Vary"]; {
	case len(before) == 0:
	case len(before) == 1 && &before[0] == &varyOrigin[0] && &on[0] == &varyCoding[0]:
		on = varyAll
	default:
		on = append(slices.Clip(before), on...)
	}
	h["Vary"] = on
}

// crossOrigin lets pages of the given origins read, and nothing else: by GET and
// HEAD, and by the JSON-RPC, no method of which changes anything.
func crossOrigin(origins []string, next http.Handler) http.Handler {
	all := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var origin string
		if given := r.Header["Origin"]; len(given) > 0 {
			origin = given[0]
		}
		h := w.Header()
		addVary(h, varyOrigin)
		if origin != "" && (all || slices.Contains(origins, origin)) {
			if all {
				origin = "*"
			}
			rpc := r.URL.Path == "/json_rpc" || r.URL.Path == "/eth"
			switch {
			case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodPost && rpc:
				h.Set("Access-Control-Allow-Origin", origin)
				h.Set("Access-Control-Expose-Headers", "ETag, Link, Retry-After, "+httpx.RequestIDHeader)
			case r.Method == http.MethodOptions:
				methods, headers := "GET, HEAD", "Accept, If-None-Match, Last-Event-ID, "+httpx.RequestIDHeader
				if rpc {
					methods, headers = "POST", "Accept, Content-Type, "+httpx.RequestIDHeader
				}
				h.Set("Access-Control-Allow-Origin", origin)
				h.Set("Access-Control-Allow-Methods", methods)
				h.Set("Access-Control-Allow-Headers", headers)
				h.Set("Access-Control-Max-Age", "600")
			}
		}
		next.ServeHTTP(w, r)
	})
}
