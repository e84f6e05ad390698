package intent

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"lbctl/lb"
)

// Error says everything that is wrong with an intent or a part of it. It wraps lb.ErrInvalid.
type Error struct {
	// Problems has at least one element. Fields are paths in the document that the intent was
	// made of: "services[0].replicas[1].weight"; empty for the whole.
	Problems []lb.Problem
	// More is how many there are beyond those.
	More int
}

// Error describes the first problem and counts the others, in one line:
// "services[0].vip: port 0 (and 2 more problems)".
func (e *Error) Error() string { return Summary(e.Problems[0], len(e.Problems)+e.More) }

// Hint says what would be right in the place of the first problem.
func (e *Error) Hint() string { return e.Problems[0].Hint }

// Unwrap makes errors.Is(err, lb.ErrInvalid) true.
func (e *Error) Unwrap() error { return lb.ErrInvalid }

// Summary describes the first of n problems, and counts the others.
func Summary(first lb.Problem, n int) string {
	s := first.Reason
	if first.Field != "" {
		s = first.Field + ": " + s
	}
	switch n {
	case 1:
		return s
	case 2:
		return s + " (and 1 more problem)"
	}
	return fmt.Sprintf("%s (and %d more problems)", s, n-1)
}

// MaxListed is how many problems are listed. The others are counted: nobody reads more, and a document may
// have a million.
const MaxListed = 100

// Problems collects what is wrong. The zero value is nothing.
type Problems struct {
	listed []lb.Problem
	more   int
}

// Add adds a problem of a field.
func (ps *Problems) Add(field, hint, reason string, args ...any) {
	if ps.Full() {
		ps.more++
		return
	}
	ps.add(lb.Problem{Field: field, Hint: hint, Reason: fmt.Sprintf(reason, args...)})
}

func (ps *Problems) add(p lb.Problem) {
	if ps.Full() {
		ps.more++
		return
	}
	ps.listed = append(ps.listed, NewProblem(p.Field, p.Hint, p.Reason))
}

// AddWithin adds the problems of item n of a list: "services[2].vip". Where there are none it costs nothing.
func (ps *Problems) AddWithin(list string, n int, of Problems) {
	for _, p := range of.listed {
		field := ""
		if !ps.Full() { // the text of a field is work
			field = fmt.Sprintf("%s[%d].%s", list, n, p.Field)
		}
		ps.add(lb.Problem{Field: field, Hint: p.Hint, Reason: p.Reason})
	}
	ps.more += of.more
}

// Full reports whether further problems are only counted.
func (ps *Problems) Full() bool { return len(ps.listed) == MaxListed }

// Err returns the problems as an *Error, nil when there are none.
func (ps *Problems) Err() error {
	if len(ps.listed) == 0 {
		return nil
	}
	return &Error{Problems: slices.Clone(ps.listed), More: ps.more}
}

// NewProblem returns a problem whose texts stay on one line, and are short: names come from files and requests.
func NewProblem(field, hint, reason string) lb.Problem {
	return lb.Problem{Field: oneLine(field), Hint: oneLine(hint), Reason: oneLine(reason)}
}

// maxText is the length in bytes of the longest text of a problem.
const maxText = 300

// oneLine replaces what would leave the line or confuse a terminal, and cuts what is too long.
func oneLine(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return ' '
		}
		return r
	}, s)
}
