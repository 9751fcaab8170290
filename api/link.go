package api

import (
	"net/http"
	"reflect"

	"github.com/gin-gonic/gin"

	"tunic/api/oas"
)

// linkNext adds to each page that has a next one a Link to it (RFC 8288), so
// that a client can go on without knowing how cursors are given. A page is an
// answer with a field NextCursor.
func linkNext(next oas.StrictHandlerFunc, _ string) oas.StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) {
		response, err := next(c, request)
		if err != nil || c.Request.Method != http.MethodGet {
			return response, err
		}
		if v := reflect.ValueOf(response); v.Kind() == reflect.Struct {
			if f := v.FieldByName("NextCursor"); f.IsValid() && f.Kind() == reflect.Pointer && !f.IsNil() {
				c.Header("Link", "<"+nextPage(c.Request, f.Elem().String())+`>; rel="next"`)
			}
		}
		return response, nil
	}
}

// nextPage is the reference to r's list behind a cursor, relative to the server.
func nextPage(r *http.Request, cursor string) string {
	q := r.URL.Query()
	q.Set("cursor", cursor)
	return r.URL.EscapedPath() + "?" + q.Encode()
}
