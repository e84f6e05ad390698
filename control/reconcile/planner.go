package reconcile

import (
	"lbctl/lb"
	"slices"
)

// planner follows the datapath's state through the steps planned so far.
type planner struct {
	// now is what would be forwarded after the steps so far, index the same: without what stays as it
	// is and excludes nothing that is intended, because all of that is valid. usage is the sum of everything.
	now   map[lb.VIP]*lb.Service
	index *lb.Index
	usage lb.Usage
	// pending are the services still to be set, leaving those still to be removed.
	pending, leaving map[lb.VIP]*lb.Service
	limits           lb.Limits
	steps            []Step
}

// stays adds a service that is forwarded now, and is to be, as it is or with more. It excludes nothing else that is to be.
func (p *planner) stays(s *lb.Service) {
	p.usage.Add(*s)
	if s.EndPort != 0 { // with others it may leave no room for one that comes
		p.index.Add(*s)
	}
}

// begin adds a service that is forwarded now.
func (p *planner) begin(s *lb.Service) {
	want, stays := p.pending[s.VIP]
	if stays && want.SameAs(*s) {
		delete(p.pending, s.VIP)
		p.stays(s)
		return
	}
	if !stays {
		p.leaving[s.VIP] = s
	}
	p.learn(s)
}

func (p *planner) add(s Step) { p.steps = append(p.steps, s) }

// set plans every pending service: those that can be set first, in order of VIP,
// and when none can, the step that frees the first of them.
func (p *planner) set() {
	for len(p.pending) > 0 {
		if !p.setReady() {
			p.free(p.pending[sorted(p.pending)[0]])
		}
	}
}

// setReady plans the pending services that can be set now, and reports whether there was one.
func (p *planner) setReady() bool {
	found := false
	for _, vip := range sorted(p.pending) {
		s := p.pending[vip]
		if _, blocked := p.index.Conflict(*s); blocked == nil && p.fits(s) {
			p.apply(s, p.why(vip))
			delete(p.pending, vip)
			found = true
		}
	}
	return found
}

func (p *planner) why(vip lb.VIP) Why {
	if _, exists := p.now[vip]; exists {
		return Changed
	}
	return New
}

// free plans one step towards setting s: it removes a service that is to be removed anyway, or has the
// service that excludes s release the replicas or ports that s needs. If neither is possible it plans s itself,
// for the datapath to refuse.
func (p *planner) free(s *lb.Service) {
	holder, conflict := p.index.Conflict(*s)
	blocked := conflict != nil
	_, leaves := p.leaving[holder]
	next, changes := p.pending[holder]
	switch {
	case blocked && leaves:
		p.remove(holder)
	case blocked && changes:
		p.apply(p.without(next), Releasing)
	case len(p.leaving) > 0:
		p.remove(sorted(p.leaving)[0])
	default:
		p.apply(s, p.why(s.VIP))
		delete(p.pending, s.VIP)
	}
}

// apply plans setting s and follows it.
func (p *planner) apply(s *lb.Service, why Why) {
	p.add(Step{Verb: Set, Why: why, Service: *s})
	p.forget(s.VIP)
	p.now[s.VIP] = s
	p.stays(s)
}

func (p *planner) remove(vip lb.VIP) {
	p.add(Step{Verb: Remove, Why: Gone, Service: lb.Service{VIP: vip, EndPort: p.now[vip].EndPort}})
	p.forget(vip)
	delete(p.leaving, vip)
}

func (p *planner) learn(s *lb.Service) {
	p.now[s.VIP] = s
	p.index.Add(*s)
	p.usage.Add(*s)
}

func (p *planner) forget(vip lb.VIP) {
	if s, ok := p.now[vip]; ok {
		p.index.Remove(*s)
		p.usage.Remove(*s)
		delete(p.now, vip)
	}
}

// without returns s less the replicas and ports that other services exclude now.
func (p *planner) without(whole *lb.Service) *lb.Service {
	s := whole.Clone()
	s.Replicas = slices.DeleteFunc(s.Replicas, func(r lb.Replica) bool { return !p.index.Allows(s, r) })
	if !p.index.AllowsPorts(s) {
		s.EndPort = 0
	}
	if s.Scheduler == lb.Modulo {
		s.TableSize = s.Active()
	}
	return &s
}

// fits reports whether the limits leave room for s, or for s in the place of the service with its VIP.
func (p *planner) fits(s *lb.Service) bool {
	old, exists := p.now[s.VIP]
	if !exists {
		return p.usage.Room(*s, nil, p.limits) == nil
	}
	return p.usage.Room(*s, old, p.limits) == nil
}
