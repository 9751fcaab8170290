package pages

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/go-analyze/charts"
)

// chart is what a line or bar chart shows. It is drawn once for both colour
// schemes and for any width.
type chart struct {
	// Name is its heading for people who hear it, Says what is to be seen in it.
	Name, Says string
	// Labels stand along the horizontal axis, one for each value.
	Labels []string
	// Series are the lines or the parts of each bar, in the order of the legend.
	Series []series
	// Most is the top of the vertical axis; 0: as high as the values. It begins
	// at 0 always, so that heights can be compared.
	Most float64
	// Write gives a value's text on the vertical axis; nil: as it is.
	Write func(float64) string
}

// series is one line, or one part of each bar. A value of NaN is a gap.
type series struct {
	Name   string
	Values []float64
}

// A drawing is made in three sizes, of which the style sheet shows the one that
// fits the screen: scaled to it, text is readable in all.
var chartSizes = []struct {
	class                 string
	width, height, labels int // labels along the horizontal axis
}{{"wide", 1060, 200, 24}, {"middle", 680, 190, 16}, {"narrow", 330, 170, 6}}

const (
	chartFont = 9.5 // points: 1.33 pixels each
	// chartMost bounds what one chart takes.
	chartMost = 512
)

// The colours handed to the library are names: classes of the style sheet take
// their place, which are others in the dark.
var (
	inkText   = charts.ColorRGB(1, 0, 0)
	inkAxis   = charts.ColorRGB(2, 0, 0)
	inkGrid   = charts.ColorRGB(3, 0, 0)
	inkSeries = []charts.Color{charts.ColorRGB(4, 0, 0), charts.ColorRGB(5, 0, 0), charts.ColorRGB(6, 0, 0)}
	inkNames  = map[string]string{"1": "text", "2": "axis", "3": "grid", "4": "one", "5": "two", "6": "three"}
	chartInk  = charts.MakeTheme(charts.ThemeOption{
		AxisStrokeColor: inkAxis, AxisSplitLineColor: inkGrid, TextColor: inkText, TextColorXAxis: inkText, TextColorYAxis: inkText,
		TextColorLegend: inkText, BackgroundColor: charts.ColorTransparent, SeriesColors: inkSeries,
	})
)

// lines draws c as one line for each series. It is empty where there is nothing
// to draw, or too much.
func (c chart) lines() (template.HTML, error) {
	if !c.drawable() {
		return "", nil
	}
	opt := charts.NewLineChartOptionWithData(c.values())
	opt.Theme, opt.Padding = chartInk, charts.NewBoxEqual(6)
	opt.XAxis.Labels, opt.XAxis.LabelFontStyle.FontSize = c.Labels, chartFont
	opt.YAxis = []charts.YAxisOption{c.valueAxis()}
	opt.Legend = c.legend()
	opt.Symbol.Shape = charts.SymbolNone
	if len(c.Labels) == 1 {
		opt.Symbol.Shape = charts.SymbolDot // a line of one point is not to be seen
	}
	opt.LineStrokeWidth = 2
	opt.ValueFormatter = c.Write
	return c.draw(func(p *charts.Painter, labels int) error {
		opt.XAxis.LabelCount = labels
		return p.LineChart(opt)
	})
}

// bars draws c as one bar for each label, with the series on top of each other.
// It is empty as lines is.
func (c chart) bars() (template.HTML, error) {
	if !c.drawable() {
		return "", nil
	}
	opt := charts.NewBarChartOptionWithData(c.values())
	opt.Theme, opt.Padding = chartInk, charts.NewBoxEqual(6)
	opt.CategoryAxis.Labels, opt.CategoryAxis.LabelFontStyle.FontSize = c.Labels, chartFont
	opt.ValueAxis = []charts.ValueAxisOption{c.valueAxis()}
	opt.Legend = c.legend()
	opt.StackSeries = charts.Ptr(len(c.Series) > 1)
	opt.BarSize = 0.7
	opt.ValueFormatter = c.Write
	return c.draw(func(p *charts.Painter, labels int) error {
		opt.CategoryAxis.LabelCount = labels
		return p.BarChart(opt)
	})
}

// drawable says that there is something to draw, and not too much.
func (c chart) drawable() bool {
	some := false
	for _, s := range c.Series {
		if len(s.Values) != len(c.Labels) {
			return false
		}
		some = some || slices.ContainsFunc(s.Values, func(v float64) bool { return !math.IsNaN(v) })
	}
	return some && len(c.Labels) <= chartMost && len(c.Series) <= len(inkSeries)
}

