package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What DecodeStrict refuses. Each comes wrapped in a [DecodeError].
var (
	// ErrTooLarge means that the body is longer than its limit.
	ErrTooLarge = errors.New("body over limit")
	// ErrSyntax means that the body is not JSON, or not UTF-8, or nested
	// deeper than 64.
	ErrSyntax = errors.New("not valid JSON")
	// ErrTrailing means that something other than white space follows the value.
	ErrTrailing = errors.New("bytes after the value")
	// ErrDuplicateKey means that an object has a key twice.
	ErrDuplicateKey = errors.New("duplicate key")
	// ErrUnknownField means that a key names no field.
	ErrUnknownField = errors.New("unknown field")
	// ErrType means that a value does not fit its field.
	ErrType = errors.New("wrong type")
)

// maxDepth bounds the nesting of arrays and objects.
const maxDepth = 64

// A DecodeError says what was refused, and where.
type DecodeError struct {
	// Field is a path as in "nodes[2].stake"; empty is the value as a whole.
	Field string
	// Err wraps one of the sentinels above, or what the field's own
	// UnmarshalJSON returned.
	Err error
}

// Error names the field first.
func (e *DecodeError) Error() string {
	if e.Field == "" {
		return "decode json: " + e.Err.Error()
	}
	return fmt.Sprintf("decode json: field %q: %v", e.Field, e.Err)
}

// Unwrap returns Err.
func (e *DecodeError) Unwrap() error { return e.Err }

// DecodeStrict decodes the one JSON value in r into v, which points to the
// destination, and refuses what encoding/json lets pass: a body over limit
// bytes, unknown fields, keys that stand twice in one object at any depth,
// invalid UTF-8, null for the whole, and trailing bytes. So two readers of an
// accepted body cannot understand it differently.
//
// Keys count as the same if they are equal after case folding, because
// encoding/json matches keys to fields in that way: "Stake" would overwrite
// "stake". This also holds where the destination is a map.
//
// Every refusal is a *DecodeError; v may then be partly filled. An error of r
// itself is returned wrapped, except that http.MaxBytesError counts as
// ErrTooLarge.
func DecodeStrict(r io.Reader, limit int64, v any) error {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &DecodeError{Err: fmt.Errorf("%w of %d bytes", ErrTooLarge, tooLarge.Limit)}
	case err != nil:
		return fmt.Errorf("read json: %w", err)
	case int64(len(data)) > limit:
		return &DecodeError{Err: fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)}
	}
	if err := checkKeys(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		d := decodeError(err)
		if d.Field == "" {
			d.Field = culprit(data, v)
		}
		return d
	}
	return nil
}

// decodeError translates what encoding/json says once checkKeys has passed:
// the syntax is sound by then.
func decodeError(err error) *DecodeError {
	var wrong *json.UnmarshalTypeError
	var usage *json.InvalidUnmarshalError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &usage):
		panic("httpx: " + usage.Error())
	case errors.As(err, &wrong):
		return WrongType(wrong)
	case errors.As(err, &syntax):
		return &DecodeError{Err: syntaxError(err, syntax.Offset)}
	}
	// encoding/json has no type for this one.
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if unquoted, uerr := strconv.Unquote(name); uerr == nil {
			name = unquoted
		}
		return &DecodeError{Field: Clip(name, maxName), Err: ErrUnknownField}
	}
	return &DecodeError{Err: fmt.Errorf("%w: %w", ErrType, err)}
}

// WrongType says what encoding/json found wrong in JSON's words, not Go's.
func WrongType(e *json.UnmarshalTypeError) *DecodeError {
	return &DecodeError{Field: e.Field, Err: fmt.Errorf("%w: %s where %s is wanted", ErrType, e.Value, kindOf(e))}
}

// culprit names the outermost field of data that does not decode into v by
// itself, since encoding/json does not say whose UnmarshalJSON failed.
func culprit(data []byte, v any) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		one, err := json.Marshal(map[string]json.RawMessage{key: members[key]})
		if err != nil {
			return ""
		}
		if json.Unmarshal(one, reflect.New(reflect.TypeOf(v).Elem()).Interface()) != nil {
			return Clip(key, maxName)
		}
	}
	return ""
}

// kindOf names a wanted type in JSON's words, not Go's.
func kindOf(e *json.UnmarshalTypeError) string {
	kind := e.Type.Kind().String()
	switch {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return fmt.Sprintf("a whole number (%s)", kind)
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	case kind == "slice", kind == "array":
		return "an array"
	case kind == "struct", kind == "map":
		return "an object"
	}
	return "a " + kind
}

// A frame is one array or object that checkKeys is inside of.
type frame struct {
	key   string              // the key read last; objects alone
	seen  map[string]struct{} // folded keys; nil for an array
	index int                 // of the element being read; arrays alone
	value bool                // in an object: a value comes next, not a key
}

// checkKeys reads data token by token and refuses all that DecodeStrict refuses
// without knowing the destination.
func checkKeys(data []byte) error {
	if !utf8.Valid(data) {
		return &DecodeError{Err: fmt.Errorf("%w: not UTF-8", ErrSyntax)}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var stack []frame
	for {
		tok, err := dec.Token()
		if err != nil {
			return &DecodeError{Field: pathOf(stack), Err: syntaxError(err, dec.InputOffset())}
		}
		if len(stack) == 0 && tok == nil {
			return &DecodeError{Err: fmt.Errorf("%w: null", ErrType)}
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			if len(stack) == maxDepth {
				return &DecodeError{Field: pathOf(stack), Err: fmt.Errorf("%w: nested deeper than %d", ErrSyntax, maxDepth)}
			}
			f := frame{}
			if tok == json.Delim('{') {
				f.seen = map[string]struct{}{}
			}
			stack = append(stack, f)
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		default:
			if f := top(stack); f != nil && f.seen != nil && !f.value {
				f.key, f.value = tok.(string), true
				folded := fold(f.key)
				if _, twice := f.seen[folded]; twice {
					return &DecodeError{Field: pathOf(stack), Err: ErrDuplicateKey}
				}
				f.seen[folded] = struct{}{}
				continue
			}
		}
		// A value has ended.
		f := top(stack)
		if f == nil {
			break
		}
		f.value = false
		f.index++
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return &DecodeError{Err: ErrTrailing}
	}
	return nil
}

func top(stack []frame) *frame {
	if len(stack) == 0 {
		return nil
	}
	return &stack[len(stack)-1]
}

func syntaxError(err error, offset int64) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it ends too early", ErrSyntax)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %v at byte %d", ErrSyntax, syntax, syntax.Offset)
	}
	return fmt.Errorf("%w: %v at byte %d", ErrSyntax, err, offset)
}

// pathOf writes where the reader stands: "nodes[2].stake".
func pathOf(stack []frame) string {
	var b strings.Builder
	for _, f := range stack {
		switch {
		case f.seen == nil:
			fmt.Fprintf(&b, "[%d]", f.index)
		case f.key == "":
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(f.key)
		}
	}
	return Clip(b.String(), maxName)
}

// EncodeJSON is v in JSON with a line end, as answers carry it: '<', '>' and '&'
// stand for themselves.
func EncodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return b.Bytes(), nil
}

// maxName bounds a name that a client chose, so that an error text stays short.
const maxName = 120

// fold maps a key to one that is equal for all keys encoding/json matches to
// the same field: the smallest rune of each set of runes that differ in case.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, key)
}
