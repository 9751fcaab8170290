package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tunic/internal/durable"
)

// ErrSettings means that a configuration file cannot be used. The message says
// where in it, and what to do.
var ErrSettings = errors.New("node: configuration file")

// maxSettings bounds a configuration file.
const maxSettings = 1 << 20

// ReadSettings reads a configuration file into the struct that into points to: YAML
// whose keys are the yaml tags of its fields. What the file does not name stays as
// it was; unknown and repeated keys are refused, and so is a second document.
func ReadSettings(path string, into any) error {
	b, err := durable.ReadFile(path, maxSettings)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSettings, err)
	}
	if err := readSettings(b, into); err != nil {
		return fmt.Errorf("%w: %s: %s", ErrSettings, path, settingsWords(err, b, into))
	}
	return nil
}

func readSettings(b []byte, into any) error {
	var plain any
	d := yaml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&plain); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("it holds more than one document; keep one")
	}
	if plain == nil {
		return nil // nothing but comments
	}
	if _, ok := plain.(map[string]any); !ok {
		return errors.New("it is no YAML of keys and values, such as dir: relay1")
	}
	if key := emptySetting(plain); key != "" {
		return fmt.Errorf("the key %q has no value; give it one, or leave it out", key)
	}
	return yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(into)
}

// emptySetting is the first key without a value, which would take the defaults of a
// whole group away.
func emptySetting(v any) string {
	all, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if all[key] == nil {
			return key
		}
		if in := emptySetting(all[key]); in != "" {
			return in
		}
	}
	return ""
}

// quoted finds the first value that an error quotes.
var quoted = regexp.MustCompile(`"([^"]+)"`)

// wrongKind and wrongType find what the parser says of a value of another kind.
var (
	wrongKind = regexp.MustCompile(`^\S+ was used where (sequence|mapping) is expected`)
	wrongType = regexp.MustCompile(`^cannot unmarshal \S+ into Go .*of type (\S+)( \( overflow \))?`)
)

// kindWords says in an operator's words what the parser expects.
var kindWords = map[string]string{
	"sequence": "a list is expected, such as [a, b]", "mapping": "keys and values are expected, indented below",
	"time.Duration": "a time is expected, such as 3s", "bool": "true or false is expected",
	"string": "a text is expected", "float64": "a number is expected",
}

// expected says in an operator's words what the parser does in its own.
func expected(text string) string {
	if m := wrongKind.FindStringSubmatch(text); m != nil {
		return kindWords[m[1]]
	}
	m := wrongType.FindStringSubmatch(text)
	switch {
	case m == nil:
		return text
	case m[2] != "":
		return "the number is too large"
	case kindWords[m[1]] != "":
		return kindWords[m[1]]
	case strings.HasPrefix(m[1], "int") || strings.HasPrefix(m[1], "uint"):
		return "a whole number is expected"
	}
	return text
}

// settingsWords says in one line what is wrong.
func settingsWords(err error, file []byte, into any) string {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		if m := quoted.FindStringSubmatch(err.Error()); m != nil {
			if before, _, ok := strings.Cut(string(file), m[1]); ok {
				return fmt.Sprintf("line %d: %v", 1+strings.Count(before, "\n"), err)
			}
		}
		return err.Error()
	}
	token := at.GetToken()
	line := fmt.Sprintf("line %d: ", token.Position.Line)
	var unknown *yaml.UnknownFieldError
	if !errors.As(err, &unknown) {
		return line + expected(at.GetMessage())
	}
	keys := settingsKeys(reflect.TypeOf(into).Elem(), nil)
	if near := nearest(token.Value, keys); near != "" {
		return fmt.Sprintf("%sthere is no key %q; did you mean %s?", line, token.Value, near)
	}
	return fmt.Sprintf("%sthere is no key %q; `%s` shows all of them", line, token.Value, shownBy(into))
}

// shownBy is the command that prints a configuration of this kind, as its method
// ShownBy says.
func shownBy(settings any) string {
	if x, ok := settings.(interface{ ShownBy() string }); ok {
		return x.ShownBy()
	}
	return "--help"
}

// settingsKeys are the keys of a struct and of those in it.
func settingsKeys(t reflect.Type, keys []string) []string {
	for i := range t.NumField() {
		f := t.Field(i)
		key := settingKey(f)
		if key == "" {
			continue
		}
		keys = append(keys, key)
		if isGroup(f) {
			keys = settingsKeys(f.Type, keys)
		}
	}
	return keys
}

// settingKey is the key of a field, empty for one that no file sets.
func settingKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if key == "-" {
		return ""
	}
	return key
}

// isGroup reports whether a field holds settings of its own.
func isGroup(f reflect.StructField) bool {
	return f.Type.Kind() == reflect.Struct && f.Tag.Get("group") != ""
}

// nearest is the word that differs least from s, empty where none is near.
func nearest(s string, words []string) string {
	best, least := "", 1+len(s)/3
	for _, w := range words {
		if d := distance(s, w); d <= least && (best == "" || d < distance(s, best)) {
			best = w
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or replaced to make b
// of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// WriteSettings writes the struct from as a configuration file that ReadSettings
// reads, each key below what its help tag says of it.
func WriteSettings(w io.Writer, from any) error { return writeSettings(w, reflect.ValueOf(from), "") }

func writeSettings(w io.Writer, v reflect.Value, indent string) error {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		key := settingKey(f)
		if key == "" {
			continue
		}
		if isGroup(f) {
			if _, err := fmt.Fprintf(w, "\n%s# %s\n%s%s:\n", indent, f.Tag.Get("group"), indent, key); err != nil {
				return err
			}
			if err := writeSettings(w, v.Field(i), indent+"  "); err != nil {
				return err
			}
			continue
		}
		b, err := yaml.MarshalWithOptions(v.Field(i).Interface(), yaml.Flow(true))
		if err != nil {
			return fmt.Errorf("write configuration: %s: %w", key, err)
		}
		if _, err := fmt.Fprintf(w, "%s# %s\n%s%s: %s\n", indent, f.Tag.Get("help"), indent, key, strings.TrimSpace(string(b))); err != nil {
			return err
		}
	}
	return nil
}

// Settings are the values of the struct from by their keys in a configuration file,
// groups as maps, durations as text.
func Settings(from any) map[string]any { return settings(reflect.ValueOf(from)) }

func settings(v reflect.Value) map[string]any {
	out := make(map[string]any)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := settingKey(f)
		if key == "" {
			continue
		}
		switch x := v.Field(i).Interface().(type) {
		case time.Duration:
			out[key] = x.String()
		default:
			switch {
			case isGroup(f):
				out[key] = settings(v.Field(i))
			case f.Type.Kind() == reflect.Slice && v.Field(i).IsNil():
				out[key] = []string{}
			default:
				out[key] = x
			}
		}
	}
	return out
}
