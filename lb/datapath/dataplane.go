package datapath

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// Services implements lb.Dataplane.
func (d *Datapath) Services() (all []lb.Service, err error) {
	err = d.locked(func() error {
		all = d.registry.copies()
		return nil
	})
	return all, err
}

// SetService implements lb.Dataplane. It writes nothing if the same service is there already.
func (d *Datapath) SetService(ctx context.Context, s lb.Service) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return d.locked(func() error { return d.registry.set(ctx, s) })
}

// RemoveService implements lb.Dataplane.
func (d *Datapath) RemoveService(ctx context.Context, v lb.VIP) error {
	return d.locked(func() error { return d.registry.remove(v) })
}

// Interfaces implements lb.Dataplane.
func (d *Datapath) Interfaces() (all []lb.Interface, err error) {
	err = d.locked(func() (err error) {
		all, err = d.links.interfaces()
		return err
	})
	return all, err
}

// Attach implements lb.Dataplane.
func (d *Datapath) Attach(ctx context.Context, name string, mode lb.AttachMode) (i lb.Interface, err error) {
	err = d.locked(func() (err error) {
		if err := d.repin(); err != nil { // else there is nowhere to pin the link
			return err
		}
		return d.reroute(func() (err error) {
			i, err = d.links.attach(ctx, d.monitoring.current(), name, mode)
			return err
		})
	})
	return i, err
}

// MayAttach implements lb.Dataplane.
func (d *Datapath) MayAttach(name string, mode lb.AttachMode) error {
	return d.locked(func() error { return d.links.mayAttach(name, mode) })
}

// Unfit implements lb.Dataplane.
func (d *Datapath) Unfit(addresses []netip.Addr) (why map[netip.Addr]string, err error) {
	err = d.locked(func() error {
		why = d.hops.resolver().Unfit(addresses)
		return nil
	})
	return why, err
}

// Detach implements lb.Dataplane.
func (d *Datapath) Detach(ctx context.Context, name string) error {
	return d.locked(func() error {
		return d.reroute(func() error { return d.links.detach(name) })
	})
}

// Counters implements lb.Dataplane. The counters are read one after the other while packets pass: sums agree exactly only
// when none does.
func (d *Datapath) Counters() (lb.Counters, error) { return d.countersBy(d.counters.all) }

// ReasonCounts implements lb.Dataplane.
func (d *Datapath) ReasonCounts() (lb.Counters, error) { return d.countersBy(d.counters.reasons) }

// countersBy adds up counters, and what was lost.
func (d *Datapath) countersBy(add func(map[lb.VIP]*entry) (lb.Counters, error)) (all lb.Counters, err error) {
	err = d.locked(func() (err error) {
		if all, err = add(d.registry.services); err != nil {
			return err
		}
		return d.counters.addLosses(&all, d.links)
	})
	return all, err
}

// ReplicaCounts implements lb.Dataplane.
func (d *Datapath) ReplicaCounts(of []lb.Service) (all [][]lb.Count, err error) {
	err = d.locked(func() (err error) {
		all, err = rowsOf(d.program.objects.ByReplica, sum, d.registry.services, of)
		return err
	})
	return all, err
}

// FlowCounts implements lb.Dataplane.
func (d *Datapath) FlowCounts(of []lb.Service) (all [][]lb.FlowCount, err error) {
	err = d.locked(func() (err error) {
		all, err = rowsOf(d.program.objects.FlowCounts, sumFlows, d.registry.services, of)
		return err
	})
	return all, err
}

// Flows implements lb.Dataplane: one pass over all records and over the slots in transition.
func (d *Datapath) Flows(of ...lb.VIP) (all map[lb.VIP]lb.Flows, err error) {
	err = d.locked(func() error {
		all = d.registry.flows(of)
		return nil
	})
	return all, err
}

// InTransition implements lb.Dataplane.
func (d *Datapath) InTransition(v lb.VIP) (n uint32, err error) {
	err = d.locked(func() error {
		if e := d.registry.services[v]; e != nil {
			n = e.slotsInTransition()
		}
		return nil
	})
	return n, err
}

// FlowsOf implements lb.Dataplane.
func (d *Datapath) FlowsOf(vip lb.VIP, client netip.Addr) (all []lb.RecordedFlow, err error) {
	err = d.locked(func() error {
		v := view{program: d.program, registry: d.registry}
		s, found := v.Service(vip)
		if !found {
			return fmt.Errorf("list flows of service %v: %w", vip, lb.ErrNotFound)
		}
		if client.Is4() == vip.Address.Addr().Is4() { // else there is none, and a key is of one family
			all = oracle.ListFlows(v, s.VIP, client, vip.Address.Port())
		}
		return nil
	})
	return all, err
}

// NextHops implements lb.Dataplane: the hops as packets find them, and their neighbours as the kernel has them.
func (d *Datapath) NextHops(of []lb.Service) (all [][]lb.ReplicaHop, err error) {
	err = d.locked(func() error {
		all = d.hops.list(d.registry.services, of)
		return nil
	})
	return all, err
}

// Explain has the reference datapath decide over the live tables. Errors: lb.ErrInvalid when there
// is no frame and the flow is none.
func (d *Datapath) Explain(p lb.Probe) (x lb.Explanation, err error) {
	frame, err := oracle.FrameOf(p)
	if err != nil {
		return x, fmt.Errorf("explain: %w", err)
	}
	err = d.locked(func() error {
		v := view{program: d.program, registry: d.registry, network: d.hops.network.Gather(), ingress: p.Ingress}
		x = oracle.Decide(v, p.Ingress, slices.Clone(frame)).Explanation
		if x.Service != nil {
			s := x.Service.Clone()
			x.Service = &s
		}
		x.After = slices.Clone(x.After) // of a frame that is passed as it came
		return nil
	})
	return x, err
}

// Monitor implements lb.Dataplane.
func (d *Datapath) Monitor(f lb.Filter) (m lb.Monitor, err error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	err = d.locked(func() (err error) {
		if _, found := d.registry.services[f.Service]; !found && f.Service != (lb.VIP{}) {
			return fmt.Errorf("monitor: %w: service %v", lb.ErrNotFound, f.Service)
		}
		if m, err = d.monitoring.subscribe(f); err != nil {
			return fmt.Errorf("monitor: %w", err)
		}
		return nil
	})
	return m, err
}
