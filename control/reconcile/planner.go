package reconcile

import (
	"lbctl/lb"
)

// planner follows the datapath's state through the steps planned so far.
type planner struct {
	// now is what would be forwarded after the steps so far, claims its sum: without what stays as it
	// is, which stands in nobody's way, because all that is intended is valid. usage is the sum of everything.
	now    map[lb.VIP]lb.Service
	claims claims
	usage  usage
	// pending are the services still to be set, leaving those still to be removed.
	pending, leaving map[lb.VIP]lb.Service
	limits           lb.Limits
	steps            []Step
}

// begin takes note of a service that is forwarded.
func (p *planner) begin(s lb.Service) {
	want, stays := p.pending[s.VIP]
	if stays && want.SameAs(s) {
		delete(p.pending, s.VIP)
		p.usage.add(s)
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

// setReady plans the pending services that nothing stands in the way of, and
// reports whether there was one.
func (p *planner) setReady() bool {
	found := false
	for _, vip := range sorted(p.pending) {
		s := p.pending[vip]
		if _, blocked := p.claims.blocker(s); !blocked && p.fits(s) {
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

// free plans one step that brings s closer to being set: it removes a service
// that goes anyway, or has the service in the way let go of what s needs. If neither is
// possible it plans s itself, for the datapath to refuse.
func (p *planner) free(s lb.Service) {
	holder, blocked := p.claims.blocker(s)
	_, leaves := p.leaving[holder]
	next, changes := p.pending[holder]
	switch {
	case blocked && leaves:
		p.remove(holder)
	case blocked && changes:
		p.apply(p.claims.without(next), Releasing)
	case !blocked && len(p.leaving) > 0:
		p.remove(sorted(p.leaving)[0])
	default:
		p.apply(s, p.why(s.VIP))
		delete(p.pending, s.VIP)
	}
}

// apply plans setting s and follows it.
func (p *planner) apply(s lb.Service, why Why) {
	p.add(Step{Verb: Set, Why: why, Service: s})
	p.forget(s.VIP)
	p.learn(s)
}

func (p *planner) remove(vip lb.VIP) {
	p.add(Step{Verb: Remove, Why: Gone, Service: lb.Service{VIP: vip}})
	p.forget(vip)
	delete(p.leaving, vip)
}

func (p *planner) learn(s lb.Service) {
	p.now[s.VIP] = s
	p.claims.add(s)
	p.usage.add(s)
}

func (p *planner) forget(vip lb.VIP) {
	if s, ok := p.now[vip]; ok {
		p.claims.remove(s)
		p.usage.remove(s)
		delete(p.now, vip)
	}
}

// usage is how much of a datapath's capacity services take.
type usage struct{ services, replicas, slots int }

func (u *usage) add(s lb.Service) {
	u.services++
	u.replicas += len(s.Replicas)
	u.slots += int(s.Slots())
}

func (u *usage) remove(s lb.Service) {
	u.services--
	u.replicas -= len(s.Replicas)
	u.slots -= int(s.Slots())
}

// fits reports whether the limits leave room for s, or for s in the place of the
// service with its VIP. While a table is replaced, the slots of both are taken.
func (p *planner) fits(s lb.Service) bool {
	after := p.usage
	if old, exists := p.now[s.VIP]; exists {
		after.remove(old)
	}
	after.add(s)
	slots := p.usage.slots + int(s.Slots())
	return after.services <= int(p.limits.Services) &&
		after.replicas <= int(p.limits.Replicas) && slots <= int(p.limits.Slots)
}
