package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"tunic/internal/httpx"
)

// reply is an answer that says more than the generated types can: entity tags,
// caching, one of two representations, a stream.
type reply func(w http.ResponseWriter) error

func (f reply) VisitGetBlockResponse(w http.ResponseWriter) error          { return f(w) }
func (f reply) VisitGetHeaderResponse(w http.ResponseWriter) error         { return f(w) }
func (f reply) VisitGetDirectoryResponse(w http.ResponseWriter) error      { return f(w) }
func (f reply) VisitGetDirectoryDeltaResponse(w http.ResponseWriter) error { return f(w) }
func (f reply) VisitGetParamsResponse(w http.ResponseWriter) error         { return f(w) }
func (f reply) VisitStreamEventsResponse(w http.ResponseWriter) error      { return f(w) }

// requestOf is the HTTP request behind a strict handler's context, which is
// gin's own.
func requestOf(ctx context.Context) *http.Request {
	return ctx.(*gin.Context).Request
}

// minGzip is the size from which compressing pays.
const minGzip = 1024

// stored is a body made once and served often.
type stored struct {
	media []string // the header's value, as those below
	plain coded
	gzip  coded // empty where it does not pay
}

// coded is a body in one coding.
type coded struct {
	bytes        []byte
	tag          string
	etag, length []string
}

func tagged(b []byte, tag string) coded {
	return coded{bytes: b, tag: tag, etag: []string{tag}, length: []string{strconv.Itoa(len(b))}}
}

// store keeps a body, packed too where that pays.
func store(media string, body []byte) stored {
	b := stored{media: []string{media}, plain: tagged(body, httpx.ETag(body))}
	if len(body) >= minGzip {
		if packed := httpx.Gzip(body, gzip.DefaultCompression); len(packed) < len(body) {
			b.gzip = tagged(packed, httpx.ETag(packed))
		}
	}
	return b
}

var codingGzip = []string{"gzip"}

// serve answers with b, or 304.
func (b stored) serve(r *http.Request, cache string) reply {
	return func(w http.ResponseWriter) error { return b.write(w, r, cache) }
}

// write answers r, a GET, with b or 304. It writes the header's map directly:
// this is what networks ask for most.
func (b *stored) write(w http.ResponseWriter, r *http.Request, cache string) error {
	h := w.Header()
	if set := h["Cache-Control"]; len(set) != 1 || set[0] != cache {
		h["Cache-Control"] = []string{cache}
	}
	vary, body, packed := varyAccept, &b.plain, false
	if b.gzip.bytes != nil {
		vary = varyCoding
		if httpx.TakesGzip(r) {
			body, packed = &b.gzip, true
		}
	}
	addVary(h, vary)
	h["Etag"] = body.etag
	if httpx.MatchETag(r.Header["If-None-Match"], body.tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if packed {
		h["Content-Encoding"] = codingGzip
	}
	h["Content-Type"], h["Content-Length"] = b.media, body.length
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body.bytes)
	return err
}

// object is v as a JSON object in Go's terms.
func object(v any) (out map[string]any, err error) {
	b, err := httpx.EncodeJSON(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&out)
	return out, err
}
