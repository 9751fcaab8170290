package bench

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// svg draws a picture for documents, element by element. Coordinates are pixels
// from the upper left corner.
type svg struct{ strings.Builder }

// pt is a place.
type pt struct{ x, y float64 }

// px is a coordinate with one decimal, and none where it is whole.
func px(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// svgStyle is what the classes of elements look like, on white whatever the page
// around has.
const svgStyle = `text{font:13px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;fill:#1f2328}
.title{font-size:15px;font-weight:600}.note{font-size:12px;fill:#57606a}
.axis{stroke:#57606a;fill:none}.grid{stroke:#e4e7eb;fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.dash{stroke-dasharray:6 4}
.a{stroke:#0072b2}.b{stroke:#c2410c}.a.fill,.a.band{fill:#0072b2}.b.fill,.b.band{fill:#c2410c}
.band{stroke:none;fill-opacity:.16}.hollow{fill:#fff;stroke-width:1.6}
.run{fill:#1f2328;stroke:#fff;stroke-width:.8}.box{fill:#fff;fill-opacity:.9}`

func (s *svg) open(width, height int, title, description string) {
	fmt.Fprintf(s, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n<title>%s</title>\n<desc>%s</desc>\n<style>%s</style>\n",
		width, height, width, height, html.EscapeString(title), html.EscapeString(description), svgStyle)
	fmt.Fprintf(s, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height)
}

func (s *svg) close() string { return s.String() + "</svg>\n" }

// path joins points; closed, it is an area.
func (s *svg) path(class string, closed bool, points ...pt) {
	if len(points) == 0 {
		return
	}
	var d strings.Builder
	for i, p := range points {
		d.WriteString(map[bool]string{true: "M", false: "L"}[i == 0] + px(p.x) + " " + px(p.y))
	}
	if closed {
		d.WriteString("Z")
	}
	fmt.Fprintf(s, "<path class=\"%s\" d=\"%s\"/>\n", class, d.String())
}

func (s *svg) dot(class string, p pt, r float64) {
	fmt.Fprintf(s, "<circle class=\"%s\" cx=\"%s\" cy=\"%s\" r=\"%s\"/>\n", class, px(p.x), px(p.y), px(r))
}

// box is the ground of a legend between two corners.
func (s *svg) box(a, b pt) { s.path("box", true, a, pt{b.x, a.y}, b, pt{a.x, b.y}) }

// down is a triangle that points down: the value is here or lower.
func (s *svg) down(class string, p pt, r float64) {
	s.path(class, true, pt{p.x - r, p.y - r}, pt{p.x + r, p.y - r}, pt{p.x, p.y + r*0.8})
}

// up is one that points up.
func (s *svg) up(class string, p pt, r float64) {
	s.path(class, true, pt{p.x - r, p.y + r}, pt{p.x + r, p.y + r}, pt{p.x, p.y - r*0.8})
}

// text writes at p; anchor is start, middle or end.
func (s *svg) text(class, anchor string, p pt, what string) {
	fmt.Fprintf(s, "<text class=\"%s\" text-anchor=\"%s\" x=\"%s\" y=\"%s\">%s</text>\n", class, anchor, px(p.x), px(p.y), html.EscapeString(what))
}

// upright writes from below upwards, centred at p.
func (s *svg) upright(class string, p pt, what string) {
	fmt.Fprintf(s, "<text class=\"%s\" text-anchor=\"middle\" transform=\"translate(%s %s) rotate(-90)\">%s</text>\n", class, px(p.x), px(p.y), html.EscapeString(what))
}

// scale maps values to pixels.
type scale struct {
	least, most float64 // values
	from, to    float64 // pixels
	log         bool
}

func (c scale) at(v float64) float64 {
	f := func(x float64) float64 { return x }
	if c.log {
		f = math.Log
	}
	return c.from + (c.to-c.from)*(f(v)-f(c.least))/(f(c.most)-f(c.least))
}

// tick is a value of an axis and what is written there.
type tick struct {
	v    float64
	text string
}

// plane is one diagram: its axes, and where values are in it.
type plane struct{ x, y scale }

func (p plane) at(x, y float64) pt { return pt{p.x.at(x), p.y.at(y)} }

// axes draws the frame, the grid and what stands at both.
func (s *svg) axes(p plane, title, nameX, nameY string, ticksX, ticksY []tick) {
	left, right, top, foot := p.x.from, p.x.to, p.y.to, p.y.from
	s.text("title", "start", pt{left, top - 18}, title)
	for _, t := range ticksX {
		x := p.x.at(t.v)
		s.path("grid", false, pt{x, top}, pt{x, foot})
		s.text("", "middle", pt{x, foot + 20}, t.text)
	}
	for _, t := range ticksY {
		y := p.y.at(t.v)
		s.path("grid", false, pt{left, y}, pt{right, y})
		s.text("", "end", pt{left - 9, y + 4.5}, t.text)
	}
	s.path("axis", false, pt{left, top}, pt{left, foot}, pt{right, foot})
	s.text("", "middle", pt{(left + right) / 2, foot + 44}, nameX)
	s.upright("", pt{left - 46, (top + foot) / 2}, nameY)
}
