package config

import (
	"fmt"
	"reflect"
	"strings"
)

// field is a field of a struct, by the name that it has in a document.
type field struct {
	name  string
	index int
}

// fieldsOf returns the fields of a struct.
func (s *shape) fieldsOf(t reflect.Type) []field {
	known, ok := s.fields[t]
	if !ok {
		for i, name := range fieldNames(t) {
			known = append(known, field{name, i})
		}
		s.fields[t] = known
	}
	return known
}

// fieldNames returns the names that a document uses for the fields of a struct, in their order.
func fieldNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		names = append(names, name)
	}
	return names
}

// suggest names the known field that is nearest to an unknown one, or all.
func suggest(name string, known []string) string {
	if near, ok := Nearest(name, known); ok {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "want one of " + strings.Join(known, ", ")
}
