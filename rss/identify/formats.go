package identify

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// readCSV reads a line of column names, in any order, then one observation a line.
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
			return nil, fmt.Errorf("column %q is there twice", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// readJSON reads an array of objects, or objects one after another.
func readJSON(text []byte) (all []Observation, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	array := bytes.TrimSpace(text)[0] == '['
	if array {
		if _, err := d.Token(); err != nil {
			return nil, fmt.Errorf("line 1: %w", err)
		}
	}
	counter := lineCounter{text: text, line: 1}
	for d.More() {
		line := counter.next(int(d.InputOffset()))
		var r record
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, jsonError(err))
		}
		if all, err = add(all, line, &r); err != nil {
			return nil, err
		}
	}
	if array {
		if _, err := d.Token(); err != nil {
			return nil, fmt.Errorf("line %d: the array does not end", counter.next(len(text)))
		}
	}
	if line := counter.next(int(d.InputOffset())); len(bytes.TrimSpace(text[d.InputOffset():])) > 0 {
		return nil, fmt.Errorf("line %d: text after the last observation", line)
	}
	return all, nil
}

// jsonError describes an error without Go's type names.
func jsonError(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field == "":
		return fmt.Errorf("a JSON %s where an object is wanted", wrong.Value)
	case errors.As(err, &wrong):
		return fmt.Errorf("%s: a JSON %s where a string is wanted", wrong.Field, wrong.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the observation does not end")
	}
	return err
}

// lineCounter counts lines up to offsets that only grow.
type lineCounter struct {
	text     []byte
	at, line int
}

// next returns the line of the next value after an offset, past space and commas.
func (c *lineCounter) next(offset int) int {
	for offset < len(c.text) && bytes.IndexByte([]byte(" \t\r\n,"), c.text[offset]) >= 0 {
		offset++
	}
	c.line += bytes.Count(c.text[c.at:max(c.at, offset)], []byte("\n"))
	c.at = max(c.at, offset)
	return c.line
}
