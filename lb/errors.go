package lb

import "errors"

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
