package api

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/registry/directory"
)

// filtering is what the lists of nodes and of entries are asked for: which
// items, in which order, with which members.
type filtering struct {
	directory.Filter
	order   string // without its minus; "node" where none was given
	down    bool
	members members // nil: all
	given   []string
}

// question are the parameters that both lists have, as they came.
type question struct {
	operator, swarm, search, version, minStake, fields, order *string
}

// filter reads q; T is the type of the items, whose members fields names.
func filter[T any](q question) (f filtering, err error) {
	if q.operator != nil {
		a, err := address("operator", *q.operator)
		if err != nil {
			return f, err
		}
		f.Operator = &a
	}
	if q.swarm != nil {
		id := directory.NoSwarm
		if *q.swarm != "none" {
			n, err := strconv.ParseUint(*q.swarm, 10, 64)
			if err != nil {
				return f, field(codeInvalidRequest, "swarm", "is not the number of a swarm, or none")
			}
			id = directory.SwarmID(n)
		}
		f.Swarm = &id
	}
	if q.minStake != nil {
		if err := f.MinStake.UnmarshalText([]byte(*q.minStake)); err != nil {
			return f, field(codeInvalidRequest, "min_stake", "is not a number of units: 2000 TUN are 2000000000000")
		}
	}
	f.Search, f.Version = text(q.search), text(q.version)
	f.order, f.down = strings.CutPrefix(text(q.order), "-")
	if f.order == "" {
		f.order = "node"
	}
	if q.fields != nil {
		if f.members, err = choose[T](*q.fields); err != nil {
			return f, err
		}
	}
	// Not fields: which members are shown does not change where a page ends.
	f.given = []string{text(q.operator), text(q.swarm), f.Search, f.Version, text(q.minStake), f.order, strconv.FormatBool(f.down)}
	return f, nil
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// rankLen is the length of a key of an ordered list: the value that it is
// ordered by, then the node id.
const rankLen = 8 + 32

// ranked is an item with its place: the keys' order is that of the list.
type ranked[T any] struct {
	key  [rankLen]byte
	item T
}

// rank is the key of a node whose value in f's order is v.
func (f filtering) rank(id chain.NodeID, v uint64) (key [rankLen]byte) {
	if f.down {
		v = ^v
	}
	binary.BigEndian.PutUint64(key[:], v)
	copy(key[8:], id[:])
	if f.down && f.order == "node" { // which has no value but the id
		for i := range id {
			key[8+i] = ^id[i]
		}
	}
	return key
}

// inOrder sorts all by their keys.
func inOrder[T any](all []ranked[T]) []ranked[T] {
	slices.SortFunc(all, func(a, b ranked[T]) int { return bytes.Compare(a.key[:], b.key[:]) })
	return all
}

func keyOf[T any](r ranked[T]) []byte { return r.key[:] }

// members are some members of a JSON object: the fields of a generated type.
type members []reflect.StructField

func nameOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// choose reads the parameter fields: names of members of T with commas between.
func choose[T any](names string) (members, error) {
	all := reflect.VisibleFields(reflect.TypeFor[T]())
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(f reflect.StructField) bool { return nameOf(f) == name }) {
			known := make([]string, len(all))
			for i, f := range all {
				known[i] = nameOf(f)
			}
			slices.Sort(known)
			a := field(codeInvalidRequest, "fields", fmt.Sprintf("there is no %q", httpx.Clip(name, 40)))
			a.Detail = httpx.Clip(fmt.Sprintf("%s; there are %s", a.Detail, strings.Join(known, ", ")), 2*maxProblemDetail)
			return nil, a
		}
	}
	return only[T](wanted), nil
}

// only are the members of T with these names, and node.
func only[T any](names []string) members {
	var m members
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if name := nameOf(f); name == "node" || slices.Contains(names, name) {
			m = append(m, f)
		}
	}
	return m
}

// of is item as JSON with the members of m alone.
func (m members) of(item any) (json.RawMessage, error) {
	v := reflect.ValueOf(item)
	b := []byte{'{'}
	for _, f := range m {
		value := v.FieldByIndex(f.Index)
		if value.Kind() == reflect.Pointer && value.IsNil() {
			continue // as omitempty
		}
		one, err := httpx.EncodeJSON(value.Interface())
		if err != nil {
			return nil, err
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), nameOf(f)...), `":`...)
		b = append(b, bytes.TrimSpace(one)...)
	}
	return append(b, '}'), nil
}

// show is items with the members that were asked for, ready for httpx.EncodeJSON.
func show[T any](f filtering, items []T) (any, error) {
	if f.members == nil {
		return items, nil
	}
	out := make([]json.RawMessage, len(items))
	for i := range items {
		var err error
		if out[i], err = f.members.of(items[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// listed is a page whose items may lack members. NextCursor is for linkNext.
type listed struct {
	reply
	NextCursor *string
}

func (l listed) VisitListNodesResponse(w http.ResponseWriter) error            { return l.reply(w) }
func (l listed) VisitListDirectoryEntriesResponse(w http.ResponseWriter) error { return l.reply(w) }

var (
	_ oas.ListNodesResponseObject            = listed{}
	_ oas.ListDirectoryEntriesResponseObject = listed{}
)
