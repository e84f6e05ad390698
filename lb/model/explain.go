package model

import (
	"fmt"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Explain implements lb.Dataplane. The packet explained has a TTL of 64 and no payload. Without
// a flow table SYN makes no difference. Errors: lb.ErrInvalid when the flow is none.
func (m *Memory) Explain(p lb.Probe) (lb.Explanation, error) {
	done, err := m.begin("explain")
	if err != nil {
		return lb.Explanation{}, err
	}
	defer done()
	if err := checkFlow(p.Flow); err != nil {
		return lb.Explanation{}, fmt.Errorf("explain %v: %w", p.Flow, err)
	}
	if p.Flow.Protocol != packet.TCP && p.Flow.Protocol != packet.UDP {
		return lb.Explanation{Reason: lb.NotTCPUDP}, nil
	}
	return m.tables.wayOf(parsed{flow: p.Flow, ttl: 64}).explanation(), nil
}

// checkFlow says why no packet has this flow.
func checkFlow(f packet.Flow) error {
	source, destination := f.Source.Addr(), f.Destination.Addr()
	switch {
	case !source.IsValid() || !destination.IsValid():
		return fmt.Errorf("%w flow: an address is missing", lb.ErrInvalid)
	case source.Is4() != destination.Is4():
		return fmt.Errorf("%w flow: one address is IPv4, the other IPv6", lb.ErrInvalid)
	}
	return nil
}

func (w way) explanation() lb.Explanation {
	e := lb.Explanation{
		Reason:    w.reason,
		Hash:      w.hash,
		Slot:      w.slot,
		Current:   w.replica,
		Base:      w.replica, // a slot has two owners once changes of the replicas are tracked
		Replica:   w.replica,
		Rewritten: w.rewritten,
		NextHop:   w.route.nextHop(),
	}
	if w.service != nil {
		s := w.service.Clone()
		e.Service = &s
	}
	return e
}
