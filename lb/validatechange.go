package lb

import "net/netip"

// ValidateChange is ValidateAll of services that come after old ones, which are valid within
// the same limits. It looks closely at those that are not the same, and at what the others would share with them.
func ValidateChange(old, services []Service, l Limits) error {
	had := make(map[VIP]*Service, len(old))
	for i := range old {
		had[old[i].VIP] = &old[i]
	}
	var changed []Service
	for _, s := range services {
		if o := had[s.VIP]; o == nil || !o.SameAs(s) {
			changed = append(changed, s)
		}
	}
	if agree(services, changed) {
		var ps Problems
		if limitProblems(&ps, services, l); len(ps) == 0 {
			return nil
		}
	}
	return ValidateAll(services, l)
}

// agree tells whether the changed ones of services are valid and can be beside all.
func agree(services, changed []Service) bool {
	vips := make(map[VIP]bool, len(services))
	hosts := make(map[netip.Addr]bool, len(services))
	for i := range services {
		vips[services[i].VIP] = true
		hosts[services[i].VIP.Address.Addr()] = true
	}
	if len(vips) < len(services) {
		return false
	}
	added, owners := map[netip.Addr]bool{}, map[backend]VIP{}
	for _, s := range changed {
		if s.Validate() != nil {
			return false
		}
		added[s.VIP.Address.Addr()] = true
		for _, r := range s.Replicas {
			if hosts[r.Address.Addr()] {
				return false
			}
			if s.Mode == NAT {
				owners[backend{r.Address, s.VIP.Protocol}] = s.VIP
			}
		}
	}
	return len(changed) == 0 || apart(services, added, owners)
}

// apart tells whether no replica is a host of added or another service's backend.
func apart(services []Service, added map[netip.Addr]bool, owners map[backend]VIP) bool {
	for i := range services {
		s := &services[i]
		for _, r := range s.Replicas {
			if added[r.Address.Addr()] {
				return false
			}
			if s.Mode != NAT {
				continue
			}
			if v, taken := owners[backend{r.Address, s.VIP.Protocol}]; taken && v != s.VIP {
				return false
			}
		}
	}
	return true
}
