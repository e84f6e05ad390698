package lb

import (
	"fmt"
	"net/netip"
)

// Admit says whether a datapath that holds the services present, among which VIPs are unique, may
// take s in addition, or instead of the one with its VIP. Errors: ErrInvalid (Problems, with
// the fields of s), ErrConflict (a nat replica belongs to another VIP, or a replica
// has the address of another VIP or the other way round), ErrFull (a limit, named).
func Admit(present []Service, s Service, l Limits) error {
	if err := s.Validate(); err != nil {
		return err
	}
	for _, other := range present {
		if other.VIP == s.VIP {
			continue
		}
		if err := collide(s, other); err != nil {
			return err
		}
	}
	return fits(present, s, l)
}

// collide says why two services with different VIPs cannot stand beside each other.
func collide(s, other Service) error {
	if r, ok := replicaAt(s, other.VIP.Address.Addr()); ok {
		return fmt.Errorf("%w: replica %v of %v has the address of the service %v", ErrConflict, r, s.VIP, other.VIP)
	}
	if r, ok := replicaAt(other, s.VIP.Address.Addr()); ok {
		return fmt.Errorf("%w: %v has the address of replica %v of %v", ErrConflict, s.VIP, r, other.VIP)
	}
	if s.Mode != NAT || other.Mode != NAT || s.VIP.Protocol != other.VIP.Protocol {
		return nil
	}
	theirs := make(map[netip.AddrPort]bool, len(other.Replicas))
	for _, r := range other.Replicas {
		theirs[r.Address] = true
	}
	for _, r := range s.Replicas {
		if theirs[r.Address] {
			return fmt.Errorf("%w: nat replica %v %v belongs to %v", ErrConflict, s.VIP.Protocol, r.Address, other.VIP)
		}
	}
	return nil
}

func replicaAt(s Service, a netip.Addr) (netip.AddrPort, bool) {
	for _, r := range s.Replicas {
		if r.Address.Addr() == a {
			return r.Address, true
		}
	}
	return netip.AddrPort{}, false
}

// fits says which limit s would break. The slots of the table that it replaces are still
// taken while the new one is written; its entries and replicas are not.
func fits(present []Service, s Service, l Limits) error {
	services, replicas, slots := uint64(1), uint64(len(s.Replicas)), uint64(s.Slots())
	for _, other := range present {
		slots += uint64(other.Slots())
		if other.VIP != s.VIP {
			services++
			replicas += uint64(len(other.Replicas))
		}
	}
	switch {
	case services > uint64(l.Services):
		return fmt.Errorf("%w: %d services, the limit is %d", ErrFull, services, l.Services)
	case replicas > uint64(l.Replicas):
		return fmt.Errorf("%w: %d replicas, the limit is %d", ErrFull, replicas, l.Replicas)
	case slots > uint64(l.Slots):
		return fmt.Errorf("%w: %d slots, old table and new, the limit is %d", ErrFull, slots, l.Slots)
	}
	return nil
}
