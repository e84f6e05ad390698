package report

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Matrix is counts by row and column.
type Matrix struct {
	// X and Y label the axes; Unit says what a count is: "requests".
	X, Y, Unit string
	// Columns and Rows are the labels along X and Y. Of more than 24 columns, every
	// eighth is labelled.
	Columns, Rows []string
	// Counts is indexed [row][column].
	Counts [][]float64
}

// HeatMap draws a matrix: the opacity of a cell shows its count. Up to 12 columns have the number in the
// cell; the scale beside the map serves the rest.
func HeatMap(name, title, caption string, m Matrix) (Figure, error) {
	if err := m.validate(); err != nil {
		return Figure{}, fmt.Errorf("draw figure %s: %w", name, err)
	}
	height := vg.Length(58 + 26*len(m.Rows))
	return drawFigure(name, title, caption, height, func(c draw.Canvas) {
		p := newPlot(m.X, m.Y)
		p.X.Min, p.X.Max = -0.5, float64(len(m.Columns))-0.5
		p.Y.Min, p.Y.Max = -0.5, float64(len(m.Rows))-0.5
		p.X.Tick.Marker = labels(m.Columns, false)
		p.Y.Tick.Marker = labels(m.Rows, true)
		p.X.LineStyle.Width, p.Y.LineStyle.Width = 0, 0
		p.X.Tick.LineStyle.Width, p.Y.Tick.LineStyle.Width = 0, 0
		p.Add(cells{m})
		p.Draw(draw.Crop(c, 4, -92, 0, -4))
		m.scale(draw.Crop(c, pageWidth-74, -60, 38, -8))
	})
}

func (m Matrix) validate() error {
	if len(m.Rows) == 0 || len(m.Columns) == 0 || len(m.Counts) != len(m.Rows) {
		return fmt.Errorf("matrix of %d rows has %d labels", len(m.Counts), len(m.Rows))
	}
	for i, row := range m.Counts {
		if len(row) != len(m.Columns) {
			return fmt.Errorf("row %d of matrix has %d columns, want %d", i, len(row), len(m.Columns))
		}
	}
	return nil
}

// max returns the largest count, at least 1.
func (m Matrix) max() float64 {
	most := 1.0
	for _, row := range m.Counts {
		for _, n := range row {
			most = max(most, n)
		}
	}
	return most
}

// at returns the count that belongs to a row of the drawing; the first row is on top.
func (m Matrix) at(y, x int) float64 { return m.Counts[len(m.Rows)-1-y][x] }

// scale draws the key of the colours: a bar from 0 to the largest count.
func (m Matrix) scale(c draw.Canvas) {
	const steps = 8
	step := c.Size().Y / steps
	for i := range steps {
		y := c.Min.Y + vg.Length(i)*step
		fill(c, ink(0.05), c.Min.X, y+0.4, c.Max.X, y+step-0.4)
		fill(c, accent((float64(i)+0.5)/steps), c.Min.X, y+0.4, c.Max.X, y+step-0.4)
	}
	style := textStyle(tickSize, ink(1))
	style.XAlign = draw.XLeft
	c.FillText(style, vg.Point{X: c.Max.X + 5, Y: c.Min.Y + 3}, "0")
	c.FillText(style, vg.Point{X: c.Max.X + 5, Y: c.Max.Y - 3}, number(m.max()))
	c.FillText(style, vg.Point{X: c.Max.X + 5, Y: (c.Min.Y + c.Max.Y) / 2}, m.Unit)
}

// cells is the map itself, a plot.Plotter.
type cells struct{ Matrix }

// Plot draws one box a cell, with a thin gap between them.
func (m cells) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	most, numbered := m.max(), len(m.Columns) <= 12
	for row := range m.Rows {
		for col := range m.Columns {
			n := m.at(row, col)
			x0, x1 := x(float64(col)-0.5)+0.4, x(float64(col)+0.5)-0.4
			y0, y1 := y(float64(row)-0.5)+0.4, y(float64(row)+0.5)-0.4
			fill(c, ink(0.05), x0, y0, x1, y1)
			fill(c, accent(n/most), x0, y0, x1, y1)
			if numbered {
				at := vg.Point{X: x(float64(col)), Y: y(float64(row))}
				c.FillText(textStyle(labelSize, ink(1)), at, number(n))
			}
		}
	}
}

// labels makes ticks of names; reversed puts the first one on top.
func labels(names []string, reversed bool) plot.ConstantTicks {
	ticks := make(plot.ConstantTicks, len(names))
	for i, name := range names {
		at := i
		if reversed {
			at = len(names) - 1 - i
		}
		if len(names) > 24 && i%8 != 0 && i != len(names)-1 {
			name = ""
		}
		ticks[i] = plot.Tick{Value: float64(at), Label: name}
	}
	return ticks
}
