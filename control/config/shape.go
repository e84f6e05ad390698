package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"lbctl/control/api"
)

// shape compares a YAML document with the Go type that is to hold it, and
// remembers where every field is. It is stricter than the decoder, which takes 1.5 for
// an int and nothing for a list.
type shape struct {
	problems problems
	// places holds the position of every field by its path.
	places map[string]token.Position
}

// check compares node, found at path, with t. At is a place near it, for a node that has none.
func (s *shape) check(path string, node ast.Node, t reflect.Type, at *token.Token) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if first := firstToken(node); first != nil {
		at = first
	}
	s.places[path] = *at.Position
	switch n := node.(type) {
	case nil, *ast.NullNode:
		s.wrong(path, at, "has no value", "write a value, [] for an empty list, or leave the field out; is the file complete?")
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		s.wrong(path, at, "an anchor, alias or tag", "write the value itself")
	case ast.MapNode:
		s.mapping(path, n, t, at)
	case *ast.SequenceNode:
		s.sequence(path, n, t, at)
	default:
		s.scalar(path, node, t, at)
	}
}

func (s *shape) mapping(path string, node ast.MapNode, t reflect.Type, at *token.Token) {
	if t.Kind() != reflect.Struct {
		s.wrong(path, at, "a mapping", want(t))
		return
	}
	for it := node.MapRange(); it.Next(); {
		key := it.Key().GetToken()
		name := key.Value
		field, known := fieldOf(t, name)
		if !known {
			s.wrong(join(path, name), key, "unknown field", suggest(name, fieldNames(t)))
			continue
		}
		s.check(join(path, name), it.Value(), field, key)
	}
}

func (s *shape) sequence(path string, node *ast.SequenceNode, t reflect.Type, at *token.Token) {
	if t.Kind() != reflect.Slice {
		s.wrong(path, at, "a list", want(t))
		return
	}
	for i, v := range node.Values {
		s.check(fmt.Sprintf("%s[%d]", path, i), v, t.Elem(), at)
	}
}

func (s *shape) scalar(path string, node ast.Node, t reflect.Type, at *token.Token) {
	ok := false
	switch node.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		ok = t.Kind() == reflect.String
	case *ast.IntegerNode:
		ok = t.Kind() == reflect.Int64
	}
	if !ok {
		s.wrong(path, at, fmt.Sprintf("%q is of the wrong type", at.Value), want(t))
	}
}

func (s *shape) wrong(path string, at *token.Token, reason, hint string) {
	s.places[path] = *at.Position
	s.problems.add(path, hint, "%s", reason)
}

// want says in words what a value of t looks like.
func want(t reflect.Type) string {
	if t == reflect.TypeFor[api.Duration]() {
		return "want a time span with its unit: 90s, 10m"
	}
	switch t.Kind() {
	case reflect.String:
		return "want text; numbers that are text need quotes"
	case reflect.Int64:
		return "want a whole number without quotes"
	case reflect.Slice:
		return "want a list: every element on a line after a hyphen, or [] for none"
	}
	return "want fields: " + strings.Join(fieldNames(t), ", ")
}

// firstToken returns the first token of a node; that of a block mapping is its first key.
func firstToken(node ast.Node) *token.Token {
	switch n := node.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return node.GetToken()
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// fieldNames returns the names that a document may use for the fields of t.
func fieldNames(t reflect.Type) []string {
	var names []string
	for f := range fields(t) {
		names = append(names, f)
	}
	return names
}

func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for n, f := range fields(t) {
		if n == name {
			return f, true
		}
	}
	return nil, false
}

// fields yields names and types of the fields of a struct.
func fields(t reflect.Type) func(yield func(string, reflect.Type) bool) {
	return func(yield func(string, reflect.Type) bool) {
		if t.Kind() != reflect.Struct {
			return
		}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if !yield(name, t.Field(i).Type) {
				return
			}
		}
	}
}

// suggest names the known field that is nearest to an unknown one, or all.
func suggest(name string, known []string) string {
	if near, ok := Nearest(name, known); ok {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "want one of " + strings.Join(known, ", ")
}
