// Package encode writes answers as JSON. Of a list that is an answer's field the elements are encoded one by one: the
// daemon never holds the whole text, of which there are 40 MB for 100,000 replicas.
package encode

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"reflect"
	"strings"
)

// buffer is how much text is held.
const buffer = 64 << 10

// JSON writes v and a newline, as a json.Encoder does that leaves < and > as they are.
func JSON(w io.Writer, v any) error {
	value := reflect.ValueOf(v)
	if value.Kind() != reflect.Struct || !isPlain(value.Type()) {
		return newEncoder(w).Encode(v)
	}
	to := &writer{Writer: bufio.NewWriterSize(w, buffer)}
	to.json = newEncoder(&to.text)
	to.object(value)
	to.WriteByte('\n')
	return cmp.Or(to.err, to.Flush())
}

func newEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// isPlain reports whether a struct is an object with a field for each of its own.
func isPlain(t reflect.Type) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "" || name == "-" || strings.Contains(options, "string") {
			return false
		}
	}
	return !t.Implements(marshaler) && !reflect.PointerTo(t).Implements(marshaler)
}

// writer writes the parts of a text, each encoded by itself. It keeps its first error.
type writer struct {
	*bufio.Writer
	text bytes.Buffer // of one part
	json *json.Encoder
	err  error
}

func (w *writer) object(v reflect.Value) {
	between := byte('{')
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		f := v.Field(i)
		if strings.Contains(options, "omitempty") && isEmpty(f) || strings.Contains(options, "omitzero") && f.IsZero() {
			continue
		}
		w.WriteByte(between)
		w.part(name)
		w.WriteByte(':')
		w.field(f)
		between = ','
	}
	if between == '{' {
		w.WriteByte('{')
	}
	w.WriteByte('}')
}

func (w *writer) field(f reflect.Value) {
	switch v := f.Interface().(type) {
	case Text:
		w.Write(v)
		return
	case list:
		w.list(v)
		return
	}
	if f.Kind() != reflect.Slice || f.IsNil() || f.Type().Elem().Kind() != reflect.Struct || f.Type().Implements(marshaler) {
		w.part(f.Interface())
		return
	}
	w.WriteByte('[')
	for i := range f.Len() {
		if i > 0 {
			w.WriteByte(',')
		}
		w.part(f.Index(i).Addr().Interface())
	}
	w.WriteByte(']')
}

// part writes a value, without a newline.
func (w *writer) part(v any) {
	if w.err != nil {
		return
	}
	w.text.Reset()
	if w.err = w.json.Encode(v); w.err == nil {
		_, w.err = w.Write(bytes.TrimSuffix(w.text.Bytes(), []byte("\n")))
	}
}

// isEmpty tells what omitempty leaves out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
