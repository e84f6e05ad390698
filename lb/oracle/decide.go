package oracle

import (
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
