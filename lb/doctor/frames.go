package doctor

import (
	"fmt"
	"strings"

	"lbctl/lb"
)

// nativeMTU is the largest MTU, in bytes, with which a driver runs a program without fragments: what a page
// holds besides headroom (XDP_PACKET_HEADROOM, 256), struct skb_shared_info (320) and the Ethernet
// header (14), in veth_xdp_set and virtnet_xdp_set; others keep room for two tags or
// the checksum (8), as ena does.
func nativeMTU(i Interface, page int) int {
	limit := page - 256 - 320 - 14
	if i.Kind != "veth" && i.Driver != "virtio_net" {
		limit -= 8
	}
	return limit
}

func judgeMtu(f Facts, i Interface) verdict {
	limit := nativeMTU(i, f.Host.Page)
	if i.XDP.Mode == Native || i.stacked() || i.frame() <= limit || i.Features != nil && !i.can(Basic) {
		return ok("%d", i.frame())
	}
	cure := fmt.Sprintf("ip link set dev %s mtu %d", i.Name, limit)
	if i.Kind == "veth" {
		name, where := i.peer()
		also := fmt.Sprintf("ip link set dev %s mtu %d", name, limit)
		if where == "" {
			cure += " && " + also
		} else {
			cure += "   # and " + where + ": " + also
		}
	}
	return bad(Warning, cure, "%d, native XDP has room for %d", i.frame(), limit)
}

func judgeLro(_ Facts, i Interface) verdict { return i.switchOff(Problem, "lro off", "rx-lro") }

func judgeHardwareGRO(_ Facts, i Interface) verdict {
	v := i.switchOff(Warning, "rx-gro-hw off", "rx-gro-hw")
	if i.merged() {
		v.cure = unmerged
	}
	return v
}

func judgeVlanOffload(_ Facts, i Interface) verdict {
	if i.Kind == "veth" {
		return tagsOfPeer(i.Peer)
	}
	flag := "rxvlan off"
	if i.Offloads["rx-vlan-stag-hw-parse"].On {
		flag += " rx-vlan-stag-hw-parse off"
	}
	return i.switchOff(Warning, flag, "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse")
}

// tagsOfPeer judges the other end of a veth: what it sends with a tag beside the packet comes so, whatever the end that
// receives has set (validate_xmit_vlan). Without a VLAN above it there are no tags.
func tagsOfPeer(p *Interface) verdict {
	if p == nil || p.Above == "" {
		return verdict{}
	}
	v := p.switchOff(Warning, "txvlan off tx-vlan-stag-hw-insert off", "tx-vlan-hw-insert", "tx-vlan-stag-hw-insert")
	v.seen = fmt.Sprintf("%s, which has the VLAN %s: %s", p.Name, p.Above, v.seen)
	return v
}

// postponed are the offloads by which a sender leaves a packet unfinished.
func postponed() []string {
	return []string{"tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6", "tx-tcp-segmentation", "tx-tcp6-segmentation"}
}

func judgeSenders(f Facts, i Interface) verdict {
	switch {
	case i.Kind != "veth":
		return verdict{}
	case !i.native(f.Host.Page):
		return ok("not needed in mode generic")
	}
	if i.Peer != nil {
		return i.Peer.finishes()
	}
	name, where := i.peer()
	return bad(Unknown, "ethtool -K "+name+" tx off", "its peer is in another namespace").at("%s", where)
}

// finishes judges a sender. Without checksums there is no segmentation either: the kernel switches it off.
func (i Interface) finishes() verdict {
	v := i.switchOff(Problem, "tx off", postponed()...)
	v.seen = i.Name + ": " + v.seen
	return v
}

// judgeAnswers is judgeSenders at the replica's end, where answers go back through XDP in mode nat.
func judgeAnswers(f Facts, i Interface) verdict {
	if i.Kind != "veth" || f.Mode != lb.NAT {
		return verdict{}
	}
	return i.finishes()
}

// whole reports whether a service sends packets as they are: in dsr and ipip, what several segments came in cannot be
// cut, and is dropped.
func (f Facts) whole() bool {
	return f.has(lb.DSR, false) || f.has(lb.DSR, true) || f.has(lb.IPIP, false) || f.has(lb.IPIP, true)
}

// superPackets returns the commands that have an interface receive each segment in a packet of its own, as a native program
// does anyway.
func (i Interface) superPackets() (cures []string) {
	if i.Offloads["rx-gro"].On {
		cures = append(cures, "ethtool -K "+i.Name+" gro off")
	}
	if p := i.Peer; p != nil && len(p.Offloads.on("tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation")) > 0 {
		cures = append(cures, "ethtool -K "+p.Name+" tso off tx-udp-segmentation off")
	}
	return cures
}

func judgeSuperPackets(f Facts, i Interface) verdict {
	cures := i.superPackets()
	switch {
	case i.native(f.Host.Page), !f.whole():
		return verdict{}
	case len(cures) > 0:
		return bad(Problem, strings.Join(cures, " && "), "mode generic, and segments come several in one packet")
	case i.Kind == "veth" && i.Peer == nil:
		name, where := i.peer()
		return bad(Unknown, "ethtool -K "+name+" tso off tx-udp-segmentation off", "mode generic, and its peer is in another namespace").at("%s", where)
	}
	return ok("segments come each in a packet of its own")
}

// generic is the command that attaches an interface in mode generic; before it comes what would break the services there.
func (f Facts) generic(i Interface) string {
	var cures []string
	if f.whole() {
		cures = i.superPackets()
	}
	return strings.Join(append(cures, "lbctl attach "+i.Name+" --mode generic"), " && ")
}
