package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"tunic/ledger"
)

type ledgerConfig = ledger.Config

// Values that fit few parameters: wrong types, numbers at the edges of theirs,
// bytes that are no text, text that other programs mistake for something.
var hostile = []string{"", " ", "0", "-0", "-1", "+1", "00", "01", "1.5", "1e3", "0x10", "true", "null", "[]", "{}", `"1"`, "NaN",
	"2147483648", "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999999999",
	"\xff\xfe", "\x00", "a\nb", "\u202e", "é", "a\u0301", "../../etc/passwd", "..", "%00", "%2e", "a/b", "a?b=c", "a#b", "a;b", "latest ", "LATEST",
	strings.Repeat("a", 129), strings.Repeat("9", 300), strings.Repeat("A", 5000), strings.Repeat("%", 70), strings.Repeat("f", 64), strings.Repeat("F", 64), "0x" + strings.Repeat("f", 40)}

// value draws a value for a parameter: one that means something, one that its
// schema allows, one at the schema's edge, or a hostile one.
func (f *fuzz) value(t *rapid.T, name string, schema *openapi3.Schema) string {
	kind := rapid.IntRange(0, 9).Draw(t, name+" is")
	if known := f.good[name]; kind < 5 && len(known) > 0 {
		return rapid.SampledFrom(known).Draw(t, name)
	}
	switch {
	case schema == nil || kind >= 8:
		return rapid.SampledFrom(hostile).Draw(t, name)
	case len(schema.Enum) > 0:
		return fmt.Sprint(rapid.SampledFrom(schema.Enum).Draw(t, name))
	case kind == 7:
		return rapid.SampledFrom(edges(schema)).Draw(t, name)
	case schema.Pattern != "":
		return rapid.StringMatching(schema.Pattern).Draw(t, name)
	case schema.Type.Is("boolean"):
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, name)
	case schema.Type.Is("integer"):
		return fmt.Sprint(rapid.Int64Range(0, 2000).Draw(t, name))
	}
	return rapid.String().Draw(t, name)
}

// edges are values just within and just out of what a schema allows.
func edges(s *openapi3.Schema) []string {
	out := []string{""}
	for _, limit := range []*float64{s.Min, s.Max} {
		if limit != nil {
			out = append(out, fmt.Sprint(int64(*limit)-1), fmt.Sprint(int64(*limit)), fmt.Sprint(int64(*limit)+1))
		}
	}
	if s.MaxLength != nil {
		out = append(out, strings.Repeat("a", int(*s.MaxLength)), strings.Repeat("a", int(*s.MaxLength)+1), strings.Repeat("é", int(*s.MaxLength)))
	}
	return out
}

// params draws all parameters: in the path, the query and headers; some are left
// out, given twice, or there are not.
func (f *fuzz) params(t *rapid.T, o operation) (path, query string, header http.Header) {
	path, header = o.path, http.Header{}
	var pairs []string
	for _, p := range o.op.Parameters {
		name, schema := p.Value.Name, p.Value.Schema.Value
		switch p.Value.In {
		case openapi3.ParameterInPath:
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(f.value(t, name, schema)))
		case openapi3.ParameterInHeader:
			if rapid.Bool().Draw(t, name+" given") {
				v := strings.Map(func(r rune) rune {
					if r < ' ' {
						return -1
					}
					return r
				}, f.value(t, name, schema))
				header.Set(name, v)
			}
		case openapi3.ParameterInQuery:
			times := rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 1, 1, 1, 2}).Draw(t, name+" times")
			if p.Value.Required && times == 0 && rapid.Bool().Draw(t, name+" given after all") {
				times = 1
			}
			for range times {
				pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(f.value(t, name, schema)))
			}
		}
	}
	if rapid.IntRange(0, 24).Draw(t, "odd query") == 0 {
		pairs = append(pairs, rapid.SampledFrom([]string{"nothing=1", "%zz", "a;b", "=", "&&", "limit", "%ff=1", "\u00e9=1", strings.Repeat("x=1&", 300)}).Draw(t, "odd"))
	}
	if len(pairs) > 0 {
		query = strings.Join(rapid.Permutation(pairs).Draw(t, "order"), "&")
	}
	return path, query, header
}

