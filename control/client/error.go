package client

import (
	"net/http"

	"lbctl/control/api"
	"lbctl/lb"
)

// hinted is an error of the client itself, and what to do about it.
type hinted struct {
	error
	hint string
}

// Hint says what to do.
func (h *hinted) Hint() string { return h.hint }

// Unwrap returns the cause.
func (h *hinted) Unwrap() error { return h.error }

// Error is the daemon's refusal. It wraps the error of package lb that its status
// stands for.
type Error struct{ Problem api.Problem }

// Error returns the daemon's words.
func (e *Error) Error() string { return e.Problem.Detail }

// Hint returns what the daemon says to do.
func (e *Error) Hint() string { return e.Problem.Hint }

// Unwrap returns the cause; nil when the daemon itself is at fault.
func (e *Error) Unwrap() error {
	switch e.Problem.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return lb.ErrInvalid
	case http.StatusNotFound:
		return lb.ErrNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return lb.ErrConflict
	case http.StatusForbidden, http.StatusUnauthorized:
		return lb.ErrDenied
	case http.StatusInsufficientStorage:
		return lb.ErrFull
	case http.StatusNotImplemented:
		return lb.ErrUnsupported
	}
	return nil
}
