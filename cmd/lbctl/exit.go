package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"lbctl/control/client"
	"lbctl/lb"
)

// The exit codes that scripts rely on.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitDenied      = 5
	exitUnreachable = 6
	exitInterrupted = 130
)

// failure is an error that says itself what to do and how to exit.
type failure struct {
	code       int
	what, hint string
	cause      error
}

func (f *failure) Error() string { return f.what }
func (f *failure) Hint() string  { return f.hint }
func (f *failure) Unwrap() error { return f.cause }

// advise gives an error a hint. Nil stays nil.
func advise(err error, hint string, args ...any) error {
	if err == nil {
		return nil
	}
	code, _ := classify(err)
	return &failure{code: code, what: err.Error(), hint: fmt.Sprintf(hint, args...), cause: err}
}

// report prints the two lines of an error and returns the exit code.
func (a *app) report(err error) int {
	code, hint := classify(err)
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		hint = hinted.Hint()
	}
	what := err.Error()
	var own *failure
	switch {
	case a.ctx.Err() != nil && errors.Is(err, context.Canceled):
		code, what, hint = exitInterrupted, "interrupted", "see with lbctl get what was done"
	case errors.As(err, &own):
		code = own.code
	case !a.started:
		code, hint = exitUsage, "see lbctl --help"
	}
	fmt.Fprintf(a.stderr, "lbctl: %s\n  %s\n", oneLine(what), oneLine(hint))
	return code
}

// classify returns the exit code of an error, and a hint for errors without one.
func classify(err error) (code int, hint string) {
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return exitUnreachable, "start the daemon (lbctl serve), or name its socket with --socket or LBCTL_SOCKET"
	case errors.Is(err, lb.ErrInvalid):
		return exitUsage, "correct the input"
	case errors.Is(err, lb.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return exitNotFound, "check the name"
	case errors.Is(err, lb.ErrConflict):
		return exitConflict, "change one of the two"
	case errors.Is(err, lb.ErrDenied), errors.Is(err, fs.ErrPermission):
		return exitDenied, "run it as root, or as a member of the group that owns the file"
	case errors.Is(err, lb.ErrFull):
		return exitFailed, "remove something, or make the tables anew with larger limits"
	case errors.Is(err, lb.ErrUnsupported):
		return exitFailed, "see what the kernel and the driver can do"
	}
	return exitFailed, "try again; the daemon's log may say more"
}

// oneLine keeps an error to its line, whatever a file or a server put in it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(s))
}
