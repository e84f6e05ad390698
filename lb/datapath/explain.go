package datapath

import (
	"fmt"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// Explain lets the reference datapath decide about the packet, over the live tables. Errors: lb.ErrInvalid
// when the probe has neither a frame nor a valid flow.
func (d *Datapath) Explain(p lb.Probe) (lb.Explanation, error) {
	frame, err := oracle.FrameOf(p)
	if err != nil {
		return lb.Explanation{}, fmt.Errorf("explain: %w", err)
	}
	unlock, err := d.lock()
	if err != nil {
		return lb.Explanation{}, err
	}
	defer unlock()
	x := oracle.Decide(view{d, d.hops.gather()}, p.Ingress, slices.Clone(frame)).Explanation
	if x.Service != nil {
		s := x.Service.Clone()
		x.Service = &s
	}
	x.After = slices.Clone(x.After) // of a frame that is passed as it came
	return x, nil
}
