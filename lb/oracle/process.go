package oracle

import (
	"slices"

	"lbctl/lb"
)

// Process decides about a frame that came in on the interface of that index, remembers what it says
// of its flow, counts it and shows it to those who watch. The frame is not kept or changed. The
// interface need not be attached: this is what the program would do if it were asked.
func (m *Datapath) Process(ingress int, frame []byte) Verdict {
	t := m.tables
	t.mu.Lock()
	defer t.mu.Unlock()
	o := Decide(t, ingress, slices.Clone(frame))
	t.apply(o.Effects)
	t.count(o.Explanation, len(frame))
	t.show(ingress, frame, o)
	return o.Verdict
}

// apply changes the tables.
func (t *tables) apply(e Effects) {
	if e.Fragment != nil {
		t.fragments[e.Fragment.Key] = e.Fragment.Ports
	}
	if e.Trace == NoTrace {
		return
	}
	s := t.services[e.VIP]
	stage := s.records[e.Flow].Stage
	switch e.Trace {
	case Started:
		s.records[e.Flow] = record{Record: Record{Stage: lb.HalfOpen, Replica: e.Replica}}
	case Promoted:
		stage = lb.Established
		fallthrough
	case Refreshed:
		s.records[e.Flow] = record{Record: Record{Stage: stage, Replica: s.records[e.Flow].Replica}}
	case PreviousUsed:
		*s.previousAge(e.Slot) = 0
	}
}
