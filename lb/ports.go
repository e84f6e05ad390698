package lb

import (
	"fmt"
	"net/netip"
	"slices"
)

// MaxPortRanges is how many services at one address may have several ports: so many the row of an address has room for.
const MaxPortRanges = 12

// HasPort reports whether a port is one of the service's.
func (s Service) HasPort(port uint16) bool {
	first := s.VIP.Address.Port()
	return first <= port && port <= max(first, s.EndPort)
}

// Ports returns the service's ports: "80" or "8000-8099".
func (s Service) Ports() string {
	if s.EndPort == 0 {
		return fmt.Sprint(s.VIP.Address.Port())
	}
	return fmt.Sprintf("%d-%d", s.VIP.Address.Port(), s.EndPort)
}

// name returns the VIP with all ports: "tcp 192.0.2.1:80" or "tcp 192.0.2.1:8000-8099".
func (s Service) name() string {
	if s.EndPort == 0 {
		return s.VIP.String()
	}
	return fmt.Sprintf("%v-%d", s.VIP, s.EndPort)
}

func (s Service) endPortProblems(ps *Problems) {
	first := s.VIP.Address.Port()
	switch {
	case s.EndPort == 0:
	case s.EndPort <= first:
		ps.add("end_port", fmt.Sprintf("want a port above %d, that of the VIP, or leave it out", first), "%d", s.EndPort)
	case s.Mode == NAT:
		ps.add("end_port", "want the mode dsr or ipip, which leave the port, or a service for every port",
			"%d with nat, in which all ports of a service become the one of a replica, whose answers do not say which was asked", s.EndPort)
	}
}

// ranges are services with several ports at one address, sorted. Only VIP and EndPort of them are set.
type ranges []Service

func (x *Index) addRange(s Service) {
	if s.EndPort == 0 {
		return
	}
	all := x.ranged[s.VIP.Address.Addr()]
	at, found := all.search(s.VIP)
	if !found {
		x.ranged[s.VIP.Address.Addr()] = slices.Insert(all, at, Service{VIP: s.VIP, EndPort: s.EndPort})
	}
}

func (x *Index) removeRange(s Service) {
	a := s.VIP.Address.Addr()
	at, found := x.ranged[a].search(s.VIP)
	if !found {
		return
	}
	if x.ranged[a] = slices.Delete(x.ranged[a], at, at+1); len(x.ranged[a]) == 0 {
		delete(x.ranged, a)
	}
}

func (all ranges) search(v VIP) (int, bool) {
	return slices.BinarySearchFunc(all, v, func(s Service, v VIP) int { return s.VIP.Compare(v) })
}

// overlapping returns a service, one of those that count, that has a port of s if both have several, and why s may not be
// beside it; "" if it may. Where the address has no room there is a reason and no service.
func (x *Index) overlapping(s Service, counts func(VIP) bool) (with VIP, why string) {
	if s.EndPort == 0 {
		return VIP{}, ""
	}
	others := 0
	for _, o := range x.ranged[s.VIP.Address.Addr()] {
		if o.VIP == s.VIP || !counts(o.VIP) {
			continue
		}
		if others++; o.VIP.Protocol == s.VIP.Protocol && s.VIP.Address.Port() <= o.EndPort && o.VIP.Address.Port() <= s.EndPort {
			return o.VIP, fmt.Sprintf("%s and %s have ports in common", s.name(), o.name())
		}
		if others >= MaxPortRanges {
			return VIP{}, fmt.Sprintf("%s: %d services at %v have an end_port already", s.name(), MaxPortRanges, s.VIP.Address.Addr())
		}
	}
	return VIP{}, ""
}

// AllowsPorts reports whether s could have its ports.
func (x *Index) AllowsPorts(s Service) bool {
	_, why := x.overlapping(s, anyone)
	return why == ""
}

// InRange returns the service that has the port of v as one of several, but as the first. A service with the VIP v comes before it.
func (x *Index) InRange(v VIP) (VIP, bool) {
	for _, s := range x.ranged[v.Address.Addr()] {
		if s.VIP.Protocol == v.Protocol && s.VIP != v && s.HasPort(v.Address.Port()) {
			return s.VIP, true
		}
	}
	return VIP{}, false
}

// Ranges returns the services with several ports at an address, sorted: their VIPs and end ports alone.
func (x *Index) Ranges(a netip.Addr) []Service { return slices.Clone(x.ranged[a]) }
