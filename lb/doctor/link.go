package doctor

import "slices"

func upCheck() check[Interface] {
	return check[Interface]{
		"up", "an interface that is down moves no packet",
		func(_ Facts, i Interface) verdict {
			if !i.Up {
				return bad(Problem, "ip link set dev "+i.Name+" up", "down")
			}
			return ok("up")
		},
	}
}

func carrierCheck() check[Interface] {
	return check[Interface]{
		"carrier", "without it the other end hears nothing",
		func(_ Facts, i Interface) verdict {
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
		},
	}
}

func ethernetCheck() check[Interface] {
	return check[Interface]{
		"ethernet", "the program reads and writes Ethernet frames",
		func(_ Facts, i Interface) verdict {
			if !i.Ethernet {
				return bad(Problem, "ip -brief link", "not an Ethernet interface")
			}
			return ok("Ethernet")
		},
	}
}

// stacked tells whether an interface is made of others, and its driver does not do XDP itself.
func (i Interface) stacked() bool {
	return slices.Contains([]string{"vlan", "macvlan", "macvtap", "ipvlan", "bridge", "team"}, i.Kind)
}

// bondModes are those in which a bond does XDP (bond_xdp_check of drivers/net/bonding/bond_main.c).
func bondModes() []string { return []string{"balance-rr", "active-backup", "balance-xor", "802.3ad"} }

func stackingCheck() check[Interface] {
	return check[Interface]{
		"stacking", "XDP runs in the driver below; above it there is only the slower generic mode, and some frames never get there",
		func(_ Facts, i Interface) verdict {
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
		},
	}
}

// below judges an interface that takes some of another one's frames.
func below(i Interface) verdict {
	if i.Parent == "" {
		return bad(Warning, "lbctl attach PARENT", "a %s, whose parent is in another namespace", i.Kind).at("in the parent's namespace")
	}
	return bad(Warning, "lbctl attach "+i.Parent, "a %s above %s: attach to that, the program reads VLAN tags", i.Kind, i.Parent)
}
