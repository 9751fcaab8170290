package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

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

// representation is one of the two forms of an answer.
type representation uint8

const (
	asJSON representation = iota
	asOctets
)

func (r representation) mediaType() string {
	if r == asOctets {
		return typeOctets
	}
	return typeJSON
}

// negotiate picks the form that Accept prefers: JSON where both are as good, as
// without the header.
func negotiate(r *http.Request) (representation, error) {
	accept := strings.Join(r.Header["Accept"], ",")
	switch strings.TrimSpace(accept) {
	case "", "*/*", typeJSON: // what most send
		return asJSON, nil
	case typeOctets:
		return asOctets, nil
	}
	j, o := quality(accept, typeJSON), quality(accept, typeOctets)
	switch {
	case j == 0 && o == 0:
		return asJSON, problem(http.StatusNotAcceptable, codeNotAcceptable, "there is "+typeJSON+" and "+typeOctets)
	case o > j:
		return asOctets, nil
	}
	return asJSON, nil
}

// quality is how much (0 to 1000) an Accept header wants a media type; the most
// specific range that matches counts.
func quality(accept, media string) int {
	best, q := -1, 0
	group, _, _ := strings.Cut(media, "/")
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		specific := -1
		switch strings.ToLower(strings.TrimSpace(name)) {
		case media:
			specific = 2
		case group + "/*":
			specific = 1
		case "*/*":
			specific = 0
		}
		if specific > best {
			best, q = specific, weight(params)
		}
	}
	return q
}

// weight reads q out of a range's parameters, in thousandths; 1000 without.
func weight(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(f >= 0 && f <= 1) {
				return 0
			}
			return int(f * 1000)
		}
	}
	return 1000
}

// takesGzip reports whether the client wants gzip at least as much as no coding.
func takesGzip(r *http.Request) bool {
	values := r.Header["Accept-Encoding"]
	if len(values) == 1 && values[0] == "gzip" {
		return true
	}
	gzip, any, identity := -1, -1, 1
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			gzip = weight(params)
		case "*":
			any = weight(params)
		case "identity":
			identity = weight(params)
		}
	}
	if gzip < 0 {
		gzip = any
	}
	return gzip > 0 && gzip >= identity
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
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(body) // neither can fail into memory
		_ = z.Close()
		if packed.Len() < len(body) {
			b.gzip = tagged(packed.Bytes(), httpx.ETag(packed.Bytes()))
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
		if takesGzip(r) {
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

// encodeJSON is v as the API writes it.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return b.Bytes(), nil
}

// object is v as a JSON object in Go's terms.
func object(v any) (out map[string]any, err error) {
	b, err := encodeJSON(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&out)
	return out, err
}
