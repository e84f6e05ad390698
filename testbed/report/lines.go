package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Chart is series over a common x.
type Chart struct {
	X, Y   Axis
	Series []Series
}

// Series is points, by rising X where they are joined.
type Series struct {
	// Name is for the legend, which a chart with one series does not have.
	Name   string
	Points []Point
	Style  Style
	// Band draws the intervals as a band along the line, not as whiskers.
	Band bool
}

// Point is one value. Low and High are the ends of its interval; both 0: it has none. A Y that is not a number
// interrupts the line.
type Point struct{ X, Y, Low, High float64 }

func (p Point) x() []float64 { return []float64{p.X} }

func (p Point) y() []float64 {
	if p.Low == 0 && p.High == 0 {
		return []float64{p.Y}
	}
	return []float64{p.Y, p.Low, p.High}
}

// Style is how a series is drawn.
type Style int

// The styles: points that are joined, points alone, and the curve that a theory expects.
const (
	Line Style = iota
	Dots
	Theory
)

// Curve samples a theory from low to high, on a linear and on a logarithmic axis densely enough.
func Curve(name string, low, high float64, f func(x float64) float64) Series {
	const samples = 100
	s := Series{Name: name, Style: Theory}
	for i := range samples + 1 {
		share := float64(i) / samples
		all := []float64{low + share*(high-low)}
		if low > 0 {
			all = append(all, low*math.Pow(high/low, share))
		}
		for _, x := range all {
			s.Points = append(s.Points, Point{X: x, Y: f(x)})
		}
	}
	slices.SortFunc(s.Points, func(a, b Point) int { return int(math.Copysign(1, a.X-b.X)) })
	return s
}

// Lines draws a chart: lines with whiskers or bands for intervals, dots, and the curves of theories.
func Lines(name, title, caption string, chart Chart) (Figure, error) {
	x, y := chart.X.over(chart.values(Point.x), false), chart.Y.over(chart.values(Point.y), true)
	if !(x.Min < x.Max && y.Min < y.Max) {
		return Figure{}, fmt.Errorf("draw figure %s: axes from %v to %v and from %v to %v: want some points", name, x.Min, x.Max, y.Min, y.Max)
	}
	return drawFigure(name, title, caption, 220, func(c draw.Canvas) {
		p := newPlot(x.Label, y.Label)
		x.set(&p.X)
		y.set(&p.Y)
		p.Add(rules())
		legend := plot.NewLegend()
		legend.TextStyle.Font, legend.TextStyle.Color = sans(tickSize), ink(1)
		legend.ThumbnailWidth, legend.Padding, legend.Top, legend.Left = 20, 4, true, true
		styled := 0
		for _, s := range chart.Series {
			drawn := series{s, seriesStyle(s.Style, styled), y}
			if s.Style != Theory {
				styled++
			}
			p.Add(drawn)
			legend.Add(s.Name, drawn)
		}
		room := vg.Length(10)
		if len(chart.Series) > 1 {
			room = min(legend.Rectangle(c).Size().X, pageWidth/2) + 10
			legend.Draw(draw.Crop(c, pageWidth-room, 0, 0, -6))
			room += 10
		}
		p.Draw(draw.Crop(c, 4, -room, 0, -6))
	})
}

// values returns those of all points that are numbers.
func (c Chart) values(of func(Point) []float64) (all []float64) {
	for _, s := range c.Series {
		for _, p := range s.Points {
			for _, v := range of(p) {
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					all = append(all, v)
				}
			}
		}
	}
	return all
}

// drawing is the look of a series.
type drawing struct {
	line  draw.LineStyle
	glyph draw.GlyphStyle
}

