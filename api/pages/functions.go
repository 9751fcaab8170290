package pages

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tunic/chain"
)

// functions are what templates call. Those that depend on the head's time are
// methods of the frame: $.When, $.Age.
var functions = template.FuncMap{
	"id": shortID, "full": fullID, "short": short, "copy": copyButton, // ids
	"amount": amount, "tun": tun, "tunOnly": tunOnly, "share": share, "permille": permille, "bps": bps, "duration": duration, // quantities
	"utc": utc, "count": count, "group": group,
	"badge": badge, "result": result, "means": means, // words
	"asset":   assetPath,
	"list":    func(v ...any) []any { return v },
	"dict":    dict,
	"dec":     func(n int64) int64 { return n - 1 },
	"inc":     func(n int64) int64 { return n + 1 },
	"deref":   func(s *string) string { return deref(s) },
	"deref64": plain,
	"num":     num,
	"number":  number,
	"ticks":   ticks,
	"kind":    func(k string) string { return cmp.Or(kindOptions[k], k) },
}

// dict makes named arguments for a part: {{template "empty" dict "Text" "…"}}.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: argument %d is not a name", i)
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// Kinds of ids: what short and full are called with, and where they lead.
var idPages = map[string]string{"node": "/nodes/", "tx": "/transactions/", "block": "/blocks/", "account": "/accounts/", "offence": "/slashes/"}

// href is the page of an id; empty for a kind without pages, such as hash.
func href(kind string, id any) string {
	base, ok := idPages[kind]
	if !ok {
		return ""
	}
	return base + url.PathEscape(fmt.Sprint(text(id)))
}

// plain is a number, or what a pointer to one points to.
func plain(v any) string {
	switch p := v.(type) {
	case *int64:
		return fmt.Sprint(deref(p))
	case *int:
		return fmt.Sprint(deref(p))
	}
	return fmt.Sprint(v)
}

// text takes a template's argument, which may be a pointer to a string.
func text(v any) string {
	if p, ok := v.(*string); ok {
		return deref(p)
	}
	return fmt.Sprint(v)
}

// short is an id for people: its beginning and its end.
func short(id any) string {
	s := text(id)
	n := 8
	if strings.HasPrefix(s, "0x") {
		n = 6
	}
	if len(s) < n+6 {
		return s
	}
	return s[:n] + "…" + s[len(s)-4:]
}

// shortID is an id in few characters, linked to its page, with the whole of it
// in the title and in data-id, by which the script finds it across the page.
func shortID(kind string, id any) template.HTML { return idHTML(kind, text(id), short(id), -1) }

// fullID is the whole id, for the page about it.
func fullID(kind string, id any) template.HTML { return idHTML(kind, text(id), text(id), 0) }

func idHTML(kind, id, shown string, tab int) template.HTML {
	if id == "" {
		return `<span class="none">none</span>`
	}
	e := template.HTMLEscapeString
	class := "id"
	if shown == id {
		class = "id whole"
	}
	var b strings.Builder
	b.WriteString(`<span class="idbox">`)
	if at := href(kind, id); at != "" {
		fmt.Fprintf(&b, `<a class="%s" href="%s" data-id="%s" title="%s">%s</a>`, class, e(at), e(id), e(id), e(shown))
	} else {
		fmt.Fprintf(&b, `<span class="%s" data-id="%s" title="%s">%s</span>`, class, e(id), e(id), e(shown))
	}
	b.WriteString(string(button(id, shown, tab)))
	b.WriteString(`</span>`)
	return template.HTML(b.String())
}

// copyButton copies a text; without JavaScript it is not there.
func copyButton(what string) template.HTML { return button(what, "", 0) }

func button(what, name string, tab int) template.HTML {
	e := template.HTMLEscapeString
	at := ""
	if tab < 0 {
		at = ` tabindex="-1"` // by keyboard: c, on the link before it
	}
	return template.HTML(fmt.Sprintf(`<button type="button" class="copy" data-copy="%s" aria-label="Copy %s"%s></button>`, e(what), e(name), at))
}

// units reads an amount of the API's; ok is false where it is none.
func units(v any) (a chain.Amount, ok bool) {
	return a, a.UnmarshalText([]byte(text(v))) == nil
}

// tun is an amount in TUN, as text.
func tun(v any) string {
	a, ok := units(v)
	if !ok {
		return text(v)
	}
	return a.String() + " TUN"
}

