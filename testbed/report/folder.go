package report

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// File is the name of the file that scripts read.
const File = "report.json"

// Names of the files of a report.
const (
	jsonFile = File
	htmlFile = "report.html"
)

// WriteError is that a report, or its folder, could not be written.
type WriteError struct{ Err error }

// Error says so.
func (e *WriteError) Error() string { return "write report: " + e.Err.Error() }

// Unwrap returns what the operating system said.
func (e *WriteError) Unwrap() error { return e.Err }

// room is more than a report takes, in bytes.
const room = 8 << 20

// Prepare makes dir and finds out whether a report can be written there, before anything is measured: it writes as much
// as a report takes, and removes it again. Its errors are each a *WriteError.
func Prepare(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &WriteError{err}
	}
	f, err := os.CreateTemp(dir, ".room-")
	if err != nil {
		return &WriteError{err}
	}
	defer func() {
		if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
			err = &WriteError{err}
		}
	}()
	_, err = f.Write(make([]byte, room))
	return err
}

// Write puts a report into dir, which it makes: the figures as SVG files,
// report.json and report.html. Each file is there whole or not at all, and
// report.html, which is written last, holds everything that it shows.
// r.Figures is set from figures. What cannot be written is a *WriteError.
func Write(dir string, r Result, figures []Figure) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &WriteError{err}
	}
	r.Figures = []string{}
	for _, f := range figures {
		if err := writeFile(filepath.Join(dir, f.File()), f.SVG); err != nil {
			return err
		}
		r.Figures = append(r.Figures, f.File())
	}
	doc, err := json.MarshalIndent(r.filled(), "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := writeFile(filepath.Join(dir, jsonFile), append(doc, '\n')); err != nil {
		return err
	}
	return Render(dir)
}

// filled returns r with empty lists in the place of nil ones, so that scripts
// always find an array, and with all verdicts.
func (r Result) filled() Result {
	r.Checks = append([]Check{}, r.Checks...)
	r.Controls = append([]Check{}, r.Controls...)
	r.Quantities = append([]Quantity{}, r.Quantities...)
	for _, list := range [][]Check{r.Checks, r.Controls} {
		for i, c := range list {
			list[i].Verdict = c.Outcome()
		}
	}
	r.Verdict = r.Outcome()
	r.Tables = append([]Table{}, r.Tables...)
	for i, t := range r.Tables {
		r.Tables[i].Rows = append([][]any{}, t.Rows...)
	}
	return r
}

// writeFile replaces a file in one step: a reader sees the old content or the new.
func writeFile(path string, content []byte) error {
	if err := renameio.WriteFile(path, content, 0o644); err != nil {
		return &WriteError{err}
	}
	return nil
}

// Load reads the report in dir: report.json and the figures it names. Numbers of
// checks, tables and parameters come back as json.Number.
// It fails when report.json is missing, is not one, or names a file outside dir.
func Load(dir string) (Result, []Figure, error) {
	doc, err := os.ReadFile(filepath.Join(dir, jsonFile))
	if err != nil {
		return Result{}, nil, fmt.Errorf("load report: %w", err)
	}
	var r Result
	decode := json.NewDecoder(bytes.NewReader(doc))
	decode.UseNumber()
	if err := decode.Decode(&r); err != nil {
		return Result{}, nil, fmt.Errorf("decode %s: %w", filepath.Join(dir, jsonFile), err)
	}
	if r.Experiment == "" {
		return Result{}, nil, fmt.Errorf("decode %s: no experiment named: not a report", filepath.Join(dir, jsonFile))
	}
	figures, err := loadFigures(dir, r.Figures)
	return r, figures, err
}

func loadFigures(dir string, files []string) ([]Figure, error) {
	var figures []Figure
	for _, file := range files {
		if filepath.Base(file) != file {
			return nil, fmt.Errorf("load figure %q: not a file of the report's folder", file)
		}
		svg, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, fmt.Errorf("load figure: %w", err)
		}
		figure, err := parseFigure(file, svg)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure)
	}
	return figures, nil
}

//go:embed page.html.tmpl front.html.tmpl page.css
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
		"cell": Cell, "value": ValueText, "numeric": numeric, "inc": func(i int) int { return i + 1 },
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
