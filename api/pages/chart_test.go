package pages

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// TestCharts: what the library draws has no style of its own that the page's
// policy would refuse, is well-formed, named, and holds the labels as text.
func TestCharts(t *testing.T) {
	c := chart{Name: `Scores <of> "a" node`, Says: "the last is 990 $1", Labels: []string{"11", "12", "13"},
		Series: []series{{"score", []float64{1000, math.NaN(), 990}}, {"listed", []float64{1, 2, 3}}}}
	lines, err := c.lines()
	if err != nil {
		t.Fatal(err)
	}
	bars, err := c.bars()
	if err != nil {
		t.Fatal(err)
	}
	alone := chart{Name: "a", Says: "b", Labels: []string{"1"}, Series: []series{{"x", []float64{0}}}}
	one, err := alone.lines()
	if err != nil {
		t.Fatal(err)
	}
	for name, svg := range map[string]string{"lines": string(lines), "bars": string(bars), "one point": string(one)} {
		for _, refused := range []string{"style=", "rgb", "font-family", "<style", "white"} {
			if strings.Contains(svg, refused) {
				t.Errorf("%s has %q: %s", name, refused, svg)
			}
		}
		for _, wanted := range []string{`role="img"`, "viewBox=", "<text ", "ink-f-text", "ink-s-axis", "ink-s-grid", "-one"} {
			if !strings.Contains(svg, wanted) {
				t.Errorf("%s lacks %q: %s", name, wanted, svg)
			}
		}
		for d := xml.NewDecoder(strings.NewReader("<all>" + svg + "</all>")); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s is not well-formed: %v\n%s", name, err, svg)
				break
			}
		}
	}
	for _, wanted := range []string{`aria-label="Scores &lt;of&gt; &#34;a&#34; node: the last is 990 $1"`, ">12</text>", ">listed</text>", "ink-s-two"} {
		if !strings.Contains(string(lines), wanted) {
			t.Errorf("lines lack %q: %s", wanted, lines)
		}
	}
}

// TestChartOfNothing: where there is nothing to draw, or too much, there is no
// drawing, and no error.
func TestChartOfNothing(t *testing.T) {
	for name, c := range map[string]chart{
		"empty": {}, "no values": {Labels: []string{"1"}, Series: []series{{"x", []float64{math.NaN()}}}},
		"unequal":         {Labels: []string{"1"}, Series: []series{{"x", []float64{1, 2}}}},
		"too many labels": {Labels: make([]string, chartMost+1), Series: []series{{"x", make([]float64, chartMost+1)}}},
		"too many series": {Labels: []string{"1"}, Series: []series{{"a", []float64{1}}, {"b", []float64{1}}, {"c", []float64{1}}, {"d", []float64{1}}}},
	} {
		if svg, err := c.lines(); svg != "" || err != nil {
			t.Errorf("lines of %s: %q, %v", name, svg, err)
		}
		if svg, err := c.bars(); svg != "" || err != nil {
			t.Errorf("bars of %s: %q, %v", name, svg, err)
		}
	}
}

func TestNiceTop(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.5: 1, 1: 1, 3: 4, 4: 4, 5: 5, 7: 10, 10: 10, 11: 20, 990: 1000, 1001: 2000, 45000: 50000} {
		if got := niceTop(v); got != want {
			t.Errorf("%v: %v, want %v", v, got, want)
		}
	}
}
