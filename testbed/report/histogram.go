package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Distribution is how often values were in each of some bins.
type Distribution struct {
	// Name is written beside it: the arm.
	Name string
	// Edges are the bounds of the bins, rising: one more than Counts.
	Edges, Counts []float64
	// Marks are values to be pointed out: the median, p99.
	Marks []Mark
}

// Mark is a value with a name.
type Mark struct {
	Name string
	X    float64
}

// Bin counts values in a number of bins between their least and their greatest: of equal width, or with log,
// where all values must be above 0, of equal ratio.
func Bin(name string, values []float64, bins int, log bool, marks ...Mark) Distribution {
	d := Distribution{Name: name, Counts: make([]float64, bins), Marks: marks}
	low, high := 0.0, 1.0
	if len(values) > 0 {
		low, high = slices.Min(values), slices.Max(values)
	}
	scale, back := func(v float64) float64 { return v }, func(v float64) float64 { return v }
	if log {
		scale, back = math.Log, math.Exp
	}
	width := max(scale(high)-scale(low), 1e-9) / float64(bins)
	for i := range bins + 1 {
		d.Edges = append(d.Edges, back(scale(low)+float64(i)*width))
	}
	for _, v := range values {
		d.Counts[min(int((scale(v)-scale(low))/width), bins-1)]++
	}
	return d
}

// Histogram draws distributions one below the other, over a common x. The height of a bar is the share of the
// distribution's values in its bin by the largest such share of all distributions.
func Histogram(name, title, caption string, x Axis, all ...Distribution) (Figure, error) {
	var edges []float64
	most := 0.0
	for _, d := range all {
		if len(d.Counts) == 0 || len(d.Edges) != len(d.Counts)+1 || !slices.IsSorted(d.Edges) {
			return Figure{}, fmt.Errorf("draw figure %s: distribution %q has %d edges of %d bins, want one more, rising", name, d.Name, len(d.Edges), len(d.Counts))
		}
		edges = append(edges, d.Edges...)
		for _, s := range d.shares() {
			most = max(most, s)
		}
	}
	x = x.over(edges, false)
	if !(x.Min < x.Max) {
		return Figure{}, fmt.Errorf("draw figure %s: no distribution", name)
	}
	const row, foot = 62, 36
	return drawFigure(name, title, caption, vg.Length(row*len(all)+foot), func(c draw.Canvas) {
		p := newPlot(x.Label, "")
		x.set(&p.X)
		var ticks plot.ConstantTicks
		p.Y.Min, p.Y.Max = 0, float64(len(all))
		p.Add(rules())
		for i, d := range all {
			base := float64(len(all) - 1 - i)
			ticks = append(ticks, plot.Tick{Value: base, Label: "0"},
				plot.Tick{Value: base + barShare, Label: fmt.Sprintf("%.1f %%", 100*most)})
			p.Add(bins{d, base, barShare / most})
		}
		p.Y.Tick.Marker = ticks
		p.Draw(draw.Crop(c, 4, -16, 0, -2))
	})
}

// barShare is the part of a row that the highest bar takes.
const barShare = 0.75

// shares are the counts by their sum.
func (d Distribution) shares() []float64 {
	sum := 0.0
	for _, n := range d.Counts {
		sum += n
	}
	shares := make([]float64, len(d.Counts))
	for i, n := range d.Counts {
		shares[i] = n / max(sum, 1)
	}
	return shares
}

// bins is a distribution as a plot.Plotter, upwards from base, which is 0 of its row; scale is the height of a
// share of 1.
type bins struct {
	Distribution
	base, scale float64
}

// Plot implements plot.Plotter.
func (b bins) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	on := func(v float64) vg.Length { return x(min(max(v, p.X.Min), p.X.Max)) }
	for i, share := range b.shares() {
		if share > 0 {
			left, right := on(b.Edges[i]), on(b.Edges[i+1])
			fill(c, accent(0.8), left, y(b.base), max(right-0.3, left+0.3), y(b.base+share*b.scale))
		}
	}
	dash := draw.LineStyle{Color: ink(1), Width: 0.7, Dashes: []vg.Length{3, 2}}
	top := y(b.base + barShare)
	for _, m := range b.Marks {
		if m.X < p.X.Min || m.X > p.X.Max {
			continue
		}
		c.StrokeLine2(dash, x(m.X), y(b.base), x(m.X), top+3)
		c.FillText(textStyle(tickSize, ink(1)), vg.Point{X: x(m.X), Y: top + 8}, m.Name)
	}
	name := textStyle(labelSize, ink(1))
	name.XAlign = draw.XRight
	c.FillText(name, vg.Point{X: c.Max.X - 2, Y: top - 6}, b.Name)
}
