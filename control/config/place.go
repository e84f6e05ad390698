package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// path leads from the top, which is nil, to a node. It becomes text only when there is a problem at the node.
type path struct {
	up    *path
	name  string
	index int // -1: by name
}

// String returns the path as in "services[0].vip".
func (p *path) String() string {
	switch {
	case p == nil:
		return ""
	case p.index >= 0:
		return fmt.Sprintf("%v[%d]", p.up, p.index)
	case p.up == nil:
		return p.name
	}
	return p.up.String() + "." + p.name
}

// place returns the position in a document of a field, or of the nearest one around it.
func place(body ast.Node, field string) (line, column int) {
	node, at := body, body.GetToken()
	if first := firstToken(node); first != nil {
		at = first
	}
	for _, step := range strings.FieldsFunc(field, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		key, below := child(node, step)
		if key == nil && below == nil {
			break
		}
		if first := firstToken(below); first != nil {
			key = first
		}
		if key != nil {
			at = key
		}
		node = below
	}
	return at.Position.Line, at.Position.Column
}

// child returns the node one step below a node, and its key if it has one; nil, nil if there is none.
func child(node ast.Node, step string) (key *token.Token, below ast.Node) {
	switch n := node.(type) {
	case ast.MapNode:
		for it := n.MapRange(); it.Next(); {
			if key := it.Key().GetToken(); key.Value == step {
				return key, it.Value()
			}
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Values) {
			return nil, n.Values[i]
		}
	}
	return nil, nil
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
