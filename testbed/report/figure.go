package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"html"
	"path/filepath"
	"strings"
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
