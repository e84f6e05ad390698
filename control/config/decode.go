package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

// decoder fills a value from a YAML document. It is stricter than the YAML package's decoder,
// which takes 1.5 for an int and nothing for a list, and it reports all problems, not the first.
type decoder struct {
	problems []Problem
	// more is how many there are beyond those.
	more int
	// fields caches the fields of every struct type.
	fields map[reflect.Type][]field
}

// decode fills v from the node at a path. A node without a position of its own is reported at the token at.
func (d *decoder) decode(v reflect.Value, node ast.Node, p *path, at *token.Token) {
	if first := firstToken(node); first != nil {
		at = first
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch n := node.(type) {
	case nil, *ast.NullNode:
		d.wrong(p, at, "has no value", "write a value, [] for an empty list, or leave the field out; is the file complete?")
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.wrong(p, at, "an anchor, alias or tag", "write the value itself")
	case ast.MapNode:
		d.mapping(v, n, p, at)
	case *ast.SequenceNode:
		d.sequence(v, n, p, at)
	default:
		d.scalar(v, node, p, at)
	}
}

func (d *decoder) mapping(v reflect.Value, node ast.MapNode, p *path, at *token.Token) {
	if v.Kind() != reflect.Struct {
		d.wrong(p, at, "a mapping", want(v.Type()))
		return
	}
	known := d.fieldsOf(v.Type())
	for it := node.MapRange(); it.Next(); {
		key := it.Key().GetToken()
		below := &path{up: p, name: key.Value, index: -1}
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key.Value })
		if i < 0 {
			d.wrong(below, key, "unknown field", suggest(key.Value, fieldNames(v.Type())))
			continue
		}
		d.decode(v.Field(known[i].index), it.Value(), below, key)
	}
}

func (d *decoder) sequence(v reflect.Value, node *ast.SequenceNode, p *path, at *token.Token) {
	if v.Kind() != reflect.Slice {
		d.wrong(p, at, "a list", want(v.Type()))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(node.Values), len(node.Values)))
	for i, value := range node.Values {
		d.decode(v.Index(i), value, &path{up: p, index: i}, at)
	}
}

func (d *decoder) scalar(v reflect.Value, node ast.Node, p *path, at *token.Token) {
	switch v.Kind() {
	case reflect.String:
		if text, ok := textOf(node); ok {
			v.SetString(text)
			return
		}
	case reflect.Int64:
		if n, ok := wholeOf(node); ok {
			v.SetInt(n)
			return
		}
	}
	d.wrong(p, at, fmt.Sprintf("%q is of the wrong type", at.Value), want(v.Type()))
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

// whole is an integer as the core schema of YAML 1.2 has it: 010 is ten, 0o10 is eight, 1_000 is text. The YAML package
// reads as YAML 1.1 does: 010 is eight, 1_000 a thousand.
var whole = regexp.MustCompile(`^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$`)

// wholeOf returns the integer that a scalar without quotes is.
func wholeOf(node ast.Node) (int64, bool) {
	t := node.GetToken()
	if t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType || !whole.MatchString(t.Value) {
		return 0, false
	}
	text, base := t.Value, 10
	if strings.HasPrefix(text, "0o") || strings.HasPrefix(text, "0x") {
		base = 0
	}
	n, err := strconv.ParseInt(text, base, 64)
	return n, err == nil
}

func (d *decoder) wrong(p *path, at *token.Token, reason, hint string) {
	if len(d.problems) == intent.MaxListed {
		d.more++
		return
	}
	d.problems = append(d.problems, Problem{intent.NewProblem(p.String(), hint, reason), at.Position.Line, at.Position.Column})
}

// want says in words what a value of t looks like.
func want(t reflect.Type) string {
	if t == reflect.TypeFor[api.Duration]() {
		return "want a time span with its unit: 90s, 10m"
	}
	if t == reflect.TypeFor[api.StatusRange]() {
		return `want a range of statuses, or one in quotes: 200-299, "304"`
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

// field is a field of a struct: its name in a document, and its index.
type field struct {
	name  string
	index int
}

// fieldsOf returns the fields of a struct.
func (d *decoder) fieldsOf(t reflect.Type) []field {
	known, ok := d.fields[t]
	if !ok {
		for i, name := range fieldNames(t) {
			known = append(known, field{name, i})
		}
		d.fields[t] = known
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
	if near, ok := wire.Nearest(name, known); ok {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "want one of " + strings.Join(known, ", ")
}
