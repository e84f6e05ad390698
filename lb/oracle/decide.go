package oracle

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Decide says what becomes of a frame that came in on the interface with that index (0: on none in
// particular), and why. It does not write to the frame.
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
	if d.isErrorMessage && (reason == lb.NotTCPUDP || reason == lb.NotOurs) {
		reason = d.relayError(reason)
	}
	if reason == ok {
		reason = d.send()
	} else {
		reason = d.unclaimed(reason)
	}
	return d.outcome(reason)
}

// decision is what has been decided about a frame so far.
type decision struct {
	parsed
	view    View
	ingress int
	frame   []byte

	// isErrorMessage: the packet is an ICMP error.
	isErrorMessage bool
	// quote is set in an ICMP error. The flow is then that which the receiver of the quoted packet sends.
	quote *quote
	// begins: the packet begins a flow.
	begins bool
	// only: a replica is looked for, but nothing goes there.
	only bool
	// vip is the VIP of the service. The service is nil for an answer of a replica.
	vip     lb.VIP
	service *lb.Service

	why     lb.Explanation
	effects Effects

	// passed is why a rewritten packet is left to the kernel, ok if it is not.
	passed lb.Reason
	// out is the frame as it leaves or is passed, nil if it is unchanged. egress is the interface by which it
	// leaves.
	out    []byte
	egress int
}

// identify finds the flow of a packet that does not carry it in its own headers.
func (d *decision) identify() lb.Reason {
	switch {
	case d.part == later:
		return d.recallFragment()
	case d.isICMP():
		return d.icmp()
	}
	return ok
}

// find looks up the service to which the flow goes, or from whose replica it comes.
func (d *decision) find() lb.Reason {
	d.why.Flow = d.flow
	if s, found := d.view.Service(lb.VIP{Address: d.flow.Destination, Protocol: d.flow.Protocol}); found {
		d.service, d.vip, d.why.Service = s, s.VIP, s
	} else if vip, found := d.answered(); found {
		d.vip = vip
		d.countReset()
	} else {
		return lb.NotOurs
	}
	return ok
}

// send sends a packet to its replica, or an answer to its client.
func (d *decision) send() lb.Reason {
	if d.service != nil && d.martian() {
		return lb.MartianSource
	}
	if d.part == first {
		d.rememberFragment(d.flow)
	}
	if d.service != nil {
		return d.toReplica()
	}
	return d.toClient()
}

// outcome returns what was decided.
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

// isTCP reports whether the flow is one of TCP.
func (d *decision) isTCP() bool { return d.flow.Protocol == packet.TCP }

// Outcome is the result of Decide. It shares memory with the frame and with what the View returned.
type Outcome struct {
	Verdict     Verdict
	Explanation lb.Explanation
	Effects     Effects
	// Service and Replica are those to which the packet goes, or from which it is an answer, as far as they
	// were found.
	Service lb.VIP
	Replica netip.AddrPort
}

// Effects are the changes that a packet makes to the tables, apart from counters, which follow from the
// explanation.
type Effects struct {
	// Fragments are kept from now on, in place of what was kept for their keys.
	Fragments []FragmentEffect
	// PathMTU, if not nil, is what a router told.
	PathMTU *PathMTUEffect
	// Rates is what the packet uses up of a service's rates.
	Rates RateEffect
	// Count is what the packet says of a flow.
	Count FlowEffect
	// Trace says what changes in the records of Flow, a flow to the service with VIP.
	Trace Trace
	VIP   lb.VIP
	Flow  packet.Flow
	// Replica is the replica of a flow that Started.
	Replica netip.AddrPort
	// Closed says which ends have closed the flow, if there is a trace.
	Closed Closed
	// Forgotten are services of which the flow's client has a record that ends: from the same port to the same replica.
	Forgotten []lb.VIP
	// PreviousUsed: the age of the previous owner of Slot becomes 0. Slot is one of the previous table if the service
	// with VIP is rehashed.
	PreviousUsed bool
	Slot         uint32
}

// FragmentEffect is what a first fragment tells about the later ones.
type FragmentEffect struct {
	Key   FragmentKey
	Ports FragmentPorts
}

// PathMTUEffect is the greatest packet on the way to a replica.
type PathMTUEffect struct {
	VIP     lb.VIP
	Replica netip.AddrPort
	MTU     int
}

// Trace is what a packet changes in the records of its flow.
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
	// Answered: its record has another Closed; the age stays.
	Answered
)

// recallFragment gives a later fragment the flow of its first fragment.
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

// rememberFragment keeps the flow of a first fragment: as it came, and again as it leaves if it is rewritten, since an
// error may quote a later fragment as that left.
func (d *decision) rememberFragment(f packet.Flow) {
	key := d.fragmentKey()
	key.Source, key.Destination = f.Source.Addr(), f.Destination.Addr()
	d.effects.Fragments = append(d.effects.Fragments, FragmentEffect{
		Key:   key,
		Ports: FragmentPorts{Protocol: d.protocol, Source: f.Source.Port(), Destination: f.Destination.Port()},
	})
}

func (p parsed) fragmentKey() FragmentKey {
	k := FragmentKey{Source: p.source, Destination: p.destination, ID: p.id}
	if p.v4 {
		k.Protocol = p.protocol
	}
	return k
}
