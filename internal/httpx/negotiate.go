package httpx

import (
	"bytes"
	"compress/gzip"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// Weights are the items of a header such as Accept or Accept-Encoding, given as
// its values: their names in lower case, and how much each is wanted, from 0, not
// at all, to 1000. An item without a weight has 1000, one whose weight is
// malformed 0; parameters beside the weight are passed over.
func Weights(values []string) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, list := range values {
			for part := range strings.SplitSeq(list, ",") {
				name, params, _ := strings.Cut(part, ";")
				if !yield(strings.ToLower(strings.TrimSpace(name)), weight(params)) {
					return
				}
			}
		}
	}
}

// weight reads q out of an item's parameters, in thousandths; 1000 without.
func weight(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(f >= 0 && f <= 1) {
				return 0
			}
			return int(f * 1000)
		}
	}
	return 1000
}

// Quality is how much (0 to 1000) an Accept header, given as its values, wants a
// media type; the most specific range that matches counts.
func Quality(accept []string, media string) int {
	best, q := -1, 0
	group, _, _ := strings.Cut(media, "/")
	for name, weight := range Weights(accept) {
		specific := -1
		switch name {
		case media:
			specific = 2
		case group + "/*":
			specific = 1
		case "*/*":
			specific = 0
		}
		if specific > best {
			best, q = specific, weight
		}
	}
	return q
}

// TakesGzip reports whether r's client wants gzip at least as much as no coding.
func TakesGzip(r *http.Request) bool {
	values := r.Header["Accept-Encoding"]
	if len(values) == 1 && values[0] == "gzip" { // what most send
		return true
	}
	packed, rest, identity := -1, -1, 1
	for name, weight := range Weights(values) {
		switch name {
		case "gzip", "x-gzip":
			packed = weight
		case "*":
			rest = weight
		case "identity":
			identity = weight
		}
	}
	if packed < 0 {
		packed = rest
	}
	return packed > 0 && packed >= identity
}

// Gzip is body packed; level is one of compress/gzip.
func Gzip(body []byte, level int) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	if err == nil {
		_, err = z.Write(body)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic("httpx: internal error: " + err.Error()) // a known level, and memory
	}
	return b.Bytes()
}

// Clip bounds a text that somebody else chose to most bytes, with dots where it
// was cut and no half of a rune before them.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
