package simulate

import (
	"bytes"
	"fmt"
	"html"
	"math"

	"lbctl/testbed/report"
)

// line is a series of a line plot, its points by rising x.
type line struct {
	name   string
	points [][2]float64
}

// linePlot draws lines over a common x.
type linePlot struct {
	name, title, caption string
	x, y                 string
	// logY has an axis by powers of ten; points that are not above 0 are left out.
	logY  bool
	lines []line
}

// The drawing in points: the page's text column, and the margins around the axes.
const (
	plotWidth, plotHeight                  = 520.0, 230.0
	plotLeft, plotRight, plotTop, plotFoot = 62.0, 96.0, 10.0, 38.0
)

// lineStyles tell lines apart without relying on colour: ink is currentColor, accent the report's.
var lineStyles = [...]string{
	`stroke="#3b7dc4" stroke-width="1.6"`, `stroke="currentColor" stroke-width="1.1"`,
	`stroke="#3b7dc4" stroke-width="1.4" stroke-dasharray="6 3"`, `stroke="currentColor" stroke-width="1.1" stroke-dasharray="2 2"`,
	`stroke="#3b7dc4" stroke-width="1.4" stroke-dasharray="1.5 2.5"`,
}

// figure draws the plot.
func (p linePlot) figure() report.Figure {
	x, y := p.axes()
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%gpt" height="%gpt" role="img" fill="currentColor" font-family="Arial,Helvetica,sans-serif" font-size="8">`+"\n", plotWidth, plotHeight, plotWidth, plotHeight)
	fmt.Fprintf(&b, "<title>%s</title>\n<desc>%s</desc>\n", html.EscapeString(p.title), html.EscapeString(p.caption))
	x.draw(func(at float64, label string) {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fv3" stroke="currentColor" stroke-width=".6"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", at, y.base, at, y.base+12, label)
	})
	y.draw(func(at float64, label string) {
		fmt.Fprintf(&b, `<path d="M%g %.1fH%g" stroke="currentColor" stroke-opacity=".15" stroke-width=".5"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft, at, plotWidth-plotRight, plotLeft-4, at+3, label)
	})
	fmt.Fprintf(&b, `<text x="%g" y="%g" font-size="9" text-anchor="middle">%s</text>`+"\n", (plotLeft+plotWidth-plotRight)/2, plotHeight-8, html.EscapeString(p.x))
	fmt.Fprintf(&b, `<text transform="translate(12 %g) rotate(-90)" font-size="9" text-anchor="middle">%s</text>`+"\n", (plotTop+plotHeight-plotFoot)/2, html.EscapeString(p.y))
	fmt.Fprintf(&b, `<path d="M%g %gH%g" stroke="currentColor" stroke-width=".6"/>`+"\n", plotLeft, y.base, plotWidth-plotRight)
	for i, l := range p.lines {
		style := lineStyles[i%len(lineStyles)]
		fmt.Fprintf(&b, `<polyline fill="none" %s points="%s"/>`+"\n", style, l.path(x, y))
		at := plotTop + 8 + 14*float64(i)
		fmt.Fprintf(&b, `<path d="M%g %gh18" fill="none" %s/><text x="%g" y="%g">%s</text>`+"\n", plotWidth-plotRight+8, at, style, plotWidth-plotRight+30, at+3, html.EscapeString(l.name))
	}
	b.WriteString("</svg>\n")
	return report.Figure{Name: p.name, Title: p.title, Caption: p.caption, SVG: b.Bytes()}
}

func (l line) path(x, y axis) string {
	var b bytes.Buffer
	for _, p := range l.points {
		if at := y.at(p[1]); !math.IsInf(at, 0) && !math.IsNaN(at) {
			fmt.Fprintf(&b, "%.1f,%.1f ", x.at(p[0]), at)
		}
	}
	return b.String()
}

// axis maps values from low to high to places from base to end.
type axis struct {
	low, high, base, end float64
	log                  bool
	ticks                []float64
}

// at returns the place of a value, infinite for one that a logarithmic axis does not have.
func (a axis) at(v float64) float64 {
	if a.log {
		v = math.Log10(v)
	}
	return a.base + (v-a.low)/(a.high-a.low)*(a.end-a.base)
}

func (a axis) draw(tick func(at float64, label string)) {
	for _, v := range a.ticks {
		tick(a.at(v), html.EscapeString(report.Cell(v)))
	}
}

// axes returns axes that hold all points.
func (p linePlot) axes() (x, y axis) {
	xLow, xHigh, yLow, yHigh := math.Inf(1), math.Inf(-1), math.Inf(1), 0.0
	for _, l := range p.lines {
		for _, point := range l.points {
			xLow, xHigh = min(xLow, point[0]), max(xHigh, point[0])
			if yHigh = max(yHigh, point[1]); point[1] > 0 {
				yLow = min(yLow, point[1])
			}
		}
	}
	x = axis{low: xLow, high: max(xHigh, xLow+1e-9), base: plotLeft, end: plotWidth - plotRight}
	x.ticks = evenTicks(x.low, x.high)
	y = axis{high: max(yHigh, 1e-9), base: plotHeight - plotFoot, end: plotTop}
	y.ticks = evenTicks(0, y.high)
	if p.logY && yHigh > 0 {
		y.log, y.low, y.high = true, math.Floor(math.Log10(yLow)), math.Floor(math.Log10(yHigh))+1
		y.ticks = nil
		for exponent := y.low; exponent <= y.high; exponent++ {
			y.ticks = append(y.ticks, math.Pow(10, exponent))
		}
	}
	return x, y
}

// evenTicks returns some four to nine round values within an interval.
func evenTicks(low, high float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	for _, factor := range []float64{1, 2, 5} {
		if (high-low)/(step*factor) <= 8 {
			step *= factor
			break
		}
	}
	var ticks []float64
	for i := math.Ceil(low / step); i*step <= high*(1+1e-12); i++ {
		ticks = append(ticks, math.Round(i*step*1e9)/1e9)
	}
	return ticks
}