// tunOnly is an amount in TUN without the name.
func tunOnly(v any) string {
	a, ok := units(v)
	if !ok {
		return text(v)
	}
	whole, part, found := strings.Cut(a.String(), ".")
	if found {
		part = "." + part
	}
	return group(whole) + part
}

// share is the part of a in all, as a percentage.
func share(a, all any) string {
	x, _ := units(a)
	y, _ := units(all)
	if y == 0 || x > y {
		return "0 %"
	}
	return bps(int(chain.Amount(10_000).MulDiv(uint64(x), uint64(y))))
}

// amount is an amount in TUN, its units in the title.
func amount(v any) template.HTML {
	a, ok := units(v)
	if !ok {
		return template.HTML(template.HTMLEscapeString(text(v)))
	}
	whole, part, _ := strings.Cut(a.String(), ".")
	if part != "" {
		part = `<span class="part">.` + part + `</span>`
	}
	return template.HTML(fmt.Sprintf(`<data class="amount" value="%d" title="%d units">%s%s <span class="unit">TUN</span></data>`, uint64(a), uint64(a), group(whole), part))
}

// group puts thin spaces between the thousands of a whole number.
func group(v any) string {
	s := plain(v)
	if len(s) < 5 {
		return s
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// permille is a share as a percentage: 987 is "98.7 %".
func permille(v any) string {
	return percent(text(derefInt(v)), 10)
}

// bps is a share of ten thousandths as a percentage: 25 is "0.25 %".
func bps(v any) string { return percent(text(derefInt(v)), 100) }

func derefInt(v any) any {
	if p, ok := v.(*int); ok {
		return deref(p)
	}
	return v
}

func percent(n string, per int64) string {
	x := number(n)
	s := fmt.Sprintf("%d.%0*d", x/per, len(strconv.FormatInt(per, 10))-1, x%per)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + " %"
}

// duration is ms in its two largest units: "2 h 5 min".
func duration(ms int64) string {
	if ms < 0 {
		return "-" + duration(-ms)
	}
	if ms < 1000 {
		return strconv.FormatInt(ms, 10) + " ms"
	}
	units := []struct {
		ms   int64
		name string
	}{{86_400_000, "d"}, {3_600_000, "h"}, {60_000, "min"}, {1000, "s"}}
	var parts []string
	for _, u := range units {
		if n := ms / u.ms; n > 0 {
			parts = append(parts, strconv.FormatInt(n, 10)+" "+u.name)
			ms -= n * u.ms
		} else if len(parts) > 0 {
			break
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// utc is a time in ms as people and machines read it.
func utc(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05 UTC") }

// When is a time as seen from the head's, the absolute one in the title; the
// script keeps it true.
func (f *frame) When(ms any) template.HTML {
	at, ok := ms.(int64)
	if p, isPtr := ms.(*int64); isPtr && p != nil {
		at, ok = *p, true
	}
	if !ok || at == 0 {
		return `<span class="none">never</span>`
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-ms="%d" title="%s">%s</time>`,
		time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"), at, utc(at), f.Age(at)))
}

// Age is the time from ms to the head, or from the head to ms, in words.
func (f *frame) Age(ms int64) string {
	switch d := f.Now - ms; {
	case f.Now == 0:
		return utc(ms)
	case d >= 1000:
		return largest(d) + " ago"
	case d > -1000:
		return "now"
	default:
		return "in " + largest(-d)
	}
}

// largest is a duration in one unit: as script.js writes it.
func largest(ms int64) string {
	switch s := ms / 1000; {
	case s < 2*60:
		return fmt.Sprint(s, " s")
	case s < 2*3600:
		return fmt.Sprint(s/60, " min")
	case s < 48*3600:
		return fmt.Sprint(s/3600, " h")
	default:
		return fmt.Sprint(s/86400, " d")
	}
}

// count is a number with its noun: "1 block", "3 blocks".
func count(n any, noun string) string {
	s := group(n)
	if s == "1" {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") {
		return s + " " + strings.TrimSuffix(noun, "y") + "ies"
	}
	return s + " " + noun + "s"
}

// num is a number that may be missing.
func num(n *int) string {
	if n == nil {
		return "–"
	}
	return group(*n)
}

// ticks is a text in which what stands between backquotes is code.
func ticks(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		e := template.HTMLEscapeString(part)
		if i%2 == 1 {
			e = "<code>" + e + "</code>"
		}
		b.WriteString(e)
	}
	return template.HTML(b.String())
}
