package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/wire"
	"tunic/ledger"
	"tunic/registry/directory"
)

// nodePage is a page of nodes or entries as maps, so that absent members show.
type nodePage struct {
	Height, Epoch, Total int64
	Removals             []string
	Next                 string `json:"next_cursor"`
	Items                []map[string]any
}

func (p nodePage) nodes() (ids []string) {
	for _, item := range p.Items {
		ids = append(ids, item["node"].(string))
	}
	return ids
}

// ids are the worlds's relays by number, ascending by id.
func (w *world) ids(numbers ...int) (ids []string) {
	for _, i := range numbers {
		ids = append(ids, w.relays[i].id.String())
	}
	slices.Sort(ids)
	return ids
}

// TestDirectoryViews: the root, the proof and the entries are of the header that
// the list is served with, and their tags save their bodies.
func TestDirectoryViews(t *testing.T) {
	w := running(t, nil)
	node := w.relays[0].id
	sealed, l := open(w, w.ok("/v1/directory", nil, "Accept", octets).body)
	var root oas.DirectoryRoot
	w.ok("/v1/directory/root", &root)
	var entries nodePage
	w.ok("/v1/directory/entries", &entries)
	header := w.ok("/v1/directory/root", nil, "Accept", octets).body
	proof := w.ok("/v1/directory/"+node.String()+"/proof", nil, "Accept", octets).body
	if !bytes.Equal(header, sealed.Encode()) || !bytes.Equal(root.Header, header) || root.Root != l.Root().String() || root.Count != 2 ||
		root.Height != int64(sealed.Header.Height) || entries.Height != root.Height || entries.Epoch != 1 || entries.Total != 2 {
		t.Errorf("root %+v, entries %+v", root, entries)
	}
	if want := directory.AppendMembership(wire.AppendBytes(nil, header), l.Prove(node)); !bytes.Equal(proof, want) {
		t.Error("the proof is not of the list's header")
	}
	for _, path := range []string{"/v1/directory/root", "/v1/directory/" + node.String() + "/proof", "/v1/directory/entries", "/v1/nodes", "/v1/directory/delta?since=0"} {
		for _, form := range []string{"application/json", octets} {
			a := w.get(path, "Accept", form)
			tag := a.Header.Get("ETag")
			if a.StatusCode != http.StatusOK || tag == "" || a.Header.Get("Cache-Control") != "no-cache" {
				t.Errorf("%s as %s: %s, tag %q, %q", path, form, a.Status, tag, a.Header.Get("Cache-Control"))
			}
			if a := w.get(path, "Accept", form, "If-None-Match", tag); a.StatusCode != http.StatusNotModified || len(a.body) != 0 {
				t.Errorf("%s as %s with its tag: %s", path, form, a.Status)
			}
		}
	}
	w.seal() // changes neither list nor removals
	if again := w.ok("/v1/directory/root", nil, "Accept", octets).body; !bytes.Equal(again, header) {
		t.Error("a block changes the root's header")
	}
	w.refused(w.get("/v1/directory/root", "Accept", "text/html"), 406, "not_acceptable")
	w.refused(w.get("/v1/directory/root?epoch=9"), 404, "epoch_not_found")
	w.refused(w.get("/v1/directory/entries?epoch=9"), 404, "epoch_not_found")
	empty := empty(t, nil)
	empty.refused(empty.get("/v1/directory/root"), 503, "no_head")
	empty.refused(empty.get("/v1/directory/entries"), 503, "no_head")
}