// seriesStyle returns the look of the nth series: a colour that holds on white and on near-black, and, for print
// without colour, a glyph and a dash of its own. Theories are thin dashed ink.
func seriesStyle(style Style, n int) drawing {
	if style == Theory {
		return drawing{line: draw.LineStyle{Color: ink(1), Width: 0.8, Dashes: []vg.Length{3, 2}}}
	}
	colours := []color.Color{
		accent(1), color.NRGBA{R: 0xd5, G: 0x5e, A: 0xff}, color.NRGBA{G: 0x9e, B: 0x73, A: 0xff},
		color.NRGBA{R: 0xb0, G: 0x5c, B: 0xb8, A: 0xff}, ink(1),
	}
	glyphs := []draw.GlyphDrawer{
		draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.RingGlyph{}, draw.PlusGlyph{},
	}
	dashes := [][]vg.Length{nil, {6, 2}, {2, 2}, {8, 2, 2, 2}, {1, 2}}
	d := drawing{glyph: draw.GlyphStyle{Color: colours[n%len(colours)], Radius: 2.2, Shape: glyphs[n%len(glyphs)]}}
	if style == Line {
		d.line = draw.LineStyle{Color: colours[n%len(colours)], Width: 1.3, Dashes: dashes[n%len(dashes)]}
	}
	return d
}

// series is a Series as a plot.Plotter and a plot.Thumbnailer.
type series struct {
	Series
	drawing
	y Axis
}

// Plot implements plot.Plotter.
func (s series) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, run := range s.runs(p) {
		line, low, high := make([]vg.Point, len(run)), make([]vg.Point, len(run)), make([]vg.Point, len(run))
		for i, at := range run {
			line[i] = vg.Point{X: x(at.X), Y: y(at.Y)}
			low[i], high[i] = vg.Point{X: x(at.X), Y: y(s.within(at.Low))}, vg.Point{X: x(at.X), Y: y(s.within(at.High))}
			if at.Low == 0 && at.High == 0 {
				low[i], high[i] = line[i], line[i]
			}
		}
		if s.Band {
			slices.Reverse(low)
			band := c.ClipPolygonXY(slices.Concat(high, low))
			r, g, b, _ := s.glyph.Color.RGBA()
			c.FillPolygon(color.NRGBA{R: uint8(r >> 8), G: uint8(g >> 8), B: uint8(b >> 8), A: 0x33}, band)
		} else {
			s.whiskers(c, low, high)
		}
		if s.Style != Dots {
			c.StrokeLines(s.line, c.ClipLinesXY(line)...)
		}
		for _, at := range line {
			if s.glyph.Shape != nil && c.Contains(at) {
				c.DrawGlyph(s.glyph, at)
			}
		}
	}
}

// runs cuts the points where the axes have no place for one.
func (s series) runs(p *plot.Plot) (runs [][]Point) {
	none := func(v float64, scale plot.Normalizer) bool {
		_, log := scale.(plot.LogScale)
		return math.IsNaN(v) || math.IsInf(v, 0) || log && v <= 0
	}
	var run []Point
	for _, at := range s.Points {
		if none(at.X, p.X.Scale) || none(at.Y, p.Y.Scale) {
			runs, run = append(runs, run), nil
			continue
		}
		run = append(run, at)
	}
	return append(runs, run)
}

// within keeps an end of an interval on the axis.
func (s series) within(v float64) float64 { return min(max(v, s.y.Min), s.y.Max) }

// whiskers draws intervals as lines with caps.
func (s series) whiskers(c draw.Canvas, low, high []vg.Point) {
	style := draw.LineStyle{Color: s.glyph.Color, Width: 0.7}
	const cap = 2.5
	for i := range low {
		if l, h := low[i], high[i]; l != h {
			c.StrokeLines(style, c.ClipLinesXY([]vg.Point{l, h},
				[]vg.Point{{X: l.X - cap, Y: l.Y}, {X: l.X + cap, Y: l.Y}}, []vg.Point{{X: h.X - cap, Y: h.Y}, {X: h.X + cap, Y: h.Y}})...)
		}
	}
}

// Thumbnail implements plot.Thumbnailer.
func (s series) Thumbnail(c *draw.Canvas) {
	middle := c.Center()
	if s.Style != Dots {
		c.StrokeLine2(s.line, c.Min.X, middle.Y, c.Max.X, middle.Y)
	}
	if s.glyph.Shape != nil {
		c.DrawGlyph(s.glyph, middle)
	}
}
