package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
)

const (
	typeJSON   = "application/json"
	typeOctets = "application/octet-stream"
	// maxJSON holds a submit-proof message: a proof in hex, and the rest.
	maxJSON = 3 * chain.MaxTx
)

// routeTable finds an operation of openapi.yaml by method and gin's path.
type routeTable map[string]*routers.Route

// specRoutes reads the specification once per process.
var specRoutes = sync.OnceValues(readSpec)

func readSpec() (routeTable, error) {
	spec, err := oas.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("read specification: %w", err)
	}
	table := routeTable{}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			table[method+" "+ginPath(path)] = &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: op}
		}
	}
	return table, nil
}

// ginPath writes a path template in gin's way: {id} is :id.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// validate holds a request against the specification before its handler, and
// replaces its body by what was read.
func (t routeTable) validate(c *gin.Context) {
	c.Header("Cache-Control", "no-cache")
	c.Header("X-Content-Type-Options", "nosniff")
	route := t[c.Request.Method+" "+c.FullPath()]
	if route == nil {
		panic("api: internal error: route without operation: " + c.FullPath())
	}
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		fail(c, problem(http.StatusBadRequest, codeInvalidRequest, "the query is malformed"))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			fail(c, field(codeInvalidRequest, clip(name, 40), "there is no such parameter"))
			return
		}
		if len(query[name]) > 1 {
			fail(c, field(codeInvalidRequest, name, "given more than once"))
			return
		}
	}
	if route.Operation.RequestBody != nil {
		if a, ok := readBody(c, route.Operation.RequestBody.Value.Content); !ok {
			fail(c, a)
			return
		}
	}
	params := map[string]string{}
	for _, p := range c.Params {
		params[p.Key] = p.Value
	}
	err = openapi3filter.ValidateRequest(c.Request.Context(), &openapi3filter.RequestValidationInput{
		Request: c.Request, PathParams: params, QueryParams: query, Route: route,
		Options: &openapi3filter.Options{
			SkipSettingDefaults: true,
			// Octets have no schema beyond their size, which readBody checked.
			ExcludeRequestBody: mediaType(c.Request) != typeJSON,
		},
	})
	if err != nil {
		fail(c, requestProblem(err))
	}
}

// mediaType is the type that the request's body is declared as.
func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// signedMessage is oas.SignedMessage with the message as it came, so that no
// number passes through a float.
type signedMessage struct {
	Kind      string          `json:"kind"`
	Message   json.RawMessage `json:"message"`
	Signature string          `json:"signature"`
}

type bodyKey struct{}

// bodyOf is the strictly decoded JSON body of the request.
func bodyOf(ctx context.Context) signedMessage {
	m, _ := ctx.Value(bodyKey{}).(signedMessage)
	return m
}

// readBody reads a body of one of the declared types within its limit. A
// JSON body is a signed message or a control's: it is decoded strictly here,
// since the generated code would let duplicate keys pass.
func readBody(c *gin.Context, content openapi3.Content) (answer, bool) {
	r := c.Request
	given := mediaType(r)
	if content[given] == nil {
		types := strings.Join(slices.Sorted(maps.Keys(content)), " or ")
		c.Header("Accept-Post", strings.ReplaceAll(types, " or ", ", "))
		return problem(http.StatusUnsupportedMediaType, codeMediaType, "send "+types), false
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return problem(http.StatusUnsupportedMediaType, codeMediaType, "send the body without a content encoding"), false
	}
	// Generated code looks at the beginning of the header as it came.
	r.Header.Set("Content-Type", given)
	limit := int64(chain.MaxTx)
	if given == typeJSON {
		limit = maxJSON
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, r.Body, limit))
	r.Body.Close()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("at most %d bytes", limit)), false
	case err != nil:
		return problem(http.StatusBadRequest, codeMalformedBody, "the body could not be read"), false
	case len(body) == 0:
		return problem(http.StatusBadRequest, codeMalformedBody, "the body is empty"), false
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if given == typeJSON {
		if isControl(c) {
			if err := httpx.DecodeStrict(bytes.NewReader(body), limit, &devBody{}); err != nil {
				return bodyProblem(err), false
			}
			return answer{}, true
		}
		var m signedMessage
		if err := httpx.DecodeStrict(bytes.NewReader(body), limit, &m); err != nil {
			return bodyProblem(err), false
		}
		c.Request = r.WithContext(context.WithValue(r.Context(), bodyKey{}, m))
	}
	return answer{}, true
}

// bodyProblem is the answer to a JSON body that is not sound.
func bodyProblem(err error) answer {
	a := problem(http.StatusBadRequest, codeMalformedBody, "")
	if d := (*httpx.DecodeError)(nil); errors.As(err, &d) {
		a.Detail = clip(d.Error(), maxProblemDetail)
		if d.Field != "" {
			a.Errors = []httpx.FieldError{{Field: clip(d.Field, 80), Detail: clip(d.Err.Error(), maxFieldErrorDetail)}}
		}
	}
	return a
}

// requestProblem is the answer to a request that is not as specified: which
// parameter or member, and why in a few words; never a schema or a value.
func requestProblem(err error) answer {
	var (
		known  answer
		re     *openapi3filter.RequestError
		schema *openapi3.SchemaError
		parse  *openapi3filter.ParseError
	)
	if errors.As(err, &known) {
		return known
	}
	if !errors.As(err, &re) {
		return problem(http.StatusBadRequest, codeInvalidRequest, "the request is not as the specification says")
	}
	name, why := "body", "is not as the specification says"
	if re.Parameter != nil {
		name = re.Parameter.Name
	}
	switch {
	case errors.As(err, &schema):
		why = reason(schema)
		if path := schema.JSONPointer(); re.Parameter == nil && len(path) > 0 {
			name = strings.Join(path, ".")
		}
	case errors.As(err, &parse):
		why = "cannot be read as what it should be"
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		why = "is required"
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		why = "is empty"
	}
	code := codeInvalidRequest
	if name == "limit" && schema != nil && schema.SchemaField == "maximum" {
		code = codeLimitTooLarge
	}
	return field(code, clip(name, 80), why)
}

// reason says in a few words what a schema asks for.
func reason(e *openapi3.SchemaError) string {
	s := e.Schema
	switch {
	case s == nil:
	case e.SchemaField == "required":
		return "lacks a required member"
	case e.SchemaField == "properties":
		return "has a member that there is not"
	case e.SchemaField == "pattern" && len(s.Pattern) <= 60:
		return "must match " + s.Pattern
	case e.SchemaField == "enum":
		return "must be one of " + strings.Trim(fmt.Sprint(s.Enum), "[]")
	case e.SchemaField == "maximum" && s.Max != nil:
		return fmt.Sprintf("must be at most %v", *s.Max)
	case e.SchemaField == "minimum" && s.Min != nil:
		return fmt.Sprintf("must be at least %v", *s.Min)
	case e.SchemaField == "maxLength" && s.MaxLength != nil:
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	case e.SchemaField == "type" && s.Type != nil:
		return "must be of type " + strings.Join(s.Type.Slice(), " or ")
	}
	return "is not as the specification says"
}
