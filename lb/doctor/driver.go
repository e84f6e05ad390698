package doctor

import (
	"cmp"
	"fmt"
)

func judgeDriver(f Facts, i Interface) verdict {
	switch {
	case i.stacked():
		return verdict{} // said by stacking
	case i.XDP.Mode == Native:
		return ok("native XDP, in use")
	case i.Features == nil:
		return bad(Unknown, "lbctl attach "+i.Name+" --mode native", "the kernel does not tell what drivers can do (Linux 6.3 does)")
	case i.merged():
		return bad(Warning, unmerged, "the host merges frames, and virtio_net then refuses native XDP")
	case i.can(Basic):
		return ok("%s has native XDP", driver(i))
	case i.Kind == "veth":
		return i.tooFewQueues(Warning)
	}
	return bad(Warning, f.generic(i), "%s has no native XDP", driver(i))
}

// tooFewQueues judges a veth that receives on fewer queues than its peer sends on: it has no XDP at all (veth_set_xdp_features).
func (i Interface) tooFewQueues(s Severity) verdict {
	name, where := i.peer()
	return bad(s, fmt.Sprintf("ethtool -L %s tx %d", name, i.Queues),
		"no native XDP: its peer sends on more queues than the %d that it receives on", i.Queues).at("%s", where)
}

// driver names what moves an interface's packets.
func driver(i Interface) string { return cmp.Or(i.Driver, i.Kind, "its driver") }

func judgeAttached(f Facts, i Interface) verdict {
	switch {
	case i.XDP.Mode == Detached:
		return ok("nothing yet")
	case i.XDP.Program == "" && !i.Ours:
		return bad(Unknown, "sudo lbctl doctor "+i.Name, "program %d in mode %s; this user may not see whose it is", i.XDP.ID, i.XDP.Mode)
	case !i.Ours:
		return bad(Problem, release(i), "held by the program %q (%d) in mode %s", i.XDP.Program, i.XDP.ID, i.XDP.Mode)
	case i.XDP.Mode == Generic && i.Kind == "veth" && (i.Peer == nil || i.Peer.XDP.Mode != Native):
		return ok("the balancer, in mode generic; native, its peer would need an XDP program")
	case i.XDP.Mode == Generic && i.can(Basic) && i.suits(f.Host.Page):
		return bad(Warning, "lbctl attach "+i.Name+" --mode native", "the balancer, in mode generic; %s has native XDP", driver(i))
	}
	return ok("the balancer, in mode %s", i.XDP.Mode)
}

// release is the command that takes another program off. Without its mode, ip takes off the native one.
func release(i Interface) string {
	if i.XDP.Link != 0 {
		return fmt.Sprintf("bpftool link detach id %d", i.XDP.Link)
	}
	flag := map[XDPMode]string{Generic: "xdpgeneric", Native: "xdpdrv", Offloaded: "xdpoffload"}[i.XDP.Mode]
	if flag == "" {
		return fmt.Sprintf("ip link set dev %s xdpgeneric off && ip link set dev %s xdpdrv off", i.Name, i.Name)
	}
	return fmt.Sprintf("ip link set dev %s %s off", i.Name, flag)
}

// takers reports whether frames may come to an interface from programs that run in a driver.
// Generic programs send by the ordinary transmit path, which every interface has.
func (f Facts) takers() bool {
	for _, i := range f.Interfaces {
		if i.Named && i.native(f.Host.Page) {
			return true
		}
	}
	return false
}

func judgeTransmit(f Facts, i Interface) verdict {
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
	return bad(Problem, f.generic(i), "%s takes no redirected frames: the others must be generic, too", driver(i))
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

func judgeSendBack(f Facts, i Interface) verdict {
	cure := f.generic(i)
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
}

// oneArm reports whether packets come in by an interface that they leave by to a replica: it is the only one.
func (f Facts) oneArm(name string) bool {
	_, alone := f.ingress(name)
	return alone && f.leads(name)
}

func judgeNapi(_ Facts, i Interface) verdict {
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
}
