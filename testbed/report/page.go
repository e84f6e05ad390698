package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"path/filepath"
)

//go:embed page.html.tmpl page.css
var files embed.FS

// Render writes report.html anew from report.json and the figures in dir.
func Render(dir string) error {
	r, figures, err := Load(dir)
	if err != nil {
		return err
	}
	html, err := page(r, figures)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, htmlFile), html)
}

// page makes the document: no script, no external file, nothing from the network.
func page(r Result, figures []Figure) ([]byte, error) {
	css, err := files.ReadFile("page.css")
	if err != nil {
		return nil, fmt.Errorf("read style of report: %w", err)
	}
	t, err := template.New("page.html.tmpl").Funcs(template.FuncMap{
		"cell": Cell, "numeric": numeric, "inc": func(i int) int { return i + 1 },
		"svg": func(f Figure) template.HTML { return template.HTML(f.SVG) },
	}).ParseFS(files, "page.html.tmpl")
	if err != nil {
		return nil, fmt.Errorf("parse template of report: %w", err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Result": r, "Figures": figures, "CSS": template.CSS(css)})
	if err != nil {
		return nil, fmt.Errorf("render report: %w", err)
	}
	return b.Bytes(), nil
}