func (c chart) values() [][]float64 {
	out := make([][]float64, len(c.Series))
	for i, s := range c.Series {
		out[i] = slices.Clone(s.Values)
		for k, v := range out[i] {
			if math.IsNaN(v) {
				out[i][k] = charts.GetNullValue()
			}
		}
	}
	return out
}

// top is the upper end of the vertical axis.
func (c chart) top() float64 {
	if c.Most > 0 {
		return c.Most
	}
	sums := make([]float64, len(c.Labels))
	for _, s := range c.Series {
		for i, v := range s.Values {
			if !math.IsNaN(v) {
				sums[i] += v
			}
		}
	}
	return niceTop(slices.Max(sums))
}

// niceTop is the least of 1, 2, 4, 5 and 10 times a power of ten that is not
// below v, and 1 at least.
func niceTop(v float64) float64 {
	if v <= 1 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, k := range []float64{1, 2, 4, 5} {
		if k*power >= v {
			return k * power
		}
	}
	return 10 * power
}

func (c chart) valueAxis() charts.ValueAxisOption {
	top := c.top()
	axis := charts.ValueAxisOption{Min: charts.Ptr(0.0), Max: charts.Ptr(top), RangeValuePaddingScale: charts.Ptr(0.0), LabelCount: 5}
	if top <= 2 {
		axis.LabelCount = int(top) + 1 // counts have no halves
	}
	axis.LabelFontStyle.FontSize = chartFont
	return axis
}

func (c chart) legend() charts.LegendOption {
	l := charts.LegendOption{Show: charts.Ptr(len(c.Series) > 1)}
	l.FontStyle.FontSize = chartFont
	for _, s := range c.Series {
		l.SeriesNames = append(l.SeriesNames, s.Name)
	}
	return l
}

// draw makes the drawings of all sizes.
func (c chart) draw(on func(p *charts.Painter, labels int) error) (template.HTML, error) {
	var all strings.Builder
	for _, size := range chartSizes {
		p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: size.width, Height: size.height, Theme: chartInk})
		labels := size.labels
		if size.class != "wide" && slices.ContainsFunc(c.Labels, func(l string) bool { return len(l) > 5 }) {
			labels = size.width / 110 // long ones need more room
		}
		if err := on(p, min(len(c.Labels), labels)); err != nil {
			return "", fmt.Errorf("draw chart %q: %w", c.Name, err)
		}
		svg, err := p.Bytes()
		if err != nil {
			return "", fmt.Errorf("draw chart %q: %w", c.Name, err)
		}
		all.WriteString(dress(string(svg), size.class, c.Name, c.Says))
	}
	return template.HTML(all.String()), nil
}

var (
	svgStart  = regexp.MustCompile(`^<svg [^>]*?(viewBox="[^"]*")>`)
	svgStyle  = regexp.MustCompile(`style="([^"]*)"`)
	svgColour = regexp.MustCompile(`^rgba?\(([1-6]),0,0(?:,[0-9.]+)?\)$`)
	svgSpace  = regexp.MustCompile(`\n`)
)

// dress makes the library's drawing one of the page: named, and with attributes
// and classes in the place of styles, which the page's policy refuses.
func dress(svg, class, name, says string) string {
	open := fmt.Sprintf(`<svg class="chart %s" role="img" aria-label="%s" $1>`, class, strings.ReplaceAll(template.HTMLEscapeString(name+": "+says), "$", "$$"))
	svg = svgStart.ReplaceAllString(svg, open)
	svg = svgStyle.ReplaceAllStringFunc(svg, func(style string) string { return presentation(svgStyle.FindStringSubmatch(style)[1]) })
	return svgSpace.ReplaceAllString(svg, " ")
}

// presentation is one style as attributes: colours as classes such as ink-s-one
// (of the stroke), all else by its own name.
func presentation(style string) string {
	var classes, attributes []string
	for declaration := range strings.SplitSeq(style, ";") {
		name, value, _ := strings.Cut(declaration, ":")
		switch name = strings.TrimSpace(name); name {
		case "stroke", "fill":
			if m := svgColour.FindStringSubmatch(value); m != nil {
				class := "ink-" + name[:1] + "-" + inkNames[m[1]]
				if strings.HasPrefix(value, "rgba(") {
					class += " ink-faint"
				}
				classes = append(classes, class)
				continue
			}
			attributes = append(attributes, fmt.Sprintf(`%s="%s"`, name, cmp.Or(map[string]string{"none": "none"}[value], "none")))
		case "stroke-width", "font-size":
			attributes = append(attributes, fmt.Sprintf(`%s="%s"`, name, strings.TrimSuffix(value, "px")))
		}
	}
	if len(classes) > 0 {
		attributes = append([]string{fmt.Sprintf(`class="%s"`, strings.Join(classes, " "))}, attributes...)
	}
	return strings.Join(attributes, " ")
}
