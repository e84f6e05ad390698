package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/token"

	"lbctl/lb"
)

// Problem is one thing that is wrong with a document. Its field is the path in
// the document: "services[0].replicas[1].weight"; empty for the whole.
type Problem struct {
	lb.Problem
	// Line and Column count from 1; 0 is unknown.
	Line, Column int
}

// Error says everything that is wrong with a document. It wraps lb.ErrInvalid.
type Error struct {
	// File is the document's name; empty when it was not a file.
	File string
	// Problems has at least one element.
	Problems []Problem
}

// Error describes the first problem and counts the others, in one line:
// "lb.yaml:9:14: services[0].vip: port 0 (and 2 more problems)".
func (e *Error) Error() string {
	p := e.Problems[0]
	s := p.Reason
	if p.Field != "" {
		s = p.Field + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("%d:%d: %s", p.Line, p.Column, s)
	}
	if e.File != "" {
		separator := ":"
		if p.Line == 0 {
			separator = ": "
		}
		s = e.File + separator + s
	}
	switch n := len(e.Problems) - 1; n {
	case 0:
		return s
	case 1:
		return s + " (and 1 more problem)"
	default:
		return fmt.Sprintf("%s (and %d more problems)", s, n)
	}
}

// Hint says what would be right in the place of the first problem.
func (e *Error) Hint() string { return e.Problems[0].Hint }

// Unwrap makes errors.Is(err, lb.ErrInvalid) true.
func (e *Error) Unwrap() error { return lb.ErrInvalid }

// problems collects what is wrong.
type problems []Problem

func (ps *problems) add(field, hint, reason string, args ...any) {
	what := fmt.Sprintf(reason, args...)
	*ps = append(*ps, Problem{Problem: lb.Problem{Field: oneLine(field), Hint: hint, Reason: oneLine(what)}})
}

// at says where the last one is.
func (ps problems) at(p *token.Position) {
	last := &ps[len(ps)-1]
	last.Line, last.Column = p.Line, p.Column
}

// oneLine replaces what would leave the line or confuse a terminal: names come from files.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return ' '
		}
		return r
	}, s)
}

// err returns the problems as an error, nil when there are none.
func (ps problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return &Error{Problems: slices.Clone(ps)}
}