// TestFilters asks both lists by each parameter.
func TestFilters(t *testing.T) {
	w := running(t, nil)
	a, b, out := w.relays[0].id.String(), w.relays[1].id.String(), w.relays[2].id.String()
	both, all := w.ids(0, 1), w.ids(0, 1, 2)
	var entry oas.DirectoryEntryPage
	w.ok("/v1/directory/entries?search="+a, &entry)
	swarm, endpoint := entry.Items[0].Swarm, url.QueryEscape(entry.Items[0].Endpoints[0])
	operator := w.accounts[0].at.String()
	for path, want := range map[string][]string{
		"/v1/nodes":                                           all,
		"/v1/nodes?state=active":                              both,
		"/v1/nodes?state=registered":                          {out},
		"/v1/nodes?flag=listed":                               both,
		"/v1/nodes?flag=unlisted":                             {out},
		"/v1/nodes?flag=staked":                               both,
		"/v1/nodes?flag=open":                                 {out},
		"/v1/nodes?operator=" + operator:                      {a},
		"/v1/nodes?search=" + b[:10]:                          {b},
		"/v1/nodes?search=" + strings.ToUpper(b[:10]):         {b},
		"/v1/nodes?search=" + strings.ToLower(operator):       {a},
		"/v1/nodes?search=" + endpoint:                        {a},
		"/v1/nodes?search=127.":                               all,
		"/v1/nodes?version=1.0":                               all,
		"/v1/nodes?version=1*":                                all,
		"/v1/nodes?version=2*":                                nil,
		"/v1/nodes?min_stake=2000000000000":                   both,
		"/v1/nodes?min_stake=2000000000001":                   nil,
		"/v1/nodes?swarm=none":                                {out},
		"/v1/nodes?swarm=" + swarm + "&search=" + a:           {a},
		"/v1/nodes?state=active&flag=unlisted":                nil,
		"/v1/directory/entries":                               both,
		"/v1/directory/entries?operator=" + operator:          {a},
		"/v1/directory/entries?search=" + b[:7]:               {b},
		"/v1/directory/entries?search=" + endpoint:            {a},
		"/v1/directory/entries?version=1.0":                   both,
		"/v1/directory/entries?version=*":                     both,
		"/v1/directory/entries?version=1":                     nil,
		"/v1/directory/entries?min_stake=1":                   both,
		"/v1/directory/entries?min_stake=2000000000001":       nil,
		"/v1/directory/entries?swarm=none":                    nil,
		"/v1/directory/entries?epoch=1&swarm=" + swarm:        nil, // checked below
		"/v1/directory/entries?order=-node":                   {both[1], both[0]},
		"/v1/directory/entries?order=node":                    both,
		"/v1/directory/entries?order=-stake":                  both, // equal: by node id
		"/v1/nodes?order=-node":                               {all[2], all[1], all[0]},
		"/v1/nodes?order=-staked&state=registered":            {out},
		"/v1/nodes?order=registered":                          all,
		"/v1/nodes?order=-heartbeat&flag=unlisted":            {out},
		"/v1/nodes?order=credit&flag=unlisted&search=" + out:  {out},
		"/v1/nodes?order=performance&search=" + a[:20]:        {a},
		"/v1/directory/entries?order=performance&search=" + a: {a},
	} {
		var p nodePage
		w.ok(path, &p)
		if strings.Contains(path, "epoch=1&swarm") {
			if len(p.Items) == 0 || p.Items[0]["swarm"] != swarm {
				t.Errorf("%s: %v", path, p.Items)
			}
			continue
		}
		if got := p.nodes(); !slices.Equal(got, want) || p.Total != int64(len(want)) {
			t.Errorf("%s: %v of %d, want %v", path, got, p.Total, want)
		}
	}
	// The one with half of the stake is at the ends.
	for order, want := range map[string][]string{"staked": {out, both[0], both[1]}, "-staked": {both[0], both[1], out}} {
		var p nodePage
		if w.ok("/v1/nodes?order="+order, &p); !slices.Equal(p.nodes(), want) {
			t.Errorf("by %s: %v", order, p.nodes())
		}
	}
	for _, path := range []string{"/v1/nodes?order=swarm", "/v1/directory/entries?order=staked", "/v1/nodes?flag=good", "/v1/nodes?swarm=1x",
		"/v1/nodes?swarm=99999999999999999999", "/v1/directory/entries?min_stake=007", "/v1/nodes?search=", "/v1/nodes?version=", "/v1/nodes?fields=",
		"/v1/directory/entries?operator=" + swapCase(operator), "/v1/directory/entries?state=active"} {
		w.refused(w.get(path), 400, "invalid_request")
	}
}

