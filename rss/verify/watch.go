package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbctl/rss/observe"
)

// tick is how often the totals are looked at.
const tick = 100 * time.Millisecond

// Watch compares what passes an observer until the context ends, or at least as many packets
// have passed (0: without a limit), then detaches the observer. progress, if not nil, is told the totals
// from time to time. The end of the context is no error. The totals returned are the last:
// their NoFlow and TableFull are packets that were not compared.
func (v *Verifier) Watch(ctx context.Context, o *observe.Observer, packets uint64, progress func(observe.Totals)) (observe.Totals, error) {
	for ctx.Err() == nil {
		if err := v.take(o, time.Now().Add(tick)); err != nil {
			return observe.Totals{}, err
		}
		t, err := o.Totals()
		if err != nil {
			return observe.Totals{}, err
		}
		if progress != nil {
			progress(t)
		}
		if packets > 0 && t.All() >= packets {
			break
		}
	}
	return v.finish(o)
}

// finish ends the observation and compares what is left of it.
func (v *Verifier) finish(o *observe.Observer) (observe.Totals, error) {
	if err := o.Detach(); err != nil {
		return observe.Totals{}, fmt.Errorf("end the observation: %w", err)
	}
	if err := v.take(o, time.Now()); err != nil {
		return observe.Totals{}, err
	}
	sightings, err := o.Sightings()
	if err != nil {
		return observe.Totals{}, err
	}
	for _, s := range sightings {
		v.Add(OfSighting(s))
	}
	return o.Totals()
}

// take compares samples until none has come by then, or the time is over and the ring's worth is done.
func (v *Verifier) take(o *observe.Observer, by time.Time) error {
	for range observe.DefaultSamples / observe.MaxSample {
		s, err := o.Sample(by)
		if errors.Is(err, observe.ErrNoSample) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.Recorded {
			v.Remember(OfSample(s))
		} else {
			v.Add(OfSample(s))
		}
	}
	return nil
}
