package doctor

import (
	"fmt"
	"slices"
)

func judgeUp(_ Facts, i Interface) verdict {
	if !i.Up {
		return bad(Problem, "ip link set dev "+i.Name+" up", "down")
	}
	return ok("up")
}

func judgeCarrier(_ Facts, i Interface) verdict {
	switch {
	case !i.Up:
		return verdict{} // it can have none
	case i.Carrier:
		return ok("there")
	case i.Kind == "veth":
		name, where := i.peer()
		return bad(Problem, "ip link set dev "+name+" up", "none: its peer is down").at("%s", where)
	}
	return bad(Problem, "ethtool "+i.Name, "none: a cable, or the switch's port")
}

func judgeEthernet(_ Facts, i Interface) verdict {
	if !i.Ethernet {
		return bad(Problem, "ip -brief link", "not an Ethernet interface")
	}
	return ok("Ethernet")
}

// stacked reports whether an interface is made of others, and its driver does not do XDP itself.
func (i Interface) stacked() bool {
	return slices.Contains([]string{"vlan", "macvlan", "macvtap", "ipvlan", "bridge", "team"}, i.Kind)
}

// bondModes are those in which a bond does XDP (bond_xdp_check of drivers/net/bonding/bond_main.c).
func bondModes() []string { return []string{"balance-rr", "active-backup", "balance-xor", "802.3ad"} }

func judgeStacking(_ Facts, i Interface) verdict {
	switch {
	case i.Kind == "vlan", i.Kind == "macvlan", i.Kind == "macvtap", i.Kind == "ipvlan":
		return below(i)
	case i.Kind == "bridge":
		return bad(Warning, "lbctl attach PORT", "a bridge: frames between its ports do not pass it; attach to the ports")
	case i.Kind == "team":
		return bad(Warning, "# make it a bond: that has native XDP", "a team: it has no native XDP")
	case i.Kind == "bond" && !slices.Contains(bondModes(), i.BondMode):
		return bad(Problem, "ip link set dev "+i.Name+" type bond mode active-backup", "a bond in mode %s, which has no XDP", i.BondMode)
	case i.MasterKind == "bond", i.MasterKind == "team":
		return bad(Warning, "lbctl attach "+i.Master, "a part of the %s %s: addresses and routes are there", i.MasterKind, i.Master)
	case i.MasterKind == "bridge":
		return bad(Warning, "ip link set dev "+i.Name+" nomaster", "a port of the bridge %s: addresses and routes are there", i.Master)
	}
	return ok("not made of others")
}

// below judges an interface that takes some of another one's frames.
func below(i Interface) verdict {
	if i.Parent == "" {
		return bad(Warning, "lbctl attach PARENT", "a %s, whose parent is in another namespace", i.Kind).at("in the parent's namespace")
	}
	return bad(Warning, "lbctl attach "+i.Parent, "a %s above %s: attach to that, the program reads VLAN tags", i.Kind, i.Parent)
}

// halved reports whether a driver needs as many queues again for XDP as it receives on (ena_xdp_set, gve_verify_xdp_configuration).
func (i Interface) halved() bool { return slices.Contains([]string{"ena", "gve"}, i.Driver) }

func judgeQueues(f Facts, i Interface) verdict {
	possible := i.MaxChannels
	if i.halved() {
		possible /= 2
	}
	most := min(f.Host.CPUs, possible)
	switch {
	case i.stacked():
		return verdict{}
	case i.halved() && i.Channels > possible:
		return combined(i, possible, "%d of %d channels: %s wants half of them free for XDP", i.Channels, i.MaxChannels, i.Driver)
	case i.Driver == "virtio_net" && i.MaxChannels > 1 && i.Channels+f.Host.CPUs > i.MaxChannels:
		return sharing(f, i)
	case i.Channels > 0 && i.Channels < most:
		return combined(i, most, "%d of %d channels for %d CPUs", i.Channels, i.MaxChannels, f.Host.CPUs)
	}
	return ok("%s", queueText(f, i))
}

// combined advises another number of channels.
func combined(i Interface, n int, seen string, args ...any) verdict {
	return bad(Warning, fmt.Sprintf("ethtool -L %s combined %d", i.Name, max(n, 1)), seen, args...)
}

// sharing judges virtio_net without a send queue for each CPU (virtnet_xdp_set): it takes a lock then.
func sharing(f Facts, i Interface) verdict {
	if free := i.MaxChannels - f.Host.CPUs; free > 0 {
		return combined(i, free, "%d of %d channels and %d CPUs: XDP shares send queues", i.Channels, i.MaxChannels, f.Host.CPUs)
	}
	return bad(Warning, fmt.Sprintf("# give the virtual machine %d queues", 2*f.Host.CPUs), "%d channels at most and %d CPUs: XDP shares send queues", i.MaxChannels, f.Host.CPUs)
}

func queueText(f Facts, i Interface) string {
	text := fmt.Sprintf("%d, for %d CPUs", i.Queues, f.Host.CPUs)
	if i.RSS {
		text += "; RSS: lbctl rss show " + i.Name
	}
	return text
}
