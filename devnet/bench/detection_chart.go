package bench

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"tunic/chain"
)

// series are the classes of the networks' sizes, the smallest first; there is
// room for two.
var series = []string{"a", "b"}

// SVG draws the result: to the left how many epochs it takes to find a relay, by
// what it drops; to the right how often an honest one is below, by what its links
// lose.
func (r *DetectionResult) SVG() string {
	const width, height = 1040, 470
	var s svg
	s.open(width, height, "How soon relays that drop packets are found, and how often honest ones would be",
		"Left: epochs from the first dropped packet until the relay is decommissioned, against the share of packets that it drops. Right: share of an honest relay's scores below the least score, against the loss on all of its links.")
	r.drawDrops(&s, plane{scale{4.4, 114, 76, 550, true}, scale{0, DetectionHorizon + 2, 372, 56, false}})
	r.drawLosses(&s, plane{scale{-0.2, r.mostLoss() + 0.2, 690, 1010, false}, scale{1e-7, 1, 372, 56, true}})
	s.text("note", "start", pt{76, 450}, fmt.Sprintf("profile %s: %d probes an epoch per relay, window of %d epochs of which the worst %d are forgiven, unfit below %d of 1,000; %d honest epochs before",
		r.Profile, r.ProbesPerRelay, r.ScoreWindow, r.ScoreForgiven, r.ScoreLeast, r.Honest))
	return s.close()
}

func percent(p chain.Permille) string {
	return strconv.FormatFloat(float64(p)/10, 'f', -1, 64)
}

// sizes are those of the networks that were simulated and that are drawn.
func (r *DetectionResult) sizes() []int {
	var out []int
	for _, f := range r.Simulated {
		out = append(out, f.Relays)
	}
	for _, f := range r.FalsePositives {
		out = append(out, f.Relays)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), len(series))]
}

func (r *DetectionResult) mostLoss() float64 {
	most := 1.0
	for _, f := range r.FalsePositives {
		most = max(most, float64(f.Loss)/10)
	}
	return most
}

func (r *DetectionResult) drawDrops(s *svg, p plane) {
	var x, y []tick
	for _, f := range r.Simulated {
		if t := (tick{float64(f.Drop) / 10, percent(f.Drop)}); !slices.Contains(x, t) {
			x = append(x, t)
		}
	}
	for e := 0; e <= DetectionHorizon; e += 5 {
		y = append(y, tick{float64(e), strconv.Itoa(e)})
	}
	s.axes(p, "Epochs until a relay that drops packets is out", "packets that the relay drops, % (logarithmic)", "epochs from the first dropped packet", x, y)
	s.path("axis dash", false, p.at(p.x.least, DetectionWithin), p.at(p.x.most, DetectionWithin))
	s.text("note", "start", pt{p.x.from + 6, p.y.at(DetectionWithin) - 5}, strconv.Itoa(DetectionWithin)+" epochs")

	legend := pt{p.x.from + 14, p.y.from - 8 - 20*float64(2*len(r.sizes())-2)}
	s.box(pt{p.x.from + 2, legend.y - 15}, pt{p.x.from + 252, p.y.from - 1})
	for i, n := range r.sizes() {
		class := series[i]
		var median, over, band, back []pt
		for _, f := range r.Simulated {
			if f.Relays != n {
				continue
			}
			v := float64(f.Drop) / 10
			if f.OneOfTen > 0 { // what is over the horizon ends at its edge
				most := float64(f.NineOfTen)
				if f.NineOfTen == 0 {
					most = p.y.most
				}
				band, back = append(band, p.at(v, float64(f.OneOfTen))), append(back, p.at(v, most))
			}
			if f.Median > 0 {
				median = append(median, p.at(v, float64(f.Median)))
			} else { // side by side
				over = append(over, pt{p.x.at(v) + 14*(float64(i)-float64(len(r.sizes())-1)/2), p.y.to})
			}
		}
		slices.Reverse(back)
		if i == 0 {
			s.path(class+" band", true, append(band, back...)...)
		}
		s.path(class+" line"+map[bool]string{true: " dash"}[i > 0], false, median...)
		for _, m := range median {
			s.dot(class+" fill", m, 3)
		}
		for _, m := range over {
			s.up(class+" hollow", m, 5)
		}
		s.path(class+" line"+map[bool]string{true: " dash"}[i > 0], false, pt{legend.x, legend.y - 4}, pt{legend.x + 26, legend.y - 4})
		s.text("", "start", pt{legend.x + 34, legend.y}, fmt.Sprintf("median, %d relays (simulated)", n))
		if legend.y += 20; i == 0 {
			s.path(class+" band", true, pt{legend.x, legend.y - 11}, pt{legend.x + 26, legend.y - 11}, pt{legend.x + 26, legend.y + 2}, pt{legend.x, legend.y + 2})
			s.text("", "start", pt{legend.x + 34, legend.y}, fmt.Sprintf("eight of ten runs, %d relays", n))
			legend.y += 20
		}
	}
	legend = pt{p.x.from + 276, p.y.from - 28}
	s.box(pt{legend.x - 24, legend.y - 15}, pt{p.x.to, p.y.from - 1})
	s.up("axis hollow", pt{legend.x + 13, legend.y - 4}, 5)
	s.text("", "start", pt{legend.x + 34, legend.y}, fmt.Sprintf("above %d epochs", DetectionHorizon))
	legend.y += 20
	r.drawMeasured(s, p, legend)
}

