package identify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

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

// jsonError says what is wrong without words of Go.
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

// next returns the line of what comes next behind an offset: space and commas are skipped.
func (c *lineCounter) next(offset int) int {
	for offset < len(c.text) && bytes.IndexByte([]byte(" \t\r\n,"), c.text[offset]) >= 0 {
		offset++
	}
	c.line += bytes.Count(c.text[c.at:max(c.at, offset)], []byte("\n"))
	c.at = max(c.at, offset)
	return c.line
}
