package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
)

// Decapsulator is the name of the decapsulation program on replicas.
const Decapsulator = "lb_decap"

func judgeDecapsulation(f Facts, i Interface) verdict {
	switch {
	case f.Mode != lb.IPIP:
		return verdict{}
	case i.XDP.Program == Decapsulator:
		return i.decapsulates(f.VIPs)
	}
	for _, t := range f.Tunnels {
		if t.Up {
			return ok("by the kernel's %s", t.Name)
		}
	}
	switch {
	case i.XDP.Mode != Detached && i.XDP.Program == "":
		return bad(Unknown, "sudo lbctl doctor --on-replica --mode ipip "+i.Name+vipFlag(f.VIPs), "this user may not see what is attached")
	case len(f.Tunnels) > 0:
		return bad(Problem, "ip link set dev "+f.Tunnels[0].Name+" up", "%s is down", f.Tunnels[0].Name)
	}
	return bad(Problem, "lbctl decap attach "+i.Name+vipFlag(f.VIPs), "neither the program %s nor a tunnel", Decapsulator)
}

// Decapsulation is what an interface decapsulates.
type Decapsulation struct {
	// Locals are the addresses that outer packets may come to, VIPs those of inner ones; no VIPs: any.
	Locals, VIPs []netip.Addr
	// Ports are those of UDP around packets.
	Ports []uint16
	// Own are the interface's addresses now, but link-local ones.
	Own []netip.Addr
}

// decapsulates judges whether what is attached takes all that comes.
func (i Interface) decapsulates(vips []VIP) verdict {
	u := i.Decapsulation
	if u == nil {
		return ok("by %s, in mode %s", Decapsulator, i.XDP.Mode)
	}
	for _, v := range vips {
		if len(u.VIPs) > 0 && !slices.Contains(u.VIPs, v.Address) {
			return bad(Problem, u.again(i.Name, vips), "%s is attached, but not for %v", Decapsulator, v.Address)
		}
	}
	for _, a := range u.Own {
		if !slices.Contains(u.Locals, a) {
			return bad(Problem, u.again(i.Name, vips), "%s was attached before the interface had %v, and does not decapsulate what comes there", Decapsulator, a)
		}
	}
	return ok("by %s, in mode %s", Decapsulator, i.XDP.Mode)
}

// again is the command that attaches it for all that it is attached for, more VIPs and the addresses of now.
func (u Decapsulation) again(name string, more []VIP) string {
	text := "lbctl decap attach " + name
	for _, a := range u.Locals {
		if !slices.Contains(u.Own, a) {
			text += " --local " + a.String()
		}
	}
	for _, p := range u.Ports {
		text += fmt.Sprint(" --udp-port ", p)
	}
	if len(u.VIPs) == 0 {
		return text
	}
	for _, a := range u.VIPs {
		text += " --vip " + a.String()
	}
	return text + vipFlag(slices.DeleteFunc(slices.Clone(more), func(v VIP) bool { return slices.Contains(u.VIPs, v.Address) }))
}

// vipFlag keeps what is decapsulated to the VIPs.
func vipFlag(all []VIP) string {
	text := ""
	for _, v := range all {
		text += " --vip " + v.Address.String()
	}
	return text
}

func judgeTunnelFilter(f Facts, i Interface) verdict {
	if f.Mode != lb.IPIP || i.XDP.Program == Decapsulator {
		return verdict{}
	}
	for _, t := range f.Tunnels {
		if mode, _ := f.Sysctl.either(t.Name, "rp_filter"); t.Up && mode == strict && anyIPv4(f.VIPs) {
			return bad(Problem, set(2, Conf("ipv4", t.Name, "rp_filter")), "strict on %s", t.Name)
		}
	}
	return ok("not strict")
}

func judgeSourceFilter(f Facts, i Interface) verdict {
	mode, known := f.Sysctl.either(i.Name, "rp_filter")
	switch {
	case !known:
		return bad(Unknown, "sysctl "+dotted(Conf("ipv4", i.Name, "rp_filter")), "cannot be read")
	case mode == strict && f.Default4.Interface != i.Name:
		return bad(Problem, set(2, Conf("ipv4", i.Name, "rp_filter")), "strict, and the default route is not by %s", i.Name)
	}
	return ok("%d", mode)
}

// clientMTU is what the links of most clients carry.
const clientMTU = 1500

// room is what outer headers take at most, in bytes: IPv6's, and UDP's where the program takes that off.
func (i Interface) room() int {
	if i.Decapsulation != nil && len(i.Decapsulation.Ports) > 0 {
		return 40 + 8
	}
	return 40
}

func judgeSegment(f Facts, i Interface) verdict {
	if f.Mode != lb.IPIP {
		return verdict{}
	}
	r, headers := f.Default4, 20+20
	if len(f.VIPs) > 0 && !anyIPv4(f.VIPs) {
		r, headers = f.Default6, 40+20
	}
	most := i.MTU - i.room() - headers
	switch {
	case i.MTU >= clientMTU+i.room():
		return ok("full packets fit into an MTU of %d", i.MTU)
	case r.AdvMSS > 0 && r.AdvMSS <= most:
		return ok("segments of %d bytes are announced", r.AdvMSS)
	case !r.Gateway.IsValid():
		return bad(Warning, fmt.Sprintf("ip route change ROUTE advmss %d", most), "segments larger than %d bytes do not fit, and there is no default route to say so", most)
	}
	r.AdvMSS = most
	return bad(Warning, r.replace(), "segments larger than %d bytes do not fit", most)
}

// replace is the command that gives a default route its MTU and announced segment.
func (r Default) replace() string {
	text := fmt.Sprintf("ip route replace default via %v dev %s", r.Gateway, r.Interface)
	if r.MTU > 0 {
		text += fmt.Sprintf(" mtu %d", r.MTU)
	}
	if r.AdvMSS > 0 {
		text += fmt.Sprintf(" advmss %d", r.AdvMSS)
	}
	return text
}

// judgeAnswerSize: a link that is wide enough for outer headers is wider than the way back, which has none.
func judgeAnswerSize(f Facts, i Interface) verdict {
	if f.Mode != lb.IPIP || i.MTU <= clientMTU {
		return verdict{}
	}
	for _, v := range f.VIPs {
		r := f.Default4
		if v.Address.Is6() {
			r = f.Default6
		}
		if r.Interface != i.Name || r.MTU > 0 && r.MTU <= clientMTU {
			continue
		}
		r.MTU = clientMTU
		return bad(Warning, r.replace(), "answers from %v have up to %d bytes: the default route has no MTU of its own", v.Address, i.MTU)
	}
	return ok("the MTU of the default route is at most %d", clientMTU)
}

// sharesLink reports whether the VIP is on the same link as the balancer that answers for it.
func (f Facts) sharesLink() bool { return f.Mode == lb.DSR && len(f.VIPs) > 0 }

func judgeArpIgnore(f Facts, i Interface) verdict {
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
}

func judgeArpAnnounce(f Facts, i Interface) verdict {
	if !f.sharesLink() {
		return verdict{}
	}
	return atLeast(f, i, "arp_announce", 2)
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
