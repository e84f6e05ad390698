package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Names of the files of a report.
const (
	jsonFile = "report.json"
	htmlFile = "report.html"
)

// Write puts a report into dir, which it makes: the figures as SVG files,
// report.json and report.html. Each file is there whole or not at all, and
// report.html, which is written last, holds everything that it shows.
// r.Figures is set from figures.
func Write(dir string, r Result, figures []Figure) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
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
// always find an array, and with the verdict of each check.
func (r Result) filled() Result {
	r.Checks = append([]Check{}, r.Checks...)
	r.Controls = append([]Check{}, r.Controls...)
	for _, list := range [][]Check{r.Checks, r.Controls} {
		for i, c := range list {
			list[i].Verdict = c.Outcome()
		}
	}
	r.Tables = append([]Table{}, r.Tables...)
	for i, t := range r.Tables {
		r.Tables[i].Rows = append([][]any{}, t.Rows...)
	}
	return r
}

// writeFile replaces a file in one step: a reader sees the old content or the new.
func writeFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer os.Remove(tmp.Name()) // fails, as it should, once renamed
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
