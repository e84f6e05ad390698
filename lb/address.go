package lb

import "net/netip"

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// addressProblems finds what keeps an address and port from being one end of a
// flow. At most one problem of the address, and one of the port.
func addressProblems(ps *Problems, field string, a netip.AddrPort) {
	const hint = "want a unicast address and a port: 192.0.2.1:80 or [2001:db8::1]:80"
	if why := addressProblem(a.Addr()); why != "" {
		ps.add(field, hint, "%s", why)
	}
	if a.Port() == 0 {
		ps.add(field, "want a port from 1 to 65535", "port 0")
	}
}

// addressProblem returns what is wrong with an address, or "".
func addressProblem(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Is4In6():
		return a.String() + " is an IPv4 address written as IPv6: write " + a.Unmap().String()
	case a.Zone() != "":
		return a.String() + " has a zone"
	case a.IsUnspecified():
		return a.String() + " is the unspecified address"
	case a.IsMulticast():
		return a.String() + " is a multicast address"
	case a == broadcast:
		return a.String() + " is the broadcast address"
	}
	return ""
}
