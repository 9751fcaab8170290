package pages

import (
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"

	"tunic/internal/httpx"
)

//go:embed assets
var assetFiles embed.FS

// asset is a file that pages load, under a name that holds a hash of it: what
// has this name never changes.
type asset struct {
	name, mediaType, etag string
	body, zipped          []byte
}

// assets finds them by that name, assetNames that name by the file's own.
var assets, assetNames = readAssets()

func readAssets() (map[string]asset, map[string]string) {
	byName, names := map[string]asset{}, map[string]string{}
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic("pages: internal error: " + err.Error())
	}
	for _, f := range files {
		body, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic("pages: internal error: " + err.Error())
		}
		ext := path.Ext(f.Name())
		hash := sha256.Sum256(body)
		a := asset{body: body, zipped: httpx.Gzip(body, gzip.BestCompression), etag: httpx.ETag(body), name: strings.TrimSuffix(f.Name(), ext) + "-" + hex.EncodeToString(hash[:6]) + ext,
			mediaType: map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[ext]}
		byName[a.name], names[f.Name()] = a, a.name
	}
	return byName, names
}

// assetPath is where a page finds a file.
func assetPath(file string) string { return "/assets/" + assetNames[file] }

func serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("file")]
	if !ok {
		httpx.WriteProblem(w, r, httpx.Problem{Status: http.StatusNotFound, Code: "no_such_route", Detail: "there is no such file"})
		return
	}
	h := w.Header()
	secure(h)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body, etag := a.body, a.etag
	if httpx.TakesGzip(r) {
		body, etag = a.zipped, strings.TrimSuffix(a.etag, `"`)+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	if httpx.NotModified(w, r, etag) {
		return
	}
	h.Set("Content-Type", a.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
