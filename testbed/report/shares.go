package report

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Share is what one of several got: a count, what was expected, and the band
// that chance alone leaves in 95 of 100 runs. All in the same unit.
type Share struct {
	Label               string
	Count               float64
	Expected, Low, High float64
}

// Panel is the shares of one kind of thing: queues, replicas.
type Panel struct {
	// X and Y label the axes.
	X, Y   string
	Shares []Share
}

// Shares draws panels side by side: a bar for each share, its by-chance band as a
// grey box over the bar's end, its expected value as a dashed line. Panels with one label of Y have one scale.
func Shares(name, title, caption string, panels ...Panel) (Figure, error) {
	if len(panels) == 0 {
		return Figure{}, fmt.Errorf("draw figure %s: no panel", name)
	}
	return drawFigure(name, title, caption, 210, func(c draw.Canvas) {
		width := c.Size().X / vg.Length(len(panels))
		for i, panel := range panels {
			left := vg.Length(i) * width
			panel.draw(scaleOf(panels, panel.Y), draw.Crop(c, left+4, left+width-c.Size().X-10, 0, -4))
		}
	})
}

// scaleOf returns the greatest value of the panels with a label of Y.
func scaleOf(panels []Panel, y string) float64 {
	top := 1.0
	for _, p := range panels {
		for _, s := range p.Shares {
			if p.Y == y {
				top = max(top, s.Count, s.High)
			}
		}
	}
	return top
}

func (p Panel) draw(top float64, c draw.Canvas) {
	pl := newPlot(p.X, p.Y)
	names := make([]string, len(p.Shares))
	for i, s := range p.Shares {
		names[i] = s.Label
	}
	pl.X.Min, pl.X.Max = -0.5, float64(len(p.Shares))-0.5
	pl.Y.Min, pl.Y.Max = 0, top*1.12
	pl.X.Tick.Marker = labels(names, false)
	pl.X.Tick.LineStyle.Color = color.Transparent // no tick, but its room
	pl.Y.Tick.Marker = even{}
	pl.X.Padding = 0
	pl.Add(rules(), bars(p.Shares))
	pl.Draw(c)
}

// bars is the shares of a panel, a plot.Plotter.
type bars []Share

// Plot draws them.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, s := range b {
		at := float64(i)
		fill(c, accent(0.75), x(at-0.3), y(0), x(at+0.3), y(s.Count))
		fill(c, ink(0.2), x(at-0.4), y(s.Low), x(at+0.4), y(s.High))
		dash := draw.LineStyle{Color: ink(1), Width: 0.8, Dashes: []vg.Length{3, 2}}
		c.StrokeLine2(dash, x(at-0.4), y(s.Expected), x(at+0.4), y(s.Expected))
		if len(b) <= 12 {
			label := vg.Point{X: x(at), Y: y(max(s.Count, s.High)) + 7}
			c.FillText(textStyle(tickSize, ink(1)), label, number(s.Count))
		}
	}
}
