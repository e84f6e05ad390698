package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

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