// TestFields: items have the members that were asked for, and node.
func TestFields(t *testing.T) {
	w := running(t, nil)
	for path, want := range map[string][]string{
		"/v1/nodes?fields=state,swarm":                      {"node", "state", "swarm"},
		"/v1/nodes?fields=node":                             {"node"},
		"/v1/nodes?fields=stay_epochs,listed":               {"listed", "node"}, // nobody has to stay out
		"/v1/directory/entries?fields=onion,stake,onion":    {"node", "onion", "stake"},
		"/v1/directory/entries?fields=endpoints&limit=1000": {"endpoints", "node"},
	} {
		var p nodePage
		w.ok(path, &p)
		if len(p.Items) == 0 {
			t.Errorf("%s: no items", path)
		}
		for _, item := range p.Items {
			if got := slices.Sorted(maps.Keys(item)); !slices.Equal(got, want) {
				t.Errorf("%s: members %v", path, got)
			}
		}
	}
	// A member has the value that it has in the whole item.
	var whole, part nodePage
	w.ok("/v1/nodes", &whole)
	w.ok("/v1/nodes?fields=endpoints,operator,performance,credit_ms", &part)
	for i, item := range part.Items {
		for name, v := range item {
			if fmt.Sprint(v) != fmt.Sprint(whole.Items[i][name]) {
				t.Errorf("%s: %v, whole %v", name, v, whole.Items[i][name])
			}
		}
	}
	p := w.refused(w.get("/v1/directory/entries?fields=stake,stak"), 400, "invalid_request")
	if !strings.Contains(p.Detail, `"stak"`) || !strings.Contains(p.Detail, "there are endpoints, family, node, ") || p.Errors[0].Field != "fields" {
		t.Errorf("an unknown field: %+v", p)
	}
}

