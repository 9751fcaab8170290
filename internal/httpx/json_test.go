package httpx_test

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"tunic/internal/httpx"
)

type even uint64

func (e *even) UnmarshalJSON(b []byte) error {
	var n uint64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if n%2 != 0 {
		return errors.New("amount is odd")
	}
	*e = even(n)
	return nil
}

type inner struct {
	Stake uint32         `json:"stake"`
	Deep  map[string]any `json:"deep"`
}

type outer struct {
	Name   string  `json:"name"`
	Amount even    `json:"amount"`
	Nodes  []inner `json:"nodes"`
	On     bool    `json:"on"`
}

func TestDecodeStrictAccepts(t *testing.T) {
	for in, want := range map[string]outer{
		`{}`: {},
		" {\"name\":\"\u017Fa\", \"on\":true}\r\n\t ": {Name: "\u017Fa", On: true},
		`{"nodes":[{"stake":1},{"stake":2,"deep":{"x":[{"k":1},{"k":2}]}}],"amount":4}`: {Amount: 4, Nodes: []inner{{Stake: 1},
			{Stake: 2, Deep: map[string]any{"x": []any{map[string]any{"k": 1.0}, map[string]any{"k": 2.0}}}}}},
	} {
		var got outer
		if err := httpx.DecodeStrict(strings.NewReader(in), 200, &got); err != nil {
			t.Errorf("%s: %v", in, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v", in, got)
		}
	}
	var n int
	if err := httpx.DecodeStrict(strings.NewReader("17"), 2, &n); err != nil || n != 17 {
		t.Errorf("a bare number: %d, %v", n, err)
	}
}

func TestDecodeStrictRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     error
		field    string
	}{
		{"empty", ``, httpx.ErrSyntax, ""},
		{"white space", "  \n", httpx.ErrSyntax, ""},
		{"null", `null`, httpx.ErrType, ""},
		{"cut off", `{"name":"x"`, httpx.ErrSyntax, "name"},
		{"trailing comma", `{"name":"x",}`, httpx.ErrSyntax, "name"},
		{"comma in array", `{"nodes":[{},]}`, httpx.ErrSyntax, "nodes[1]"},
		{"comment", `{/**/}`, httpx.ErrSyntax, ""},
		{"not UTF-8", "{\"name\":\"\xff\"}", httpx.ErrSyntax, ""},
		{"byte order mark", "\ufeff{}", httpx.ErrSyntax, ""},
		{"too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), httpx.ErrSyntax, strings.Repeat("[0]", 40) + "..."},
		{"second value", `{} {}`, httpx.ErrTrailing, ""},
		{"bracket after", `{}]`, httpx.ErrTrailing, ""},
		{"zero byte after", "{}\x00", httpx.ErrTrailing, ""},
		{"unknown field", `{"nme":"x"}`, httpx.ErrUnknownField, "nme"},
		{"unknown field inside", `{"nodes":[{"steak":1}]}`, httpx.ErrUnknownField, "steak"},
		{"duplicate", `{"name":"x","name":"x"}`, httpx.ErrDuplicateKey, "name"},
		{"duplicate in other case", `{"name":"x","NAME":"y"}`, httpx.ErrDuplicateKey, "NAME"},
		{"duplicate by long s", "{\"nodes\":[{\"stake\":1,\"\u017Ftake\":2}]}", httpx.ErrDuplicateKey, "nodes[0].\u017Ftake"},
		{"duplicate by Kelvin sign", "{\"nodes\":[{},{\"stake\":1,\"sta\u212Ae\":2}]}", httpx.ErrDuplicateKey, "nodes[1].sta\u212Ae"},
		{"duplicate by escape", `{"name":"x","n\u0061me":"y"}`, httpx.ErrDuplicateKey, "name"},
		{"duplicate deep in a map", `{"nodes":[{"deep":{"a":[1,{"b":{"c":1,"d":{},"c":2}}]}}]}`, httpx.ErrDuplicateKey, "nodes[0].deep.a[1].b.c"},
		{"wrong type", `{"name":7}`, httpx.ErrType, "name"},
		{"wrong type inside", `{"nodes":[{"stake":"7"}]}`, httpx.ErrType, "nodes.stake"},
		{"fraction", `{"nodes":[{"stake":1.5}]}`, httpx.ErrType, "nodes.stake"},
		{"overflow", `{"nodes":[{"stake":4294967296}]}`, httpx.ErrType, "nodes.stake"},
		{"array for object", `[]`, httpx.ErrType, ""},
		{"field's own refusal", `{"on":true,"amount":3,"name":"x"}`, httpx.ErrType, "amount"},
		{"over limit", `{"name":"` + strings.Repeat("x", 300) + `"}`, httpx.ErrTooLarge, ""},
		{"white space over limit", "{}" + strings.Repeat(" ", 300), httpx.ErrTooLarge, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v outer
			err := httpx.DecodeStrict(strings.NewReader(c.in), 300, &v)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			var d *httpx.DecodeError
			if !errors.As(err, &d) || d.Field != c.field {
				t.Errorf("names field %q, want %q", d.Field, c.field)
			}
			if !strings.Contains(err.Error(), c.field) {
				t.Errorf("text %q does not name %q", err, c.field)
			}
		})
	}
}

func TestDecodeStrictLimitIsExact(t *testing.T) {
	var v outer
	if err := httpx.DecodeStrict(strings.NewReader(`{"on":true}`), 11, &v); err != nil {
		t.Error(err)
	}
	if err := httpx.DecodeStrict(strings.NewReader(`{"on":true}`), 10, &v); !errors.Is(err, httpx.ErrTooLarge) {
		t.Error(err)
	}
}

func TestDecodeStrictReaderError(t *testing.T) {
	broken := errors.New("line cut")
	var v outer
	err := httpx.DecodeStrict(io.MultiReader(strings.NewReader("{"), iotest.ErrReader(broken)), 10, &v)
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

// FuzzDecodeStrict holds two things: no input makes it panic, and what it
// accepts encoding/json accepts too and understands in the same way.
func FuzzDecodeStrict(f *testing.F) {
	for _, s := range []string{`{}`, `{"name":"x","name":1}`, `[1,{"a":[]}]`, `{"nodes":[{"stake":1}]} x`, `"\ud800"`, `1e999`, `{"":{"":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var strict, plain any
		if err := httpx.DecodeStrict(strings.NewReader(string(in)), 1<<16, &strict); err != nil {
			var d *httpx.DecodeError
			if !errors.As(err, &d) {
				t.Fatalf("%v is not a DecodeError", err)
			}
			return
		}
		if err := json.Unmarshal(in, &plain); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if !reflect.DeepEqual(strict, plain) {
			t.Fatalf("read %v and %v", strict, plain)
		}
	})
}
