package identify

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// readCSV reads a line of column names, in any order, and an observation a line.
func readCSV(text []byte) (all []Observation, err error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment, r.TrimLeadingSpace, r.ReuseRecord = '#', true, true
	var names []string
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("line %d: %w", wrong.StartLine, wrong.Err)
		} else if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if names == nil {
			if names, err = columnNames(cells); err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			continue
		}
		var record record
		for i, columns := 0, record.columns(); i < len(cells); i++ {
			*columns[names[i]] = strings.TrimSpace(cells[i])
		}
		if all, err = add(all, line, &record); err != nil {
			return nil, err
		}
	}
}

// columnNames checks the first line.
func columnNames(cells []string) ([]string, error) {
	var names []string
	for _, cell := range cells {
		name := strings.TrimSpace(cell)
		if !slices.Contains(Columns(), name) {
			return nil, fmt.Errorf("column %q is not known: want a first line with names of %s", name, strings.Join(Columns(), ", "))
		}
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("column %q stands there twice", name)
		}
		names = append(names, name)
	}
	return names, nil
}
