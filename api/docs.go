package api

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/swaggest/swgui/v5/static"

	"tunic/api/oas"
	"tunic/internal/httpx"
)

// The page of Swagger UI, whose script and style come from a Go module: nothing
// in it is fetched from elsewhere, and nothing of it is inline.
var (
	//go:embed docs/index.html
	docsPage []byte
	//go:embed docs/start.js
	docsStart []byte
	//go:embed docs/start.css
	docsStyle []byte
)

// docsPolicy lets /docs run its own scripts, ask this server, and show the
// images within its style sheet; no page may frame it.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsFiles are the files beside the page.
var docsFiles = sync.OnceValues(readDocsFiles)

func readDocsFiles() (map[string]stored, error) {
	files := map[string]stored{"start.js": store("text/javascript; charset=utf-8", docsStart), "start.css": store("text/css; charset=utf-8", docsStyle)}
	for name, media := range map[string]string{
		"swagger-ui-bundle.js.gz": "text/javascript; charset=utf-8", "swagger-ui.css.gz": "text/css; charset=utf-8", "favicon-32x32.png": "image/png",
	} {
		b, err := static.FS.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		f := stored{media: []string{media}, plain: tagged(b, httpx.ETag(b))}
		if plain, ok := strings.CutSuffix(name, ".gz"); ok {
			z, err := gzip.NewReader(bytes.NewReader(b))
			var body []byte
			if err == nil {
				body, err = io.ReadAll(z)
			}
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			name, f.gzip, f.plain = plain, f.plain, tagged(body, httpx.ETag(body))
		}
		files[name] = f
	}
	return files, nil
}

// docs are the routes that show openapi.yaml to people.
func (s *server) docs() []handler {
	page := store("text/html; charset=utf-8", docsPage)
	return []handler{
		{http.MethodGet, "/docs", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", docsPolicy)
			w.Header().Set("Referrer-Policy", "no-referrer")
			s.serveStored(w, r, page)
		}},
		{http.MethodGet, "/docs/{file}", func(w http.ResponseWriter, r *http.Request) {
			files, err := docsFiles()
			f, ok := files[r.PathValue("file")]
			if err != nil || !ok {
				httpx.WriteProblem(w, r, problem(http.StatusNotFound, codeNoRoute, "there is no such file").Problem)
				return
			}
			s.serveStored(w, r, f)
		}},
	}
}

func (s *server) serveStored(w http.ResponseWriter, r *http.Request, b stored) {
	if err := b.serve(r, cacheRevalidate)(w); err != nil {
		s.cfg.Logger.Debug("answer cut off", "request", httpx.RequestID(w), "error", err)
	}
}

func (f reply) VisitGetOpenAPIResponse(w http.ResponseWriter) error { return f(w) }

// capitalId finds operation ids as the generator embeds them: with a capital,
// which openapi.yaml has not.
var capitalId = regexp.MustCompile(`"operationId":"[A-Z]`)

// specBody is openapi.yaml as JSON.
var specBody = sync.OnceValues(func() (stored, error) {
	b, err := oas.GetSpecJSON()
	if err != nil {
		return stored{}, fmt.Errorf("read specification: %w", err)
	}
	return store(typeJSON, capitalId.ReplaceAllFunc(b, func(m []byte) []byte {
		return append(bytes.Clone(m[:len(m)-1]), m[len(m)-1]|0x20)
	})), nil
})

// GetOpenAPI serves the description of this API.
func (s *server) GetOpenAPI(ctx context.Context, _ oas.GetOpenAPIRequestObject) (oas.GetOpenAPIResponseObject, error) {
	b, err := specBody()
	if err != nil {
		return nil, err
	}
	return b.serve(requestOf(ctx), cacheRevalidate), nil
}
