package oracle

import (
	"fmt"
	"slices"

	"lbctl/lb"
)

// Explain implements lb.Dataplane. Errors: lb.ErrInvalid when there is no frame and the flow is
// none.
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
