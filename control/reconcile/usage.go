package reconcile

import "lbctl/lb"

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
