package events

import (
	"fmt"
	"slices"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
)

// Reader reads the events of an engine in order. It never waits and holds up nobody: what is not kept any more when it comes
// to read it, it tells as a gap. It is for one goroutine.
type Reader struct {
	engine *engine.Engine
	// service is the name of the one that events are to be about, "" for all.
	service string
	// last is the number of the last event that was looked at.
	last uint64
	// gap is told before the next events, unless it is nil.
	gap *api.Event
}

// NewReader returns a reader of the events after the one with an id; "" stands for those from now on, or for all that are kept.
// The error is an *intent.Error: it is no id.
func NewReader(e *engine.Engine, lastID string, all bool, service string) (*Reader, error) {
	r := &Reader{engine: e, service: service}
	if lastID == "" {
		kept, lost, _ := e.EventsAfter(0)
		if r.last = lost; !all {
			r.last += uint64(len(kept))
		}
		return r, nil
	}
	epoch, number, err := parse(lastID)
	if err != nil {
		return nil, err
	}
	if epoch == e.Epoch() {
		r.last = number
		return r, nil
	}
	r.gap = r.newGap("the daemon has been started again since: what happened until then is not told", 0)
	return r, nil
}

// Next returns the events that there are, and a channel that is closed when there are more.
func (r *Reader) Next() ([]api.Event, <-chan struct{}) {
	kept, lost, more := r.engine.EventsAfter(r.last)
	var all []api.Event
	if r.last += lost; lost > 0 && r.gap == nil {
		r.gap = r.newGap(fmt.Sprintf("%d events came faster than they were read, or long ago, and are not kept any more", lost), lost)
	}
	if r.gap != nil {
		all, r.gap = append(all, *r.gap), nil
	}
	for _, e := range kept {
		r.last = e.Number
		if r.service == "" || slices.Contains(e.Services, r.service) {
			all = append(all, of(r.engine.Epoch(), e))
		}
	}
	return all, more
}

// newGap tells of a gap. A stream that goes on after its id goes on with the event after it.
func (r *Reader) newGap(why string, lost uint64) *api.Event {
	return &api.Event{ID: id(r.engine.Epoch(), r.last), Time: time.Now().UTC().Format(time.RFC3339Nano), Kind: Gap,
		Revision: r.engine.Now().Number, Reason: why, Lost: lost}
}
