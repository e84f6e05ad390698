package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"lbctl/control/client"
	"lbctl/control/wire"
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

// Failure is an error that knows its exit code and what to do about it.
type Failure struct {
	Code int
	// What went wrong and what to Do about it are a line each.
	What, Do string
	// Cause may be nil.
	Cause error
}

// Error returns What.
func (f *Failure) Error() string { return f.What }

// Hint returns Do.
func (f *Failure) Hint() string { return f.Do }

// Unwrap returns Cause.
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
		code, what, hint = ExitInterrupted, "interrupted", "lbctl get shows what was done"
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
		return ExitConflict, "the two exclude each other: change one"
	case errors.Is(err, lb.ErrDenied), errors.Is(err, fs.ErrPermission):
		return ExitDenied, "run it as root, or as a member of the group that owns the file"
	case errors.Is(err, lb.ErrFull):
		return ExitFailed, "remove something, or start the daemon with larger datapath.limits"
	case errors.Is(err, lb.ErrUnsupported):
		return ExitFailed, "see what the kernel and the driver can do"
	}
	return ExitFailed, "try again; the daemon's log may say more"
}

// OneLine replaces control characters by spaces: a file or a server may have put them into an error.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(s))
}

// Usage returns the error of a wrong command line.
func Usage(c *cobra.Command, what string, args ...any) *Failure {
	return &Failure{
		Code: ExitUsage,
		What: fmt.Sprintf(what, args...),
		Do:   fmt.Sprintf("see %s --help", c.CommandPath()),
	}
}

// NotFound returns the error of a name that is not known. It suggests the nearest known name, or else the hint.
func NotFound(kind, name string, known []string, hint string) *Failure {
	f := &Failure{Code: ExitNotFound, What: fmt.Sprintf("%s %q: %v", kind, name, lb.ErrNotFound), Do: hint, Cause: lb.ErrNotFound}
	return f.OrNearest(name, known, "")
}

// OrNearest replaces the hint by the known name that is nearest to a misspelt one, if one is near.
func (f *Failure) OrNearest(name string, known []string, prefix string) *Failure {
	if near, ok := wire.Nearest(name, known); ok {
		f.Do = fmt.Sprintf("did you mean %s%s?", prefix, near)
	}
	return f
}