// body draws a body and how it is declared; nil where the operation has none.
func (f *fuzz) body(t *rapid.T, o operation, header http.Header) []byte {
	if o.op.RequestBody == nil {
		return nil
	}
	content := o.op.RequestBody.Value.Content
	good := rapid.SampledFrom(f.bodies[o.op.OperationID]).Draw(t, "body")
	if o.op.OperationID == "PublishStatement" {
		// One of this fork and epoch, which controls have moved.
		f.beats++
		good = f.heartbeat(f.relays[1], f.ledger.Head().Header.DirEpoch+1, f.beats).Encode()
	}
	media := ""
	for name := range content {
		if len(content) == 1 || (good[0] == '{') == (name == jsonType) {
			media = name
		}
	}
	if media == "multipart/form-data" {
		media += "; boundary=b"
	}
	switch rapid.IntRange(0, 11).Draw(t, "declared") {
	case 0:
		media = rapid.SampledFrom([]string{"", "text/plain", "application/json", "application/octet-stream", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=" + strings.Repeat("b", 80), "a/b; c", "/", "\xff"}).Draw(t, "media")
	case 1:
		header.Set("Content-Encoding", rapid.SampledFrom([]string{"gzip", "identity", "\xff"}).Draw(t, "coding"))
	}
	if media != "" {
		header.Set("Content-Type", media)
	}
	b := f.damaged(t, slices.Clone(good))
	if tooMuch(b) {
		return good
	}
	return b
}

// tooMuch says whether a control would seal for long.
func tooMuch(b []byte) bool {
	var v struct{ Blocks, Ms json.Number }
	if json.Unmarshal(b, &v) != nil {
		return false
	}
	blocks, _ := v.Blocks.Int64()
	ms, _ := v.Ms.Int64()
	return blocks > 5 || ms > 60_000
}

// JSON values that fit few members.
var hostileJSON = []string{"null", "true", "0", "-1", "1.5", "1e400", "9223372036854775808", "18446744073709551616", `""`, `"\u0000"`, `"\ud800"`, "\"\xff\"", "[]", "{}", "[[]]",
	`{"a":{"a":1}}`, `"` + strings.Repeat("a", 5000) + `"`, strings.Repeat("[", 70) + strings.Repeat("]", 70), strings.Repeat("9", 400), `"0x` + strings.Repeat("f", 130) + `"`, "x", "", `"1":2`}

// damaged changes a body in one way, or not at all.
func (f *fuzz) damaged(t *rapid.T, b []byte) []byte {
	at := func(name string) int { return rapid.IntRange(0, max(0, len(b)-1)).Draw(t, name) }
	switch rapid.IntRange(0, 12).Draw(t, "damage") {
	case 0:
		return []byte{}
	case 1:
		return b[:at("cut")]
	case 2:
		b[at("flip")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
	case 3:
		i := at("into")
		return slices.Insert(b, i, []byte(rapid.SampledFrom(hostile).Draw(t, "inserted"))...)
	case 4:
		return append(b, rapid.SampledFrom([]string{" ", "\n", "x", "{}", "\x00", ","}).Draw(t, "after")...)
	case 5:
		return []byte(strings.Repeat(string(b), 1+rapid.SampledFrom([]int{1, 300, 2000}).Draw(t, "times")))
	case 6:
		return rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "bytes")
	case 7, 8: // a member with another value
		return f.member(t, b, func(name, value string) string { return name + ":" + rapid.SampledFrom(hostileJSON).Draw(t, "member") })
	case 9: // a member twice
		return f.member(t, b, func(name, value string) string { return name + ":" + value + "," + name + ":" + value })
	case 10: // another member beside it
		return f.member(t, b, func(name, value string) string {
			return name + ":" + value + `,"other":` + rapid.SampledFrom(hostileJSON).Draw(t, "other")
		})
	}
	return b
}

// member writes one member of a JSON object anew; what is no object is left.
func (f *fuzz) member(t *rapid.T, b []byte, write func(name, value string) string) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil || len(members) == 0 {
		return b
	}
	var names []string
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	chosen := rapid.SampledFrom(names).Draw(t, "which")
	var out []string
	for _, name := range names {
		quoted, _ := json.Marshal(name)
		if name == chosen {
			out = append(out, write(string(quoted), string(members[name])))
			continue
		}
		out = append(out, string(quoted)+":"+string(members[name]))
	}
	return []byte("{" + strings.Join(out, ",") + "}")
}
