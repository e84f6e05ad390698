package rest

import (
	"errors"
	"net/http"
	"strings"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// hinter is an error that knows what to do about it.
type hinter interface{ Hint() string }

// problem turns an error into the answer that says so.
func problem(err error) *api.Problem {
	var already *api.Problem
	if errors.As(err, &already) {
		return already
	}
	status, hint := classify(err)
	p := &api.Problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: err.Error(),
		Hint:   hint,
	}
	var h hinter
	if errors.As(err, &h) {
		p.Hint = h.Hint()
	}
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		for _, f := range wrong.Problems {
			p.Errors = append(p.Errors, api.Field{Location: location(f.Field), Message: f.Reason, Hint: f.Hint})
		}
	}
	return p
}

// pathPrefix begins a field that is not in the body of a request but in its path.
const pathPrefix = "path."

// inPath says of a field that it is wrong in the path.
func inPath(err error, field string) error {
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		for n, p := range wrong.Problems {
			if p.Field == field {
				wrong.Problems[n].Field = pathPrefix + field
			}
		}
	}
	return err
}

func location(field string) string {
	switch {
	case field == "":
		return "body"
	case strings.HasPrefix(field, pathPrefix):
		return field
	}
	return "body." + field
}

// classify returns the status of an error, and a hint for errors without one.
func classify(err error) (status int, hint string) {
	switch {
	case errors.Is(err, errStale):
		return http.StatusPreconditionFailed, "read it again, and decide again"
	case errors.Is(err, lb.ErrInvalid):
		return http.StatusUnprocessableEntity, "correct the request; /openapi.json describes it"
	case errors.Is(err, lb.ErrNotFound):
		return http.StatusNotFound, "list what there is: lbctl get services, lbctl get replicas, lbctl get interfaces"
	case errors.Is(err, lb.ErrConflict):
		return http.StatusConflict, "change one of the two"
	case errors.Is(err, lb.ErrDenied):
		return http.StatusForbidden, "run the daemon as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
	case errors.Is(err, lb.ErrFull):
		return http.StatusInsufficientStorage, "remove something, or make the tables anew with larger limits"
	case errors.Is(err, lb.ErrUnsupported):
		return http.StatusNotImplemented, "see what the kernel and the driver can do"
	}
	return http.StatusInternalServerError, "see the daemon's log"
}
