package oracle

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/fanout"
	"lbctl/rss/packet"
)

// Process decides about a frame that came in on the interface with that index, applies the effects, counts it
// and publishes a sample. The frame is neither kept nor changed. The interface need not be attached: this is
// what the program does when it runs.
func (m *Datapath) Process(ingress int, frame []byte) Verdict {
	t := m.tables
	t.mu.Lock()
	defer t.mu.Unlock()
	o := Decide(t, ingress, slices.Clone(frame))
	t.apply(o.Effects)
	t.count(o.Explanation, len(frame))
	t.publish(ingress, frame, o)
	return o.Verdict
}

// apply changes the tables.
func (t *tables) apply(e Effects) {
	for _, f := range e.Fragments {
		t.fragments[f.Key] = f.Ports
	}
	if p := e.PathMTU; p != nil {
		t.services[p.VIP].pathMTUs[p.Replica] = pathMTU{p.MTU, t.now()}
	}
	for _, v := range e.Forgotten {
		delete(t.services[v].records, packet.Flow{Source: e.Flow.Source, Destination: v.Address, Protocol: v.Protocol})
	}
	t.use(e.Rates)
	t.countFlow(e.Count)
	s := t.services[e.VIP]
	if e.PreviousUsed {
		*s.previousAge(e.Slot) = 0
	}
	if e.Trace == NoTrace {
		return
	}
	r := s.records[e.Flow]
	switch e.Trace {
	case Started:
		s.records[e.Flow] = Record{Stage: lb.HalfOpen, Replica: e.Replica, Closed: e.Closed}
	case Promoted:
		s.records[e.Flow] = Record{Stage: lb.Established, Replica: r.Replica, Closed: e.Closed}
	case Refreshed:
		s.records[e.Flow] = Record{Stage: r.Stage, Replica: r.Replica, Closed: e.Closed}
	case Answered:
		r.Closed = e.Closed
		s.records[e.Flow] = r
	}
}

// Explain implements lb.Dataplane. Errors: lb.ErrInvalid when the probe has neither a frame nor a valid flow.
func (m *Datapath) Explain(p lb.Probe) (lb.Explanation, error) {
	done, err := m.begin("explain")
	if err != nil {
		return lb.Explanation{}, err
	}
	defer done()
	frame, err := FrameOf(p)
	if err != nil {
		return lb.Explanation{}, fmt.Errorf("explain: %w", err)
	}
	e := Decide(m.tables, p.Ingress, slices.Clone(frame)).Explanation
	if e.Service != nil {
		s := e.Service.Clone()
		e.Service = &s
	}
	e.After = slices.Clone(e.After) // of a frame that is passed as it came
	return e, nil
}

// Action is what becomes of a frame.
type Action uint8

const (
	// Drop: nothing is sent.
	Drop Action = iota
	// Pass: the frame goes up to the kernel.
	Pass
	// Transmit: the frame leaves by the interface that it came on (XDP_TX).
	Transmit
	// Redirect: the frame leaves by another interface (XDP_REDIRECT).
	Redirect
)

// String returns "drop", "pass", "tx" or "redirect".
func (a Action) String() string {
	switch a {
	case Drop:
		return "drop"
	case Pass:
		return "pass"
	case Transmit:
		return "tx"
	case Redirect:
		return "redirect"
	}
	return fmt.Sprintf("action-%d", uint8(a))
}

// Verdict is what a datapath did with one frame.
type Verdict struct {
	Action Action
	Reason lb.Reason
	// Frame is what was sent or passed; of a dropped frame, what came in.
	Frame []byte
	// Egress is the interface's index of a frame that was sent, else 0.
	Egress int
}

// actionOf returns the action of a reason; Transmit stands for Redirect too.
func actionOf(r lb.Reason) Action {
	switch r {
	case lb.Forwarded, lb.Returned, lb.ErrorForwarded, lb.ErrorReturned, lb.EchoAnswered, lb.TooBigAnswered, lb.Rejected:
		return Transmit
	case lb.NotIP, lb.VLANTagged, lb.OtherMAC, lb.NotTCPUDP, lb.NotOurs, lb.ForThisHost, lb.IPv6Extension, lb.TTLExpired,
		lb.NeighbourMissing, lb.TooBigPassed, lb.SuperPacketPassed:
		return Pass
	}
	return Drop
}

// sendOn returns how a frame is sent.
func sendOn(ingress, egress int) Action {
	if ingress == egress {
		return Transmit
	}
	return Redirect
}

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
