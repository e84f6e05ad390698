package report

import (
	"bytes"
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// pageWidth is the width of every figure, in points: a text column.
const pageWidth = 520

const (
	labelSize = 9
	tickSize  = 8
)

// accent is the one colour of data: a blue that holds on white and on near-black.
// Amounts are shown by its opacity, so that "nothing" is the paper itself.
func accent(opacity float64) color.NRGBA {
	return color.NRGBA{R: 0x3b, G: 0x7d, B: 0xc4, A: uint8(255*min(max(opacity, 0), 1) + 0.5)}
}

// ink is the colour of text and lines: black, written as currentColor.
func ink(opacity float64) color.NRGBA {
	return color.NRGBA{A: uint8(255*opacity + 0.5)}
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// newPlot returns a plot in the report's style: no title (the caption says it), no
// background, thin axes.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	for axis, label := range map[*plot.Axis]string{&p.X: x, &p.Y: y} {
		axis.Label.Text = label
		axis.Label.TextStyle.Font = sans(labelSize)
		axis.Label.Padding = 5
		axis.Tick.Label.Font = sans(tickSize)
		axis.LineStyle.Width = 0.6
		axis.Tick.LineStyle.Width = 0.6
		axis.Tick.Length = 3
		axis.Padding = 4
	}
	return p
}

// textStyle centres text of a size around its point.
func textStyle(size vg.Length, c color.Color) text.Style {
	return text.Style{
		Color: c, Font: sans(size), Handler: plot.DefaultTextHandler,
		XAlign: draw.XCenter, YAlign: draw.YCenter,
	}
}

// drawFigure calls paint with a canvas of pageWidth by height points and makes a
// figure of what it drew.
func drawFigure(name, title, caption string, height vg.Length, paint func(draw.Canvas)) (Figure, error) {
	svg := vgsvg.NewWith(vgsvg.UseWH(pageWidth, height))
	paint(draw.New(svg))
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return Figure{}, fmt.Errorf("draw figure %s: %w", name, err)
	}
	body, err := inner(b.Bytes())
	if err != nil {
		return Figure{}, fmt.Errorf("draw figure %s: %w", name, err)
	}
	return newFigure(name, title, caption, pageWidth, height.Points(), body), nil
}

// inner cuts the content out of the document that vgsvg wrote, and lets black
// follow the text around the figure. (vgsvg leaves a black fill out; the
// document's own fill, currentColor, then applies.)
func inner(doc []byte) ([]byte, error) {
	open := bytes.Index(doc, []byte("<svg"))
	end := bytes.LastIndex(doc, []byte("</svg>"))
	if open < 0 || end < open {
		return nil, fmt.Errorf("no svg element in %d bytes", len(doc))
	}
	start := open + bytes.IndexByte(doc[open:], '>') + 1
	body := bytes.TrimLeft(doc[start:end], "\n")
	body = bytes.ReplaceAll(body, []byte("stroke:#000000"), []byte("stroke:currentColor"))
	family := []byte("font-family:Liberation Sans;font-variant:normal;font-weight:normal;font-style:normal;")
	return bytes.ReplaceAll(body, family, nil), nil
}

// fill paints the box between two corners.
func fill(c draw.Canvas, paint color.Color, x0, y0, x1, y1 vg.Length) {
	c.SetColor(paint)
	box := vg.Rectangle{Min: vg.Point{X: x0, Y: y0}, Max: vg.Point{X: x1, Y: y1}}
	c.Fill(box.Path())
}
