package datapath

import (
	"context"
	"fmt"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// Services implements lb.Dataplane.
func (d *Datapath) Services() ([]lb.Service, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return d.registry.copies(), nil
}

// SetService implements lb.Dataplane. It writes nothing if the same service is there already.
func (d *Datapath) SetService(ctx context.Context, s lb.Service) error {
	if err := s.Validate(); err != nil {
		return err
	}
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return d.registry.set(ctx, s)
}

// RemoveService implements lb.Dataplane.
func (d *Datapath) RemoveService(ctx context.Context, v lb.VIP) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return d.registry.remove(v)
}

// Interfaces implements lb.Dataplane.
func (d *Datapath) Interfaces() ([]lb.Interface, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return d.links.interfaces()
}

// Attach implements lb.Dataplane.
func (d *Datapath) Attach(ctx context.Context, name string, mode lb.AttachMode) (lb.Interface, error) {
	unlock, err := d.lock()
	if err != nil {
		return lb.Interface{}, err
	}
	defer unlock()
	return d.links.attach(ctx, d.monitoring.current(), name, mode)
}

// Detach implements lb.Dataplane.
func (d *Datapath) Detach(ctx context.Context, name string) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return d.links.detach(name)
}

// Counters implements lb.Dataplane. The counters are read one after the other while packets pass: sums agree exactly only
// when none does.
func (d *Datapath) Counters() (lb.Counters, error) {
	unlock, err := d.lock()
	if err != nil {
		return lb.Counters{}, err
	}
	defer unlock()
	return d.counters.all(d.registry.services)
}

// Flows implements lb.Dataplane: one pass over all records and over the slots in transition.
func (d *Datapath) Flows() (map[lb.VIP]lb.Flows, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return d.registry.flows(), nil
}

// Explain has the reference datapath decide over the live tables. Errors: lb.ErrInvalid when there
// is no frame and the flow is none.
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
	v := view{program: d.program, registry: d.registry, network: d.hops.network.Gather()}
	x := oracle.Decide(v, p.Ingress, slices.Clone(frame)).Explanation
	if x.Service != nil {
		s := x.Service.Clone()
		x.Service = &s
	}
	x.After = slices.Clone(x.After) // of a frame that is passed as it came
	return x, nil
}

// Monitor implements lb.Dataplane.
func (d *Datapath) Monitor(f lb.Filter) (lb.Monitor, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, found := d.registry.services[f.Service]; !found && f.Service != (lb.VIP{}) {
		return nil, fmt.Errorf("monitor: %w: service %v", lb.ErrNotFound, f.Service)
	}
	w, err := d.monitoring.subscribe(f)
	if err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	return w, nil
}
