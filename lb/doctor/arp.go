package doctor

import (
	"fmt"

	"lbctl/lb"
)

// sharesLink tells whether the VIP is on the same link as the balancer that answers for it.
func (f Facts) sharesLink() bool { return f.Mode == lb.DSR && len(f.VIPs) > 0 }

func arpIgnoreCheck() check[Interface] {
	return check[Interface]{
		"arp-ignore", "a replica that answers ARP for the VIP takes it from the balancer: packets come straight to this one",
		func(f Facts, i Interface) verdict {
			if !f.sharesLink() {
				return verdict{}
			}
			for _, v := range f.VIPs {
				for _, h := range v.Held {
					if h.Interface == i.Name {
						cure := fmt.Sprintf("ip address del %v dev %s && ip address add %v dev lo", h.Prefix, i.Name, whole(v.Address))
						return bad(Problem, cure, "%v is on %s itself, which answers for it", v.Address, i.Name)
					}
				}
			}
			// A neighbour solicitation for an address of another interface is not answered (ndisc_recv_ns): IPv6 needs no more.
			return atLeast(f, i, "arp_ignore", 1)
		},
	}
}

func arpAnnounceCheck() check[Interface] {
	return check[Interface]{
		"arp-announce", "an ARP request with the VIP as sender teaches the router this machine's MAC address for it",
		func(f Facts, i Interface) verdict {
			if !f.sharesLink() {
				return verdict{}
			}
			return atLeast(f, i, "arp_announce", 2)
		},
	}
}

// atLeast judges a parameter of ARP, of which the larger of "all" and the interface's counts.
func atLeast(f Facts, i Interface, leaf string, want int) verdict {
	key := Conf("ipv4", i.Name, leaf)
	value, known := f.Sysctl.either(i.Name, leaf)
	switch {
	case !anyIPv4(f.VIPs):
		return ok("only IPv6")
	case !known:
		return bad(Unknown, "sysctl "+dotted(key), "%s cannot be read", dotted(key))
	case value < want:
		return bad(Problem, set(want, key), "%s is %d", dotted(key), value)
	}
	return ok("%s is %d", leaf, value)
}

func anyIPv4(all []VIP) bool {
	for _, v := range all {
		if v.Address.Is4() {
			return true
		}
	}
	return false
}
