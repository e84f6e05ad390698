package engine

import (
	"context"
	"errors"

	"lbctl/control/store"
	"lbctl/lb"
)

// History lists the revisions that are kept, the latest first, at most limit of them; 0 stands for all.
func (e *Engine) History(ctx context.Context, limit int) ([]store.Entry, error) {
	return e.store.History(ctx, limit)
}

// Revision returns a revision by its number. Errors: lb.ErrNotFound when there is none, or it is not kept any more.
func (e *Engine) Revision(ctx context.Context, number uint64) (store.Revision, error) {
	r, err := e.store.Revision(ctx, number)
	if errors.Is(err, lb.ErrNotFound) {
		err = &notKept{err}
	}
	return r, err
}

// notKept is the error of a revision that there is not.
type notKept struct{ error }

// Hint says what to do.
func (*notKept) Hint() string { return "list what is kept: lbctl get revisions" }

// Unwrap returns the store's error.
func (e *notKept) Unwrap() error { return e.error }
