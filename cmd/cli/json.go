package cli

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
)

// JSON writes values for scripts: < and > as they are, a list without elements as [] and never as null.
type JSON struct{ encoder *json.Encoder }

// JSONLines returns a JSON that writes each value on a line of its own.
func JSONLines(w io.Writer) JSON {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return JSON{e}
}

// Encode writes a value, which is not nil, and a newline. It may set lists that v points to.
func (j JSON) Encode(v any) error {
	filled := reflect.New(reflect.TypeOf(v)).Elem()
	filled.Set(reflect.ValueOf(v))
	fillLists(filled)
	return j.encoder.Encode(filled.Interface())
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// fillLists sets every list and map in v that is nil to an empty one, except where the encoder leaves it out.
func fillLists(v reflect.Value) {
	if v.Type().Implements(marshaler) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fillLists(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f, t := v.Field(i), v.Type().Field(i)
			leftOut := f.IsZero() && strings.Contains(t.Tag.Get("json"), ",omitzero")
			if (f.CanSet() || t.Anonymous) && !leftOut {
				fillLists(f)
			}
		}
	case reflect.Map:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeMap(v.Type()))
		}
	case reflect.Slice:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			fillLists(v.Index(i))
		}
	}
}
