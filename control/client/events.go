package client

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strconv"
	"time"

	"lbctl/control/api"
)

// Wanted says which events are wanted. The zero value is all that are kept.
type Wanted struct {
	// After is the id of an event: those that came after it. "" stands for all that are kept.
	After string
	// Follow goes on with events as they happen.
	Follow bool
	// Service is the name of the one that they are to be about, "" for all.
	Service string
}

const (
	// resumeWithin is how long a daemon may be away, for an update of it for instance, and resumeAgain the time between two attempts
	// to reach it.
	resumeWithin = time.Minute
	resumeAgain  = 250 * time.Millisecond
)

// Events returns events, and what went wrong at last: nothing when they do not follow and have ended. A stream that breaks
// goes on where it was, also after a restart of the daemon; what was missed is told by an event of kind gap. Errors: the
// context's; those of a request; ErrUnreachable when the daemon does not come back within a minute.
func (c *Client) Events(ctx context.Context, w Wanted) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		s, err := c.openEvents(ctx, w)
		for err == nil {
			var e api.Event
			if e, err = s.Next(); err == nil {
				w.After = e.ID
				if !yield(e, nil) {
					s.Close()
					return
				}
				continue
			}
			s.Close()
			if w.Follow && errors.Is(err, ErrUnreachable) {
				s, err = c.reopenEvents(ctx, w)
			}
		}
		if w.Follow || !errors.Is(err, errEnded) {
			yield(api.Event{}, err)
		}
	}
}

func (c *Client) openEvents(ctx context.Context, w Wanted) (*stream[api.Event], error) {
	query := url.Values{"all": {"true"}, "follow": {strconv.FormatBool(w.Follow)}}
	if w.Service != "" {
		query.Set("service", w.Service)
	}
	var headers []string
	if w.After != "" {
		headers = []string{"Last-Event-ID", w.After}
	}
	return open[api.Event](ctx, c, "events", "/v1/events?"+query.Encode(), headers...)
}

// reopenEvents goes on with a stream that has broken, when the daemon answers again.
func (c *Client) reopenEvents(ctx context.Context, w Wanted) (s *stream[api.Event], err error) {
	for broke := time.Now(); time.Since(broke) < resumeWithin; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(resumeAgain):
		}
		if s, err = c.openEvents(ctx, w); !errors.Is(err, ErrUnreachable) {
			break
		}
	}
	return s, err
}
