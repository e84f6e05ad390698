package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"html"
	"image/color"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is a drawing of the report: an SVG document that carries its own title
// and caption (the SVG elements title and desc), so that the file alone is enough
// to put it into a report again.
type Figure struct {
	// Name is the file's name without ".svg".
	Name string
	// Title is a noun phrase; Caption says in full sentences what is to be seen.
	Title, Caption string
	// SVG is the document. Ink is drawn in currentColor, so that it follows the
	// colour of the text around it, dark or light.
	SVG []byte
}

// File returns the name of the figure's file in a report's folder.
func (f Figure) File() string { return f.Name + ".svg" }

// fontStack is what figures ask for. The first three have the same metrics, those
// that gonum measures text with.
const fontStack = `'Liberation Sans',Arial,Helvetica,sans-serif`

// newFigure wraps body, which is drawn in a space of width by height units, into
// an SVG document.
func newFigure(name, title, caption string, width, height float64, body []byte) Figure {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%gpt" height="%gpt"`,
		width, height, width, height)
	fmt.Fprintf(&b, ` role="img" fill="currentColor" font-family="%s">`+"\n", fontStack)
	fmt.Fprintf(&b, "<title>%s</title>\n<desc>%s</desc>\n", html.EscapeString(title), html.EscapeString(caption))
	b.Write(body)
	b.WriteString("</svg>\n")
	return Figure{Name: name, Title: title, Caption: caption, SVG: b.Bytes()}
}

// parseFigure reads back what newFigure wrote.
func parseFigure(file string, svg []byte) (Figure, error) {
	var doc struct {
		XMLName xml.Name `xml:"svg"`
		Title   string   `xml:"title"`
		Desc    string   `xml:"desc"`
	}
	if err := xml.Unmarshal(svg, &doc); err != nil {
		return Figure{}, fmt.Errorf("parse figure %s: %w", file, err)
	}
	name := strings.TrimSuffix(filepath.Base(file), ".svg")
	return Figure{Name: name, Title: doc.Title, Caption: doc.Desc, SVG: svg}, nil
}

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
