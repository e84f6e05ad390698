package model

import (
	"slices"

	"lbctl/lb"
)

// Process decides about a frame that came in on the interface of that index, and counts it. The
// frame is not kept or changed. The interface need not be attached: this is what
// the program would do if it were asked.
func (m *Memory) Process(ingress int, frame []byte) Verdict {
	t := m.tables
	t.mu.Lock()
	defer t.mu.Unlock()
	v, w := t.decide(ingress, slices.Clone(frame))
	t.count(v.Reason, w, len(frame))
	return v
}

// decide is the pipeline; it may write to the frame.
func (t *tables) decide(ingress int, frame []byte) (Verdict, way) {
	p, reason := parse(frame)
	if reason == ok {
		reason = t.read(&p, frame)
	}
	if reason != ok {
		v := Verdict{Action: actionOf(reason), Reason: reason, Frame: frame}
		if reason == lb.EchoAnswered {
			answerEcho(frame, p)
			v.Action, v.Egress = Transmit, ingress
		}
		return v, way{}
	}
	w := t.wayOf(p)
	if p.part == first && w.reason != lb.NotOurs {
		f := fragment{protocol: p.flow.Protocol}
		copy(f.ports[:], frame[p.l4At:])
		t.fragments[fragmentKey(p)] = f
	}
	v := Verdict{Action: actionOf(w.reason), Reason: w.reason, Frame: frame}
	switch w.reason {
	case lb.TooBig:
		if answer := answerTooBig(frame, p, w.mtu); answer != nil {
			w.reason = lb.TooBigAnswered
			v = Verdict{Action: Transmit, Reason: w.reason, Frame: answer, Egress: ingress}
		}
	case lb.NeighbourMissing:
		w.readdress(frame, p)
	case lb.Forwarded, lb.Returned, lb.ErrorForwarded, lb.ErrorReturned:
		w.readdress(frame, p)
		v.Action, v.Egress = sendOn(ingress, w.route.Index), w.route.Index
		v.Frame = w.link(frame, p, v.Action == Transmit)
	}
	return v, w
}

// sendOn returns how a frame is sent.
func sendOn(ingress, egress int) Action {
	if ingress == egress {
		return Transmit
	}
	return Redirect
}
