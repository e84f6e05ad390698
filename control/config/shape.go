package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"lbctl/control/api"
)

// shape fills a value from a YAML document. It is stricter than the YAML package's decoder,
// which takes 1.5 for an int and nothing for a list, and says where all problems are, not the first.
type shape struct {
	problems problems
	// fields are those of each type of struct that was met.
	fields map[reflect.Type][]field
}

// fill fills v from the node at a path. At is a place near it, for a node that has none.
func (s *shape) fill(v reflect.Value, node ast.Node, p *path, at *token.Token) {
	if first := firstToken(node); first != nil {
		at = first
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch n := node.(type) {
	case nil, *ast.NullNode:
		s.wrong(p, at, "has no value", "write a value, [] for an empty list, or leave the field out; is the file complete?")
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		s.wrong(p, at, "an anchor, alias or tag", "write the value itself")
	case ast.MapNode:
		s.mapping(v, n, p, at)
	case *ast.SequenceNode:
		s.sequence(v, n, p, at)
	default:
		s.scalar(v, node, p, at)
	}
}

func (s *shape) mapping(v reflect.Value, node ast.MapNode, p *path, at *token.Token) {
	if v.Kind() != reflect.Struct {
		s.wrong(p, at, "a mapping", want(v.Type()))
		return
	}
	known := s.fieldsOf(v.Type())
	for it := node.MapRange(); it.Next(); {
		key := it.Key().GetToken()
		below := &path{up: p, name: key.Value, index: -1}
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key.Value })
		if i < 0 {
			s.wrong(below, key, "unknown field", suggest(key.Value, fieldNames(v.Type())))
			continue
		}
		s.fill(v.Field(known[i].index), it.Value(), below, key)
	}
}

func (s *shape) sequence(v reflect.Value, node *ast.SequenceNode, p *path, at *token.Token) {
	if v.Kind() != reflect.Slice {
		s.wrong(p, at, "a list", want(v.Type()))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(node.Values), len(node.Values)))
	for i, value := range node.Values {
		s.fill(v.Index(i), value, &path{up: p, index: i}, at)
	}
}

func (s *shape) scalar(v reflect.Value, node ast.Node, p *path, at *token.Token) {
	if text, ok := textOf(node); ok && v.Kind() == reflect.String {
		v.SetString(text)
		return
	}
	if n, ok := wholeOf(node); ok && v.Kind() == reflect.Int64 {
		v.SetInt(n)
		return
	}
	s.wrong(p, at, fmt.Sprintf("%q is of the wrong type", at.Value), want(v.Type()))
}

func textOf(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

func wholeOf(node ast.Node) (int64, bool) {
	integer, ok := node.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch n := integer.Value.(type) {
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= math.MaxInt64
	}
	return 0, false
}

func (s *shape) wrong(p *path, at *token.Token, reason, hint string) {
	s.problems.add(p.String(), hint, "%s", reason)
	s.problems.at(at.Position)
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
