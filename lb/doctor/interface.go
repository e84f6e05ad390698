package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Interface is a network interface as it was seen.
type Interface struct {
	Name string
	// Kind is rtnetlink's: "veth", "vlan", "bond", ...; empty or "device" for hardware.
	Kind   string
	Driver string
	Index  int
	// Named is whether it was asked about, rather than found because it leads to a replica.
	Named bool
	// Ours is whether the balancer is attached, as far as that can be told.
	Ours bool

	Up, Carrier, Ethernet bool
	// MTU is in bytes, without the Ethernet header.
	MTU int
	// Parent is the interface below a VLAN or macvlan, empty if it is in another namespace.
	Parent string
	// Above is a VLAN of this interface, empty if there is none.
	Above string
	// Master is the bond, bridge or team that it is a part of, and MasterKind which of them.
	Master, MasterKind string
	// BondMode is a bond's, as ip link names it.
	BondMode string
	XDP      XDP
	// Decapsulation is what Decapsulator does there; nil where it is not attached or that may not be seen.
	Decapsulation *Decapsulation
	// Features are what the driver says it can do in XDP; nil where the kernel does not tell (before Linux 6.3).
	Features *Features
	// Offloads are nil where they cannot be read.
	Offloads Offloads
	// Peer is a veth's other end. It is nil if that is in another namespace.
	Peer *Interface
	// PeerIndex is the other end's number in its own namespace.
	PeerIndex int

	// Queues receive; Channels and MaxChannels are the combined ones in use and possible, 0 where the driver has none.
	Queues, SendQueues    int
	Channels, MaxChannels int
	RSS                   bool
}

// XDP is what is attached to an interface. The zero value: nothing.
type XDP struct {
	// Mode is how it is attached.
	Mode XDPMode
	// Program is its name, empty where the caller may not see it; ID is its number.
	Program string
	ID      uint32
	// Link is the number of the bpf_link that holds it; 0: none, or not visible.
	Link uint32
}

// XDPMode says how a program is attached.
type XDPMode string

const (
	Detached   XDPMode = ""
	Native     XDPMode = "native"
	Generic    XDPMode = "generic"
	Offloaded  XDPMode = "offloaded"
	SeveralXDP XDPMode = "several"
)

// Features are the kernel's NETDEV_XDP_ACT_* (include/uapi/linux/netdev.h).
type Features uint64

const (
	// Basic: programs run in the driver.
	Basic Features = 1 << 0
	// Redirect: they may send a frame to another interface.
	Redirect Features = 1 << 1
	// Transmit (NDO_XMIT): frames from another interface may be sent here.
	Transmit Features = 1 << 2
)

// can reports whether the driver says that it has a feature.
func (i Interface) can(f Features) bool { return i.Features != nil && *i.Features&f != 0 }

// native reports whether the balancer runs, or would run, in the driver.
func (i Interface) native(page int) bool {
	if i.XDP.Mode != Detached {
		return i.XDP.Mode == Native
	}
	return i.suits(page)
}

// suits reports whether the driver would take a native program now. Of one that does not tell what it can do it is assumed.
func (i Interface) suits(page int) bool {
	return !i.stacked() && !i.merged() && (i.Features == nil || i.can(Basic)) && i.frame() <= nativeMTU(i, page)
}

// merged reports whether the host of a virtual machine merges frames and cannot be told to stop, without which
// virtio_net refuses native programs (virtnet_xdp_set).
func (i Interface) merged() bool { return i.Driver == "virtio_net" && i.Offloads.fixed("rx-gro-hw") }

// unmerged is what makes the host stop.
const unmerged = "# start the virtual machine with guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,guest_csum=off on its virtio-net device"

// frame is the MTU that counts for native XDP: a veth's is that of its peer, too.
func (i Interface) frame() int {
	if i.Peer != nil {
		return max(i.MTU, i.Peer.MTU)
	}
	return i.MTU
}

// peer names a veth's other end and says where it is: here if that is empty.
func (i Interface) peer() (name, where string) {
	if i.Peer != nil {
		return i.Peer.Name, ""
	}
	return "PEER", fmt.Sprintf("in the namespace of the peer of %s, which is interface %d there", i.Name, i.PeerIndex)
}

// Offloads are an interface's features by the kernel's names (net/ethtool/common.c).
type Offloads map[string]Offload

// Offload is one of them.
type Offload struct {
	On bool
	// Fixed is whether it cannot be changed.
	Fixed bool
}

// on returns those of the names that are on.
func (o Offloads) on(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !o[n].On })
}

// fixed reports whether one of the names is on for good.
func (o Offloads) fixed(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return o[n].On && o[n].Fixed })
}

// switchOff judges an offload that should be off.
func (i Interface) switchOff(s Severity, flag string, names ...string) verdict {
	on := i.Offloads.on(names...)
	switch {
	case i.Offloads == nil:
		return bad(Unknown, fmt.Sprintf("ethtool -k %s", i.Name), "its offloads cannot be read")
	case len(on) == 0:
		return ok("off")
	case i.Offloads.fixed(on...):
		return bad(s, "# the driver cannot switch it off: use another interface", "%s on, and fixed", strings.Join(on, ", "))
	}
	return bad(s, fmt.Sprintf("ethtool -K %s %s", i.Name, flag), "%s on", strings.Join(on, ", "))
}