// drawMeasured puts a point for each network that was run, side by side where
// several took as long.
func (r *DetectionResult) drawMeasured(s *svg, p plane, legend pt) {
	if len(r.Measured) == 0 {
		return
	}
	const r0, apart = 3.6, 7.6
	type place struct {
		drop   chain.Permille
		epochs int
	}
	same, at := map[place]int{}, map[place]int{}
	for _, m := range r.Measured {
		same[place{m.Drop, m.Epochs}]++
	}
	for _, m := range r.Measured {
		k := place{m.Drop, m.Epochs}
		q := p.at(float64(m.Drop)/10, float64(m.Epochs))
		q.x += (float64(at[k]) - float64(same[k]-1)/2) * apart
		if at[k]++; m.Epochs > 0 {
			s.dot("run", q, r0)
		} else {
			s.up("run", pt{q.x, p.y.at(DetectionHorizon)}, r0+1)
		}
	}
	s.dot("run", pt{legend.x + 13, legend.y - 4}, r0)
	s.text("", "start", pt{legend.x + 34, legend.y}, fmt.Sprintf("a network of %d, run", detectionRelays))
}

func (r *DetectionResult) drawLosses(s *svg, p plane) {
	var x, y []tick
	for _, f := range r.FalsePositives {
		if t := (tick{float64(f.Loss) / 10, percent(f.Loss)}); !slices.Contains(x, t) {
			x = append(x, t)
		}
	}
	for e := 0; e >= int(math.Round(math.Log10(p.y.least))); e-- {
		y = append(y, tick{math.Pow(10, float64(e)), "10" + superscript(e)})
	}
	y[0].text = "1"
	s.axes(p, "Honest relay: scores that are too low", "packets lost on all of its links, both ways, %", fmt.Sprintf("share of scores below %d", r.ScoreLeast), x, y)
	legend := pt{p.x.to - 272, p.y.from - 10 - 20*float64(len(r.sizes()))}
	s.box(pt{legend.x - 10, legend.y - 17}, pt{p.x.to, p.y.from - 2})
	for i, n := range r.sizes() {
		class := series[i]
		var line []pt
		var none []pt
		for _, f := range r.FalsePositives {
			if f.Relays != n {
				continue
			}
			q := p.at(float64(f.Loss)/10, max(f.Most, p.y.least))
			if f.Below == 0 {
				none = append(none, q)
			} else {
				line = append(line, q)
			}
		}
		s.path(class+" line"+map[bool]string{true: " dash"}[i > 0], false, line...)
		for _, q := range line {
			s.dot(class+" fill", q, 3.5)
		}
		for _, q := range none {
			s.down(class+" hollow", q, 5)
		}
		s.path(class+" line"+map[bool]string{true: " dash"}[i > 0], false, pt{legend.x, legend.y - 4}, pt{legend.x + 26, legend.y - 4})
		s.dot(class+" fill", pt{legend.x + 13, legend.y - 4}, 3.5)
		s.text("", "start", pt{legend.x + 34, legend.y}, fmt.Sprintf("%d relays (simulated)", n))
		legend.y += 20
	}
	s.down("axis hollow", pt{legend.x + 13, legend.y - 4}, 5)
	s.text("", "start", pt{legend.x + 34, legend.y}, "none below: at most this, with 95 %")
}

func superscript(n int) string {
	digits := []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")
	var out []rune
	for _, c := range strconv.Itoa(n) {
		if c == '-' {
			out = append(out, '⁻')
		} else {
			out = append(out, digits[c-'0'])
		}
	}
	return string(out)
}