// follow reads a list to its end by its Link headers.
func (w *world) follow(path string) (pages []nodePage) {
	w.Helper()
	for path != "" {
		var p nodePage
		a := w.ok(path, &p)
		pages = append(pages, p)
		link, next := a.Header.Get("Link"), ""
		if link != "" {
			if next = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`); !strings.HasPrefix(next, "/v1/") {
				w.Fatalf("%s: Link %q", path, link)
			}
		}
		if (p.Next != "") != (link != "") {
			w.Fatalf("%s: next %q, Link %q", path, p.Next, link)
		}
		path = next
	}
	return pages
}

// TestLinks: every paged list can be read by its Link headers alone.
func TestLinks(t *testing.T) {
	w := running(t, nil)
	for path, items := range map[string]int{"/v1/accounts?limit=2": 5, "/v1/stakes?limit=1": 3, "/v1/blocks?limit=3": int(w.ledger.Head().Header.Height),
		"/v1/nodes?limit=1&order=-staked&fields=state": 3, "/v1/directory/entries?limit=1&order=-node": 2, "/v1/nodes?limit=1&search=127.": 3} {
		n := 0
		for _, p := range w.follow(path) {
			n += len(p.Items)
		}
		if n != items {
			t.Errorf("%s: %d items of %d", path, n, items)
		}
	}
}

// TestEntriesArePinned: what comes after the first page changes no later one,
// until the list is not kept any more; no cursor serves another list, other
// filters or another history.
func TestEntriesArePinned(t *testing.T) {
	w := running(t, nil)
	var first, second nodePage
	w.ok("/v1/directory/entries?limit=1", &first)
	next := "/v1/directory/entries?limit=1&cursor=" + first.Next
	check := func(when string) {
		t.Helper()
		w.ok(next, &second)
		if second.Height != first.Height || second.Epoch != 1 || second.Total != 2 || !slices.Equal(append(first.nodes(), second.nodes()...), w.ids(0, 1)) || second.Next != "" {
			t.Errorf("%s: %+v", when, second)
		}
	}
	check("at once")
	w.seal()
	check("a block later")
	w.slash(w.relays[0], w.relays[1])
	check("after a removal")
	if len(second.Removals) != 0 {
		t.Errorf("a later page knows of removals that the first did not: %v", second.Removals)
	}
	var now nodePage
	if w.ok("/v1/directory/entries", &now); !slices.Equal(now.Removals, w.ids(0)) || now.Height <= first.Height || now.Total != 2 {
		t.Errorf("a first page after a removal: %+v", now)
	}
	w.epoch(2)
	check("an epoch later")
	for _, path := range []string{"/v1/directory/entries?epoch=1&cursor=" + first.Next, "/v1/directory/entries?version=1.0&cursor=" + first.Next,
		"/v1/directory/entries?order=-node&cursor=" + first.Next, "/v1/nodes?cursor=" + first.Next} {
		w.refused(w.get(path), 400, "invalid_cursor")
	}
	for e := chain.Epoch(3); e <= ledger.KeptLists; e++ {
		w.epoch(e)
	}
	check("as long as the list is kept")
	w.epoch(ledger.KeptLists + 1)
	w.refused(w.get(next), 404, "epoch_not_found")
}

// TestEntriesAfterARevert: a cursor of a history that was given up is refused.
func TestEntriesAfterARevert(t *testing.T) {
	w := running(t, nil)
	_, err := w.ledger.Snapshot("here")
	w.must(err)
	w.publish(w.relays[0], 2)
	w.publish(w.relays[1], 2)
	w.seal()
	w.epoch(2)
	var p nodePage
	w.ok("/v1/directory/entries?limit=1", &p)
	_, err = w.ledger.Revert(t.Context(), "here")
	w.must(err)
	w.refused(w.get("/v1/directory/entries?limit=1&cursor="+p.Next), 400, "invalid_cursor")
}

// TestDeltaAsJSON: the JSON form leads from one list to the other, member by
// member.
func TestDeltaAsJSON(t *testing.T) {
	w := running(t, nil)
	w.publish(w.relays[1], 2)
	w.must(w.submit(w.transfer(w.accounts[4], w.accounts[0], 5)))
	w.seal()
	w.epoch(2)
	for _, since := range []int{0, 1, 2} {
		from := map[string]map[string]any{}
		var list struct {
			Root    string
			Entries []map[string]any
		}
		if since > 0 {
			w.ok(fmt.Sprintf("/v1/directory?epoch=%d", since), &list)
			for _, e := range list.Entries {
				from[e["node"].(string)] = e
			}
		}
		var d struct {
			SinceRoot string `json:"since_root"`
			Root      string
			Count     int
			Gone      []string
			Changed   []map[string]any
		}
		w.ok(fmt.Sprintf("/v1/directory/delta?since=%d", since), &d)
		if since > 0 && d.SinceRoot != list.Root {
			t.Errorf("since %d: made from root %s, the list's is %s", since, d.SinceRoot, list.Root)
		}
		for _, id := range d.Gone {
			if from[id] == nil {
				t.Errorf("since %d: %s is gone and was not there", since, id)
			}
			delete(from, id)
		}
		for _, c := range d.Changed {
			id := c["node"].(string)
			old, known := from[id]
			if !known {
				from[id] = c
				continue
			}
			for name, v := range c {
				if name != "node" && fmt.Sprint(old[name]) == fmt.Sprint(v) {
					t.Errorf("since %d: %s of %s does not change", since, name, id)
				}
				old[name] = v
			}
		}
		w.ok("/v1/directory?epoch=2", &list)
		if list.Root != d.Root || len(list.Entries) != d.Count || len(from) != d.Count {
			t.Fatalf("since %d: %d entries, the list has %d", since, len(from), len(list.Entries))
		}
		for _, e := range list.Entries {
			got, _ := json.Marshal(from[e["node"].(string)])
			if want, _ := json.Marshal(e); !bytes.Equal(got, want) {
				t.Errorf("since %d:\ngot  %s\nwant %s", since, got, want)
			}
		}
	}
}
