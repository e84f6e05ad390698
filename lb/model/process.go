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
	if reason != ok {
		return Verdict{Action: actionOf(reason), Reason: reason, Frame: frame}, way{}
	}
	w := t.wayOf(p.flow, p.ttl, p.ipBytes)
	v := Verdict{Action: actionOf(w.reason), Reason: w.reason, Frame: frame}
	switch w.reason {
	case lb.NeighbourMissing:
		rewrite(frame, p, w.rewritten)
	case lb.Forwarded, lb.Returned:
		rewrite(frame, p, w.rewritten)
		decrementTTL(frame, p)
		copy(frame[0:6], w.route.Neighbour[:])
		copy(frame[6:12], w.route.Source[:])
		v.Action, v.Egress = sendOn(ingress, w.route.Index), w.route.Index
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
