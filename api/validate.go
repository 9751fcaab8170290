package api

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"

	"tunic/api/oas"
	"tunic/internal/httpx"
)

// routeTable finds an operation of openapi.yaml.
type routeTable map[routeName]*route

// routeName is a method and gin's path.
type routeName struct{ method, path string }

// route is an operation with what is quick to check of its requests.
type route struct {
	*routers.Route
	quick quickCheck
}

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
			table[routeName{method, ginPath(path)}] = &route{
				Route: &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: op},
				quick: newQuickCheck(spec, item, op),
			}
		}
	}
	return table, nil
}

// Headers that most answers have. Nobody may write to these slices: who adds
// to one in a header gets a copy, since they are full.
var (
	noCache = []string{"no-cache"}
	noSniff = []string{"nosniff"}
)

// ginPath writes a path template in gin's way: {id} is :id.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// validate holds a request against the specification before its handler, and
// replaces its body by what was read.
func (t routeTable) validate(c *gin.Context) {
	h := c.Writer.Header()
	h["Cache-Control"], h["X-Content-Type-Options"] = noCache, noSniff
	route := t[routeName{c.Request.Method, c.FullPath()}]
	if route == nil {
		panic("api: internal error: route without operation: " + c.FullPath())
	}
	if route.Operation.RequestBody == nil {
		httpx.LeaveBody(c.Writer, c.Request)
	}
	if route.quick.passes(c) {
		return
	}
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		fail(c, problem(http.StatusBadRequest, codeInvalidRequest, "the query is malformed"))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			fail(c, field(codeInvalidRequest, httpx.Clip(name, 40), "there is no such parameter"))
			return
		}
		if len(query[name]) > 1 {
			fail(c, field(codeInvalidRequest, name, "given more than once"))
			return
		}
	}
	if route.Operation.RequestBody != nil {
		if a, ok := readBody(c, route.Operation); !ok {
			fail(c, a)
			return
		}
	}
	params := map[string]string{}
	for _, p := range c.Params {
		params[p.Key] = p.Value
	}
	err = openapi3filter.ValidateRequest(c.Request.Context(), &openapi3filter.RequestValidationInput{
		Request: c.Request, PathParams: params, QueryParams: query, Route: route.Route,
		Options: &openapi3filter.Options{
			SkipSettingDefaults: true,
			ExcludeRequestBody:  !hasSchema(c.Request, route.Operation),
		},
	})
	if err != nil {
		fail(c, requestProblem(err))
	}
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
		why = unreadable(re.Parameter)
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		why = "is required"
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		why = "is empty"
	}
	code := codeInvalidRequest
	if name == "limit" && schema != nil && schema.SchemaField == "maximum" {
		code = codeLimitTooLarge
	}
	return field(code, httpx.Clip(name, 80), why)
}

// unreadable says what a parameter must be that is of no such type.
func unreadable(p *openapi3.Parameter) string {
	if p != nil && p.Schema != nil && p.Schema.Value != nil {
		switch t := p.Schema.Value.Type; {
		case t.Is("integer"):
			return fmt.Sprintf("must be a whole number, at most %d", math.MaxInt64)
		case t.Is("boolean"):
			return "must be true or false"
		}
	}
	return "is not as the specification says"
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
		return "must be one of " + strings.Join(strings.Fields(strings.Trim(fmt.Sprint(s.Enum), "[]")), ", ")
	case e.SchemaField == "maximum" && s.Max != nil:
		return "must be at most " + strconv.FormatFloat(*s.Max, 'f', -1, 64)
	case e.SchemaField == "minimum" && s.Min != nil:
		return "must be at least " + strconv.FormatFloat(*s.Min, 'f', -1, 64)
	case e.SchemaField == "minLength" && s.MinLength == 1:
		return "is empty"
	case e.SchemaField == "minLength":
		return fmt.Sprintf("must have at least %d characters", s.MinLength)
	case e.SchemaField == "maxLength" && s.MaxLength != nil:
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	case e.SchemaField == "type" && s.Type != nil:
		return "must be of type " + strings.Join(s.Type.Slice(), " or ")
	}
	return "is not as the specification says"
}
