package netstate

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/lb/doctor"
)

// prefix returns an address with its network.
func prefix(a netlink.Addr) netip.Prefix {
	address, _ := netip.AddrFromSlice(a.IP)
	ones, _ := a.Mask.Size()
	return netip.PrefixFrom(address.Unmap(), ones)
}

// vip looks where a VIP is: on an interface here, or in the network of one of those asked about.
func (v *view) vip(t Target, named []doctor.Interface) doctor.VIP {
	found := doctor.VIP{Address: t.Address, Mode: t.Mode}
	for _, a := range v.addresses {
		at := prefix(a)
		if at.Addr() == t.Address {
			found.Held = append(found.Held, doctor.Held{Interface: v.name(a.LinkIndex), Prefix: at})
		}
		for _, i := range named {
			if i.Index == a.LinkIndex && at.Contains(t.Address) {
				found.OnLink = i.Name
			}
		}
	}
	// A route of type local makes addresses this machine's that no interface has.
	if routes, err := netlink.RouteGet(t.Address.AsSlice()); len(found.Held) == 0 && err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
		found.Held = []doctor.Held{{Interface: v.name(routes[0].LinkIndex), Prefix: netip.PrefixFrom(t.Address, t.Address.BitLen())}}
	}
	return found
}

// tunnels returns the kernel's tunnels that unpack IP in IP.
func (v *view) tunnels() []doctor.Tunnel {
	var all []doctor.Tunnel
	for _, l := range v.links {
		if kind := l.Type(); kind == "ipip" || kind == "ip6tnl" {
			all = append(all, doctor.Tunnel{Name: l.Attrs().Name, Kind: kind, Up: l.Attrs().RawFlags&unix.IFF_UP != 0})
		}
	}
	return all
}
