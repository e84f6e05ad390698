package lb

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Problem is one thing that is wrong with a service or a set of services.
type Problem struct {
	// Field is the path of the field in the words of this package, lower case:
	// "vip.address", "table_size", "services[2].replicas[0].weight". An address field
	// is an address with its port.
	Field string
	// Reason says what is wrong with it: "0".
	Reason string
	// Hint says what would be right: "want 1 to 65535".
	Hint string
}

// String returns "field: reason: hint".
func (p Problem) String() string { return fmt.Sprintf("%s: %s: %s", p.Field, p.Reason, p.Hint) }

// Problems are all the things found wrong, in the order of the fields. As an error it
// wraps ErrInvalid; errors.As with a *Problems gives the list.
type Problems []Problem

// Error joins the problems with "; ".
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// Unwrap makes errors.Is(err, ErrInvalid) true.
func (ps Problems) Unwrap() error { return ErrInvalid }

// add appends a problem of a field.
func (ps *Problems) add(field, hint, reason string, args ...any) {
	*ps = append(*ps, Problem{Field: field, Reason: fmt.Sprintf(reason, args...), Hint: hint})
}

// addWithin appends problems of item i of a list as seen from outside: "services[2].table_size".
func (ps *Problems) addWithin(list string, i int, of Problems) {
	for _, p := range of {
		p.Field = fmt.Sprintf("%s[%d].%s", list, i, p.Field)
		*ps = append(*ps, p)
	}
}

// err returns the problems as an error, nil when there are none: an empty Problems in an
// error interface would not be nil.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// What a caller may act on. Errors of this package and of every Dataplane wrap
// one of these where the doc comment says so.
var (
	ErrInvalid     = errors.New("invalid")
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("conflict")
	ErrFull        = errors.New("full")
	ErrDenied      = errors.New("denied")
	ErrUnsupported = errors.New("not supported")
)

// Denied makes an error of missing permission wrap ErrDenied, and returns other errors as they are.
func Denied(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}
