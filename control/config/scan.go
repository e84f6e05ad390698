package config

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"lbctl/control/intent"
)

// What a file may be. The YAML package needs some 200 bytes of memory for each mark, and time in the square of the depth
// and of the number of keys in a mapping.
const (
	// maxFile is the size in bytes of the largest file, maxMarks the number of its marks: room for a million replicas.
	maxFile  = 32 << 20
	maxMarks = 8 << 20
	// maxDepth is how deep lists and mappings may be nested: a replica's fields are at 4.
	maxDepth = 32
	// maxKeys is how many fields a mapping may have: a service has 11.
	maxKeys = 200
)

// tooMuch says why a text is more than a file may be, or "".
func tooMuch(text []byte) string {
	if len(text) > maxFile {
		return fmt.Sprintf("is larger than %d MB", maxFile>>20)
	}
	marks := 0
	for _, b := range text {
		if isMark[b] {
			marks++
		}
	}
	if marks > maxMarks {
		return fmt.Sprintf("has more than %d marks such as - and {", maxMarks)
	}
	return ""
}

// isMark has the bytes at which a token may begin or end.
var isMark = func() (is [256]bool) {
	for _, b := range []byte("[]{},:-?&*!|>%@`'\"#\n") {
		is[b] = true
	}
	return is
}()

// parseText parses the text of a file, unless it is nested too deep or a mapping too large.
func parseText(text []byte) (*ast.File, *Problem, error) {
	tokens := lexer.Tokenize(string(text))
	if p := tooNested(tokens); p != nil {
		return nil, p, nil
	}
	tree, err := parser.Parse(tokens, 0)
	return tree, nil, err
}

// level is a list or mapping around a token.
type level struct {
	// column is that of a block; 0 stands for brackets.
	column int
	keys   int
}

// tooNested finds the first token that is nested too deep or is one key too many, and says which.
func tooNested(tokens token.Tokens) *Problem {
	var around []level
	line, begins := 0, true
	for _, t := range tokens {
		begins = begins || t.Position.Line != line
		line = t.Position.Line
		if begins {
			around = inBlock(around, t.Position.Column)
			begins = false
		}
		top := len(around) - 1
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			around = append(around, level{})
		case token.SequenceEndType, token.MappingEndType:
			if around[top].column == 0 {
				around = around[:top]
			}
		case token.MappingValueType:
			around[top].keys++
		case token.SequenceEntryType, token.MappingKeyType: // what follows is below it, on the same line or not
			if around[top].column == 0 {
				return at(t, "separate the elements by commas", "a hyphen or question mark inside brackets")
			}
			begins = true
		}
		if len(around) > maxDepth {
			return at(t, "correct the brackets and the indentation there", fmt.Sprintf("lists and mappings in more than %d levels", maxDepth))
		}
		if around[len(around)-1].keys > maxKeys {
			return at(t, "want a list there: every element after a hyphen", fmt.Sprintf("a mapping of more than %d fields", maxKeys))
		}
	}
	return nil
}

func at(t *token.Token, hint, reason string) *Problem {
	return &Problem{intent.NewProblem("", hint, reason), t.Position.Line, t.Position.Column}
}

// inBlock returns the levels around the first token of a line, or of a list element, at a column. Within
// brackets the column means nothing.
func inBlock(around []level, column int) []level {
	for len(around) > 0 && around[len(around)-1].column > column {
		around = around[:len(around)-1]
	}
	if top := len(around) - 1; top >= 0 && (around[top].column == 0 || around[top].column == column) {
		return around
	}
	return append(around, level{column: column})
}
