package cli

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
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitConflict    = 4
	ExitDenied      = 5
	ExitUnreachable = 6
	ExitInterrupted = 130
)

// Failure is an error that says itself what to do and how to exit.
type Failure struct {
	Code     int
	What, Do string
	Cause    error
}

func (f *Failure) Error() string { return f.What }
func (f *Failure) Hint() string  { return f.Do }
func (f *Failure) Unwrap() error { return f.Cause }

// Advise gives an error a hint. Nil stays nil.
func Advise(err error, hint string, args ...any) error {
	if err == nil {
		return nil
	}
	code, _ := classify(err)
	return &Failure{Code: code, What: err.Error(), Do: fmt.Sprintf(hint, args...), Cause: err}
}

// report prints the two lines of an error and returns the exit code.
func (a *App) report(err error) int {
	code, hint := classify(err)
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		hint = hinted.Hint()
	}
	what := err.Error()
	var own *Failure
	switch {
	case a.Context.Err() != nil && errors.Is(err, context.Canceled):
		code, what, hint = ExitInterrupted, "interrupted", "see with lbctl get what was done"
	case errors.As(err, &own):
		code = own.Code
	case !a.started:
		code, hint = ExitUsage, "see lbctl --help"
	}
	fmt.Fprintf(a.Stderr, "lbctl: %s\n  %s\n", OneLine(what), OneLine(hint))
	return code
}

// classify returns the exit code of an error, and a hint for errors without one.
func classify(err error) (code int, hint string) {
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return ExitUnreachable, "start the daemon (lbctl serve), or name its socket with --socket or LBCTL_SOCKET"
	case errors.Is(err, lb.ErrInvalid):
		return ExitUsage, "correct the input"
	case errors.Is(err, lb.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return ExitNotFound, "check the name"
	case errors.Is(err, lb.ErrConflict):
		return ExitConflict, "change one of the two"
	case errors.Is(err, lb.ErrDenied), errors.Is(err, fs.ErrPermission):
		return ExitDenied, "run it as root, or as a member of the group that owns the file"
	case errors.Is(err, lb.ErrFull):
		return ExitFailed, "remove something, or make the tables anew with larger limits"
	case errors.Is(err, lb.ErrUnsupported):
		return ExitFailed, "see what the kernel and the driver can do"
	}
	return ExitFailed, "try again; the daemon's log may say more"
}

// OneLine keeps an error to its line, whatever a file or a server put in it.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(s))
}
