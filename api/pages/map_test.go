package pages

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tunic/api/client"
)

// many are nodes in swarms of seven, some of them not in the directory.
func many(n int) []client.NodeItem {
	var out []client.NodeItem
	for i := range n {
		x := client.NodeItem{Node: fmt.Sprintf("%064x", i*7919), Operator: fmt.Sprintf("0x%040x", i%40), State: client.Active, Listed: true,
			Swarm: fmt.Sprint(i / 7), Staked: fmt.Sprint(uint64(500+i%1500) * 1e9), Requirement: "2000000000000"}
		if i%20 == 19 {
			x.Listed, x.State = false, client.NodeState(nodeStates[i/20%len(nodeStates)])
		}
		out = append(out, x)
	}
	return out
}

// TestLayout: however many nodes there are, none is outside the drawing or on
// another, those of a group stand on one band, and the same nodes give the same
// map.
func TestLayout(t *testing.T) {
	for _, n := range []int{1, 2, 3, 12, 13, 40, 100, 500, mapMost} {
		groups, sizes := make([]string, n), make([]float64, n)
		for i := range groups {
			groups[i], sizes[i] = fmt.Sprint(i/7), float64(i%10)/9
		}
		l := layOut(groups, sizes)
		if !reflect.DeepEqual(l, layOut(groups, sizes)) {
			t.Errorf("%d nodes: two maps", n)
		}
		for i, a := range l.Places {
			if a.R <= 0 || a.R > l.Most || a.X-a.R < 0 || a.Y-a.R < 0 || a.X+a.R > mapSide || a.Y+a.R > mapSide {
				t.Fatalf("%d nodes: node %d at %v", n, i, a)
			}
			for k, b := range l.Places[:i] {
				if d := math.Hypot(a.X-b.X, a.Y-b.Y); d < a.R+b.R {
					t.Fatalf("%d nodes: nodes %d and %d are %.1f apart, with radii %.1f and %.1f", n, k, i, d, a.R, b.R)
				}
			}
		}
		bands := map[string]bool{}
		for _, a := range l.Arcs {
			bands[a.Group] = true
		}
		if want := (n + 6) / 7; len(bands) != want {
			t.Errorf("%d nodes: bands of %d groups, want %d", n, len(bands), want)
		}
		if n <= mapNamed && len(l.Rings) > 2 {
			t.Errorf("%d nodes: %d rings leave no room for names", n, len(l.Rings))
		}
	}
	if l := layOut(nil, nil); len(l.Places) != 0 {
		t.Error("nodes out of nothing")
	}
}

// TestMapOfMany: a map of hundreds of nodes has each of them, as a link with a
// name and a shape of its state, and the list below has them too.
func TestMapOfMany(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	all := many(500)
	d := mapView{Side: mapSide, Epoch: 9, BySwarm: swarms(all) > 1}
	if slices.SortFunc(all, d.order); !d.BySwarm || !all[0].Listed || all[len(all)-1].Listed {
		t.Error("nodes in the directory do not come first, by swarm")
	}
	d.draw(all)
	var page bytes.Buffer
	if err := s.templates["map"].ExecuteTemplate(&page, "content", &frame{view: view{Data: d}}); err != nil {
		t.Fatal(err)
	}
	svg := regexp.MustCompile(`(?s)<svg class="map" .*?</svg>`).FindString(page.String())
	links := 0
	for x := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := x.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the drawing is not well-formed: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "a" {
			links++
		}
	}
	if links != len(all) {
		t.Errorf("%d nodes on the map, of %d", links, len(all))
	}
	for _, n := range all {
		if got := strings.Count(page.String(), `href="/nodes/`+n.Node+`"`); got != 2 {
			t.Errorf("node %s is there %d times", n.Node, got)
		}
	}
	for state, shape := range map[string]string{"tombstoned": "<polyline", "decommissioned": "<polygon", "deregistered": "<polygon", "registered": `<circle class="ring"`} {
		if got := regexp.MustCompile(`class="node ` + state + `".*?</title>(<\w+( class="ring")?)`).FindStringSubmatch(svg); got == nil || got[1] != shape {
			t.Errorf("%s is drawn as %v", state, got)
		}
	}
	if strings.Contains(svg, "<text x=") {
		t.Error("names that nobody can read")
	}
}
