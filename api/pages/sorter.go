package pages

import (
	"net/url"
	"strings"
)

// A sorter makes the heads of columns that a list can be ordered by: links that
// keep the list's other filters. See the part "sort".
type sorter struct {
	Path  string     // of the list
	Query url.Values // as asked
	Order string     // in force, "-" in front for descending
	// Descends are the keys whose first click sorts the largest to the top.
	Descends map[string]bool
}

// Link is where a click on the head of key leads: the same key the other way
// round, or another key the way that is most often wanted.
func (s sorter) Link(key string) string {
	order := key
	if s.Order == key || s.Order != "-"+key && s.Descends[key] {
		order = "-" + key
	}
	return link(s.Path, s.Query, "order", order)
}

// Aria is the head's aria-sort.
func (s sorter) Aria(key string) string {
	switch s.Order {
	case key:
		return "ascending"
	case "-" + key:
		return "descending"
	}
	return ""
}

// link is path with the query, without cursor and with name set to value; an
// empty value leaves it out.
func link(path string, query url.Values, name, value string) string {
	q := url.Values{}
	for k, v := range query {
		if k != "cursor" && len(v) > 0 && v[0] != "" {
			q.Set(k, v[0])
		}
	}
	q.Del(name)
	if value != "" {
		q.Set(name, value)
	}
	return strings.TrimSuffix(path+"?"+q.Encode(), "?")
}

// next is the link to the page behind cursor; empty where there is none.
func next(path string, query url.Values, cursor *string) string {
	if cursor == nil {
		return ""
	}
	return link(path, query, "cursor", *cursor)
}
