package api

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
)

// quickCheck knows of an operation's parameters what is simple: what it lets
// pass is as specified, and what it does not is held against the specification
// in whole, which also finds the words for a refusal. So it only saves time,
// for nearly all requests. The zero value lets nothing pass.
type quickCheck struct {
	ok     bool         // there is nothing about the operation but parameters
	path   []quickParam // by gin's order
	query  []quickParam
	header []string // in the canonical form; whoever sends one is no simple case
}

// quickParam is a parameter in the path or the query.
type quickParam struct {
	name     string
	required bool
	integer  bool
	min, max int64 // of an integer
	shortest int   // of a string, in bytes of ASCII
	longest  int
	pattern  *regexp.Regexp
	enum     []string
}

// newQuickCheck reads what the specification says of op's parameters.
func newQuickCheck(spec *openapi3.T, item *openapi3.PathItem, op *openapi3.Operation) quickCheck {
	if op.RequestBody != nil || len(item.Parameters) > 0 || len(spec.Security) > 0 || op.Security != nil {
		return quickCheck{}
	}
	q := quickCheck{ok: true}
	for _, ref := range op.Parameters {
		p := ref.Value
		switch p.In {
		case openapi3.ParameterInHeader:
			if p.Required {
				return quickCheck{}
			}
			q.header = append(q.header, http.CanonicalHeaderKey(p.Name))
		case openapi3.ParameterInPath, openapi3.ParameterInQuery:
			one, ok := newQuickParam(p)
			if !ok {
				return quickCheck{}
			}
			if p.In == openapi3.ParameterInPath {
				q.path = append(q.path, one)
			} else {
				q.query = append(q.query, one)
			}
		default:
			return quickCheck{}
		}
	}
	if len(q.query) > 64 { // each has a bit in passes
		return quickCheck{}
	}
	return q
}

// newQuickParam is false where p has more to it than a quickParam knows.
func newQuickParam(p *openapi3.Parameter) (quickParam, bool) {
	q := quickParam{name: p.Name, required: p.Required || p.In == openapi3.ParameterInPath}
	if p.Schema == nil || p.Schema.Value == nil || len(p.Content) > 0 || p.Style != "" || p.Explode != nil || p.AllowReserved {
		return q, false
	}
	// A schema is known if nothing is left of it without what is known.
	s := *p.Schema.Value
	switch {
	case s.Type.Is("integer") && (s.Format == "" || s.Format == "int64"):
		q.integer, q.min, q.max = true, -quickInteger, quickInteger
		if s.Min != nil {
			q.min = max(q.min, int64(*s.Min))
		}
		if s.Max != nil {
			q.max = min(q.max, int64(*s.Max))
		}
		if s.Min != nil && float64(int64(*s.Min)) != *s.Min || s.Max != nil && float64(int64(*s.Max)) != *s.Max {
			return q, false
		}
		s.Min, s.Max = nil, nil
	case s.Type.Is("string") && s.Format == "":
		q.shortest, q.longest = int(min(s.MinLength, 1<<20)), 1<<20
		if s.MaxLength != nil {
			q.longest = int(min(*s.MaxLength, 1<<20))
		}
		if s.Pattern != "" {
			re, err := regexp.Compile(s.Pattern)
			if err != nil {
				return q, false
			}
			q.pattern = re
		}
		for _, v := range s.Enum {
			word, ok := v.(string)
			if !ok {
				return q, false
			}
			q.enum = append(q.enum, word)
		}
		s.MinLength, s.MaxLength, s.Pattern, s.Enum = 0, nil, "", nil
	default:
		return q, false
	}
	s.Type, s.Format = nil, ""
	s.Title, s.Description, s.Default, s.Example, s.Examples, s.Extensions, s.Origin, s.Deprecated = "", "", nil, nil, nil, nil, nil, false
	return q, reflect.ValueOf(s).IsZero()
}

// quickInteger bounds what is quick to read: a float holds all of it.
const quickInteger = 1 << 53

// passes reports whether the request is sure to be as specified.
func (q *quickCheck) passes(c *gin.Context) bool {
	if !q.ok || len(c.Params) != len(q.path) {
		return false
	}
	for i := range q.path {
		if c.Params[i].Key != q.path[i].name || !q.path[i].takes(c.Params[i].Value) {
			return false
		}
	}
	for _, name := range q.header {
		if len(c.Request.Header[name]) > 0 {
			return false
		}
	}
	seen := uint64(0)
	for rest := c.Request.URL.RawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, value, found := strings.Cut(pair, "=")
		i := q.find(name)
		// Escapes are for the slow way, and what parsers differ about.
		if !found || i < 0 || seen&(1<<i) != 0 || strings.ContainsAny(value, "%+;") || !q.query[i].takes(value) {
			return false
		}
		seen |= 1 << i
	}
	for i := range q.query {
		if q.query[i].required && seen&(1<<i) == 0 {
			return false
		}
	}
	return true
}

func (q *quickCheck) find(name string) int {
	for i := range q.query {
		if q.query[i].name == name {
			return i
		}
	}
	return -1
}

// takes reports whether v is sure to be as specified.
func (p *quickParam) takes(v string) bool {
	if v == "" {
		return false
	}
	if p.integer {
		n, err := strconv.ParseInt(v, 10, 64)
		return err == nil && v[0] != '+' && p.min <= n && n <= p.max
	}
	for i := range len(v) {
		if v[i] <= ' ' || v[i] > '~' { // what a character is, is for the slow way
			return false
		}
	}
	if len(v) < p.shortest || len(v) > p.longest {
		return false
	}
	if p.pattern != nil && !p.pattern.MatchString(v) {
		return false
	}
	return len(p.enum) == 0 || slices.Contains(p.enum, v)
}
