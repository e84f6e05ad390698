package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/lb"
)

// addressUse counts the services and replicas at each address, to refuse what would loop without
// searching: a replica at the address of a VIP.
type addressUse struct {
	vips, replicas map[netip.Addr]int
}

func newAddressUse() addressUse {
	return addressUse{vips: map[netip.Addr]int{}, replicas: map[netip.Addr]int{}}
}

// count adds (by 1) or takes away (by -1) a service.
func (c addressUse) count(s lb.Service, by int) {
	c.vips[s.VIP.Address.Addr()] += by
	for _, r := range s.Replicas {
		c.replicas[r.Address.Addr()] += by
	}
}

// admit says whether s may take its place beside the other services. Errors: lb.ErrConflict. It does not look
// whether there is room.
func (d *Datapath) admit(s lb.Service, old *entry) error {
	if old != nil {
		d.addressUse.count(old.service, -1)
		defer d.addressUse.count(old.service, +1)
	}
	if d.addressUse.replicas[s.VIP.Address.Addr()] > 0 {
		return fmt.Errorf("%w: %v has the address of a replica of another service", lb.ErrConflict, s.VIP)
	}
	for _, r := range s.Replicas {
		if d.addressUse.vips[r.Address.Addr()] > 0 {
			return fmt.Errorf("%w: replica %v of %v has the address of another service", lb.ErrConflict, r.Address, s.VIP)
		}
		if v, ok := d.revNat[replicaKey(s.VIP, r.Address)]; ok && v != s.VIP && s.Mode == lb.NAT {
			return fmt.Errorf("%w: nat replica %v %v belongs to %v", lb.ErrConflict, s.VIP.Protocol, r.Address, v)
		}
	}
	return nil
}
