package doctor

import (
	"cmp"
	"fmt"
)

func driverCheck() check[Interface] {
	return check[Interface]{
		"driver", "in generic mode every packet is given a socket buffer first: several times slower",
		func(_ Facts, i Interface) verdict {
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
			return bad(Warning, "lbctl attach "+i.Name+" --mode generic", "%s has no native XDP", driver(i))
		},
	}
}

// tooFewQueues judges a veth that receives on fewer queues than its peer sends on: it has no XDP at all (veth_set_xdp_features).
func (i Interface) tooFewQueues(s Severity) verdict {
	name, where := i.peer()
	return bad(s, fmt.Sprintf("ethtool -L %s tx %d", name, i.Queues),
		"no native XDP: its peer sends on more queues than the %d that it receives on", i.Queues).at("%s", where)
}

// driver names what moves an interface's packets.
func driver(i Interface) string { return cmp.Or(i.Driver, i.Kind, "its driver") }

func attachedCheck() check[Interface] {
	return check[Interface]{
		"attached", "an interface has room for one XDP program",
		func(f Facts, i Interface) verdict {
			switch {
			case i.XDP.Mode == Detached:
				return ok("nothing yet")
			case i.XDP.Program == "" && !i.Ours:
				return bad(Unknown, "sudo lbctl doctor "+i.Name, "program %d in mode %s; whose it is this user may not see", i.XDP.ID, i.XDP.Mode)
			case !i.Ours:
				return bad(Problem, release(i), "held by the program %q (%d) in mode %s", i.XDP.Program, i.XDP.ID, i.XDP.Mode)
			case i.XDP.Mode == Generic && i.Kind == "veth" && (i.Peer == nil || i.Peer.XDP.Mode != Native):
				return ok("the balancer, in mode generic; native, its peer would need an XDP program")
			case i.XDP.Mode == Generic && i.can(Basic) && i.suits(f.Host.Page):
				return bad(Warning, "lbctl attach "+i.Name+" --mode native", "the balancer, in mode generic; %s has native XDP", driver(i))
			}
			return ok("the balancer, in mode %s", i.XDP.Mode)
		},
	}
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
