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
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"tunic/chain"
	"tunic/internal/httpx"
)

const (
	typeJSON   = "application/json"
	typeOctets = "application/octet-stream"
	typeForm   = "application/x-www-form-urlencoded"
	typeParts  = "multipart/form-data"
)

// bodyLimits are the bytes of a body by its type.
var bodyLimits = map[string]int64{
	typeOctets: chain.MaxTx,
	typeJSON:   3 * chain.MaxTx, // a submit-proof message: a proof in hex, and the rest
	typeForm:   4 << 10,
	typeParts:  chain.MaxTx + 4<<10, // a proof, and what is around it
}

// tagCompatible is the tag of operations whose bodies other networks' programs
// send: as JSON whatever Content-Type says, and with members of their own.
const tagCompatible = "compatibility"

func isCompatible(op *openapi3.Operation) bool { return slices.Contains(op.Tags, tagCompatible) }

// mediaType is the type that the request's body is declared as.
func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// hasSchema says whether the specification says more of the body that readBody
// took than readBody asked: not of octets, of files, nor of JSON-RPC.
func hasSchema(r *http.Request, op *openapi3.Operation) bool {
	t := mediaType(r)
	return (t == typeJSON || t == typeForm) && !isCompatible(op)
}

// signedMessage is oas.SignedMessage with the message as it came, so that no
// number passes through a float.
type signedMessage struct {
	Kind      string          `json:"kind"`
	Message   json.RawMessage `json:"message"`
	Signature string          `json:"signature"`
}

// sameOrigin refuses what a page of another origin sends.
var sameOrigin = http.NewCrossOriginProtection()

type bodyKey struct{}

// bodyOf is the strictly decoded JSON body of the request.
func bodyOf(ctx context.Context) signedMessage {
	m, _ := ctx.Value(bodyKey{}).(signedMessage)
	return m
}

// readBody reads a body of one of the operation's types within its limit, and
// asks of it what generated code and schemas do not: no member or field twice,
// none that there is not, one file in a form that takes one.
func readBody(c *gin.Context, op *openapi3.Operation) (a answer, ok bool) {
	defer func() {
		if !ok {
			httpx.LeaveBody(c.Writer, c.Request)
		}
	}()
	r, content := c.Request, op.RequestBody.Value.Content
	given := mediaType(r)
	if isCompatible(op) {
		given = typeJSON
	}
	if content[given] == nil {
		types := strings.Join(slices.Sorted(maps.Keys(content)), " or ")
		c.Header("Accept-Post", strings.ReplaceAll(types, " or ", ", "))
		return problem(http.StatusUnsupportedMediaType, codeMediaType, "send "+types), false
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return problem(http.StatusUnsupportedMediaType, codeMediaType, "send the body without a content encoding"), false
	}
	if given == typeForm || given == typeParts {
		// What any page can send without asking first.
		if err := sameOrigin.Check(r); err != nil {
			return problem(http.StatusForbidden, codeCrossOrigin, "send the form from this server's own page"), false
		}
	}
	boundary := r.Header.Get("Content-Type")
	if given != typeParts {
		// Generated code looks at the beginning of the header as it came.
		r.Header.Set("Content-Type", given)
	}
	body, a, ok := takeBody(c.Writer, r, bodyLimits[given])
	if !ok {
		return a, false
	}
	switch given {
	case typeForm:
		return checkForm(body, content[given].Schema.Value)
	case typeParts:
		return checkParts(body, boundary, content[given].Schema.Value)
	case typeJSON:
		return checkJSON(c, op, body)
	}
	return answer{}, true
}

// takeBody reads the whole body, at most limit bytes, and puts what it read in
// its place.
func takeBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, answer, bool) {
	tooLong := problem(http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("at most %d bytes", limit))
	if r.ContentLength > limit { // says so itself: nothing of it is read
		return nil, tooLong, false
	}
	// Not closed here: that would wait for the rest of a body that is too long.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, tooLong, false
	case err != nil:
		return nil, problem(http.StatusBadRequest, codeMalformedBody, "the body could not be read"), false
	case len(body) == 0:
		return nil, problem(http.StatusBadRequest, codeMalformedBody, "the body is empty"), false
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return body, answer{}, true
}

// checkJSON decodes the body of a control or a signed message strictly. Bodies
// of JSON-RPC may hold members that nobody here knows: whoever answers them
// refuses the rest in JSON-RPC's own words.
func checkJSON(c *gin.Context, op *openapi3.Operation, body []byte) (answer, bool) {
	if isCompatible(op) {
		return answer{}, true
	}
	var m signedMessage
	into := any(&m)
	if isControl(c) {
		into = &devBody{}
	}
	if err := httpx.DecodeStrict(bytes.NewReader(body), int64(len(body)), into); err != nil {
		return bodyProblem(err), false
	}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), bodyKey{}, m))
	return answer{}, true
}

// checkForm refuses fields that the form has not, or that are given twice; the
// schema says the rest.
func checkForm(body []byte, schema *openapi3.Schema) (answer, bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return problem(http.StatusBadRequest, codeMalformedBody, "the body is not a form"), false
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if a, ok := checkField(name, len(form[name]), schema); !ok {
			return a, false
		}
	}
	return answer{}, true
}

func checkField(name string, times int, schema *openapi3.Schema) (answer, bool) {
	switch {
	case schema.Properties[name] == nil:
		return field(codeInvalidRequest, httpx.Clip(name, 40), "there is no such field"), false
	case times > 1:
		return field(codeInvalidRequest, name, "given more than once"), false
	}
	return answer{}, true
}

// checkParts is checkForm for a form with files; each of its fields is at most
// as long as octets may be.
func checkParts(body []byte, contentType string, schema *openapi3.Schema) (answer, bool) {
	malformed := problem(http.StatusBadRequest, codeMalformedBody, "the body is not a form with files")
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return malformed, false
	}
	seen := map[string]int{}
	for parts := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		p, err := parts.NextPart()
		if err == io.EOF { // wrapped, it is a body that was cut off
			break
		}
		if err != nil {
			return malformed, false
		}
		name := p.FormName()
		seen[name]++
		if a, ok := checkField(name, seen[name], schema); !ok {
			return a, false
		}
		n, err := io.Copy(io.Discard, io.LimitReader(p, chain.MaxTx+1))
		switch {
		case err != nil:
			return malformed, false
		case n > chain.MaxTx:
			return problem(http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("%s: at most %d bytes", name, chain.MaxTx)), false
		}
	}
	for _, name := range schema.Required {
		if seen[name] == 0 {
			return field(codeInvalidRequest, name, "is required"), false
		}
	}
	return answer{}, true
}

// bodyProblem is the answer to a JSON body that is not sound.
func bodyProblem(err error) answer {
	a := problem(http.StatusBadRequest, codeMalformedBody, "")
	if d := (*httpx.DecodeError)(nil); errors.As(err, &d) {
		a.Detail = httpx.Clip(d.Error(), maxProblemDetail)
		if d.Field != "" {
			a.Errors = []httpx.FieldError{{Field: httpx.Clip(d.Field, 80), Detail: httpx.Clip(d.Err.Error(), maxFieldErrorDetail)}}
		}
	}
	return a
}
