package oracle

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Decide says what becomes of a frame that came in on the interface of that index, 0 for none
// in particular, and why. It does not write to the frame.
func Decide(view View, ingress int, frame []byte) Outcome {
	d := decision{view: view, ingress: ingress, frame: frame}
	var reason lb.Reason
	d.parsed, reason = parse(frame)
	if reason == ok {
		reason = d.identify()
	}
	if reason == ok {
		reason = d.find()
	}
	if reason == ok {
		reason = d.send()
	}
	return d.outcome(reason)
}

// decision is what has been decided about a frame so far.
type decision struct {
	parsed
	view    View
	ingress int
	frame   []byte

	// quote is set in an ICMP error. The flow is then the quoted one, turned round: what the
	// quoted packet's receiver sends.
	quote *quote
	// vip is that of the service, which is nil for an answer of a replica.
	vip     lb.VIP
	service *lb.Service

	why     lb.Explanation
	effects Effects

	// out is the frame as it leaves or is passed, nil: as it came. egress is the interface.
	out    []byte
	egress int
}

// identify finds the flow of a packet that does not show it itself.
func (d *decision) identify() lb.Reason {
	switch {
	case d.part == later:
		return d.recallFragment()
	case d.isICMP():
		return d.icmp()
	}
	return ok
}

// find looks up the service that the flow is to, or the one that it is an answer from.
func (d *decision) find() lb.Reason {
	d.why.Flow = d.flow
	if s, found := d.view.Service(lb.VIP{Address: d.flow.Destination, Protocol: d.flow.Protocol}); found {
		d.service, d.vip, d.why.Service = s, s.VIP, s
	} else if vip, found := d.view.ReverseNAT(d.flow.Source, d.flow.Protocol); found {
		d.vip = vip
	} else {
		return lb.NotOurs
	}
	if d.part == first {
		d.rememberFragment()
	}
	return ok
}

// send brings a packet of a service nearer to its replica or client.
func (d *decision) send() lb.Reason {
	if d.service != nil {
		return d.toReplica()
	}
	return d.toClient()
}

// outcome puts everything together.
func (d *decision) outcome(reason lb.Reason) Outcome {
	v := Verdict{Action: actionOf(reason), Reason: reason, Frame: d.frame}
	if d.out != nil {
		v.Frame = d.out
	}
	if v.Action == Transmit {
		v.Action, v.Egress = sendOn(d.ingress, d.egress), d.egress
	}
	d.why.Reason, d.why.Before = reason, d.frame
	if v.Action != Drop {
		d.why.After = v.Frame
	}
	o := Outcome{Verdict: v, Explanation: d.why, Effects: d.effects}
	o.Service, o.Replica = d.ends()
	return o
}

// isTCP tells whether the flow that decides is one of TCP.
func (d *decision) isTCP() bool { return d.flow.Protocol == packet.TCP }

// Outcome is what Decide decided. It shares memory with the frame and with what the View
// returned.
type Outcome struct {
	Verdict     Verdict
	Explanation lb.Explanation
	Effects     Effects
	// Service and Replica are those that the packet is to, or an answer from, as far as they
	// were found.
	Service lb.VIP
	Replica netip.AddrPort
}

// Effects are what a packet changes in the tables. Counters are not among them: they follow
// from the explanation.
type Effects struct {
	// Fragment is remembered from now on, if it is not nil, over what was remembered of its key.
	Fragment *FragmentEffect
	// Trace says what becomes of the memory of Flow, a flow to the service with VIP.
	Trace Trace
	VIP   lb.VIP
	Flow  packet.Flow
	// Replica is that of a flow that Started.
	Replica netip.AddrPort
	// Slot is that of a previous owner that was used, in the previous table if the service is rehashed.
	Slot uint32
}

// FragmentEffect is what a first fragment says of the later ones.
type FragmentEffect struct {
	Key   FragmentKey
	Ports FragmentPorts
}

// Trace is what a packet leaves in the memory of flows.
type Trace uint8

const (
	// NoTrace: nothing.
	NoTrace Trace = iota
	// Started: the flow is recorded as half-open with its replica, instead of any earlier record.
	Started
	// Promoted: its record is established and of age 0 from now on, if there is room.
	Promoted
	// Refreshed: the age of its record becomes 0.
	Refreshed
	// PreviousUsed: the age of the slot's previous owner becomes 0.
	PreviousUsed
)

// recallFragment gives a later fragment the flow that the first one of its packet showed.
func (d *decision) recallFragment() lb.Reason {
	f, found := d.view.Fragment(d.fragmentKey())
	switch {
	case found:
		d.flow = d.flowWith(f.Protocol, f.Source, f.Destination)
		return ok
	case d.view.IsVIP(d.destination):
		return lb.FragmentOrphan
	}
	return lb.NotOurs
}

// rememberFragment keeps what the first fragment shows.
func (d *decision) rememberFragment() {
	d.effects.Fragment = &FragmentEffect{
		Key: d.fragmentKey(),
		Ports: FragmentPorts{
			Protocol: d.protocol, Source: d.flow.Source.Port(), Destination: d.flow.Destination.Port(),
		},
	}
}

func (p parsed) fragmentKey() FragmentKey {
	k := FragmentKey{Source: p.source, Destination: p.destination, ID: p.id}
	if p.v4 {
		k.Protocol = p.protocol
	}
	return k
}
