package httpx

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// ETag returns the strong entity tag of body: the first 16 bytes of its
// SHA-256. Two bodies of one resource differ in it.
func ETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// NotModified sets etag, which is quoted, on the answer to r, and if r is a GET
// or HEAD whose If-None-Match holds it, answers 304 and returns true: the
// handler is then done.
//
// Tags are compared as RFC 9110 section 13.1.2 demands for this header, without
// regard to a "W/" in front: a proxy that compresses makes a strong tag weak,
// and would otherwise never see a 304.
func NotModified(w http.ResponseWriter, r *http.Request, etag string) bool {
	w.Header().Set("ETag", etag)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if !MatchETag(r.Header.Values("If-None-Match"), etag) {
		return false
	}
	h := w.Header()
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding"} {
		h.Del(name)
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

// MatchETag reports whether a list of entity tags, given as the values of a
// header, is "*" or holds etag. What follows a malformed part is not looked at.
func MatchETag(values []string, etag string) bool {
	want := strings.TrimPrefix(etag, "W/")
	for _, list := range values {
		if strings.Trim(list, " \t") == "*" {
			return true
		}
		for {
			list = strings.TrimLeft(list, " \t,")
			list = strings.TrimPrefix(list, "W/")
			if list == "" || list[0] != '"' {
				break
			}
			end := strings.IndexByte(list[1:], '"')
			if end < 0 {
				break
			}
			if list[:end+2] == want {
				return true
			}
			list = strings.TrimLeft(list[end+2:], " \t")
			if list != "" && list[0] != ',' {
				break
			}
		}
	}
	return false
}
