package oracle

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/fanout"
)

// Monitor implements lb.Dataplane. The monitor gets samples of what any handle processes, until this one is
// closed. Queue and CPU of its samples are 0.
func (m *Datapath) Monitor(f lb.Filter) (lb.Monitor, error) {
	done, err := m.begin("monitor")
	if err != nil {
		return nil, err
	}
	defer done()
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	if _, found := m.tables.services[f.Service]; !found && f.Service != (lb.VIP{}) {
		return nil, fmt.Errorf("monitor: service %v: %w", f.Service, lb.ErrNotFound)
	}
	return m.publisher.Subscribe(f, m.unsubscribe), nil
}

func (m *Datapath) unsubscribe(s *fanout.Subscription) error {
	m.publisher.Unsubscribe(s)
	return nil
}

// publish hands a sample of a packet to all monitors.
func (t *tables) publish(ingress int, frame []byte, o Outcome) {
	if !slices.ContainsFunc(t.publishers, func(p *fanout.Publisher) bool { return !p.Empty() }) {
		return
	}
	s := lb.Sample{
		Time: t.now(), Reason: o.Verdict.Reason, Service: o.Service, Replica: o.Replica, Index: ingress, Length: len(frame),
		Frame: slices.Clone(frame[:min(len(frame), lb.SampleBytes)]),
	}
	for name, index := range t.links {
		if index == ingress {
			s.Interface = name
		}
	}
	for _, p := range t.publishers {
		p.Publish(s, 1)
	}
}

// ends returns the VIP and the replica to which a packet goes, or from which it is an answer, as far as they
// were found.
func (d *decision) ends() (lb.VIP, netip.AddrPort) {
	switch {
	case d.service != nil:
		return d.vip, d.why.Replica
	case d.vip != lb.VIP{}:
		return d.vip, d.flow.Source
	}
	return lb.VIP{}, netip.AddrPort{}
}
