package doctor

// takers tells whether frames may come to an interface from programs that run in a driver.
// Generic programs send by the ordinary way, which every interface has.
func (f Facts) takers() bool {
	for _, i := range f.Interfaces {
		if i.Named && i.native(f.Host.Page) {
			return true
		}
	}
	return false
}

func transmitCheck() check[Interface] {
	return check[Interface]{
		"transmit", "a native program sends by the driver's ndo_xdp_xmit; where that is missing, frames vanish without an error",
		func(f Facts, i Interface) verdict {
			switch {
			case !f.takers():
				return ok("not needed: nothing runs in native mode")
			case i.can(Transmit):
				return ok("the driver takes redirected frames")
			case i.Kind == "veth":
				return vethTransmit(i)
			case i.Features == nil:
				return bad(Unknown, "lbctl get counters", "the kernel does not tell whether %s takes redirected frames (Linux 6.3 does)", driver(i))
			case i.XDP.Mode == Native:
				return bad(Problem, "ethtool -L "+i.Name+" combined 1", "%s takes no redirected frames: it has no queue left for them", driver(i))
			case i.can(Basic):
				return bad(Warning, "lbctl attach "+i.Name, "%s takes no redirected frames now; most drivers do once XDP is attached", driver(i))
			}
			return bad(Problem, "lbctl attach "+i.Name+" --mode generic", "%s takes no redirected frames: the others must be generic, too", driver(i))
		},
	}
}

// vethTransmit judges a veth by its peer: that receives redirected frames only with NAPI, which it has with GRO or
// a native program of its own (veth_xdp_xmit).
func vethTransmit(i Interface) verdict {
	name, where := i.peer()
	cure := "ethtool -K " + name + " gro on"
	switch p := i.Peer; {
	case i.Features != nil && !i.can(Basic):
		return i.tooFewQueues(Problem)
	case i.Features != nil:
	case p == nil:
		return bad(Unknown, cure, "its peer needs GRO or XDP, and is in another namespace").at("%s", where)
	case p.XDP.Mode == Native, p.Offloads["rx-gro"].On:
		return ok("its peer %s has GRO or XDP", p.Name)
	case p.Offloads == nil:
		return bad(Unknown, cure, "its peer needs GRO or XDP, and its offloads cannot be read")
	}
	return bad(Problem, cure, "its peer has neither GRO nor XDP").at("%s", where)
}

func sendBackCheck() check[Interface] {
	return check[Interface]{
		"send-back", "echo replies, packet-too-big and packets to a replica on the link that they came from go back by XDP_TX: the other end of a veth hears " +
			"of them only by an XDP program of its own, GRO is not enough (veth_xdp_flush)",
		func(f Facts, i Interface) verdict {
			cure := "lbctl attach " + i.Name + " --mode generic"
			switch {
			case i.Kind != "veth" || i.XDP.Mode == Detached && !i.suits(f.Host.Page):
				return verdict{}
			case i.XDP.Mode == Generic:
				return ok("not needed in mode generic")
			case i.Peer == nil:
				return bad(Unknown, cure+"   # unless its peer has a program: ip link show dev PEER", "its peer needs an XDP program, and is in another namespace")
			case i.Peer.XDP.Mode == Native:
				return ok("its peer %s has an XDP program", i.Peer.Name)
			case f.oneArm(i.Name):
				return bad(Problem, cure, "its peer %s has no XDP program, and there are replicas on this link", i.Peer.Name)
			}
			return bad(Warning, cure, "its peer %s has no XDP program", i.Peer.Name)
		},
	}
}

// oneArm tells whether packets come in by an interface that they leave by to a replica: it is the only one.
func (f Facts) oneArm(name string) bool {
	_, alone := f.ingress(name)
	return alone && f.leads(name)
}

func napiCheck() check[Interface] {
	return check[Interface]{
		"napi", "a veth end without GRO or XDP does not take what is redirected to it: frames vanish without an error",
		func(_ Facts, i Interface) verdict {
			switch {
			case i.Kind != "veth":
				return verdict{}
			case i.XDP.Mode == Native:
				return ok("XDP is attached")
			case i.Offloads == nil:
				return bad(Unknown, "ethtool -K "+i.Name+" gro on", "its offloads cannot be read")
			case !i.Offloads["rx-gro"].On:
				return bad(Problem, "ethtool -K "+i.Name+" gro on", "GRO is off, and no XDP program attached")
			}
			return ok("GRO is on")
		},
	}
}
