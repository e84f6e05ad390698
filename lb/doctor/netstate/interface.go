package netstate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/decap"
	"lbctl/lb/doctor"
	"lbctl/lb/xdp"
	"lbctl/rss/ethtool"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// named describes an interface that was asked about.
func (v *snapshot) named(name string) (doctor.Interface, error) {
	at := slices.IndexFunc(v.links, func(l netlink.Link) bool {
		return l.Attrs().Name == name || slices.Contains(l.Attrs().AltNames, name)
	})
	if at < 0 {
		return doctor.Interface{}, fmt.Errorf("%w: interface %s", lb.ErrNotFound, name)
	}
	i := v.whole(v.links[at])
	i.Named = true
	return i, nil
}

// transit adds the interface by which a replica is reached, if it is not there yet.
func (v *snapshot) transit(all []doctor.Interface, name string) []doctor.Interface {
	at := slices.IndexFunc(v.links, func(l netlink.Link) bool { return l.Attrs().Name == name })
	if at < 0 || slices.ContainsFunc(all, func(i doctor.Interface) bool { return i.Name == name }) {
		return all
	}
	return append(all, v.whole(v.links[at]))
}

// whole describes an interface and, if it is a veth, its other end.
func (v *snapshot) whole(l netlink.Link) doctor.Interface {
	i := v.one(l)
	if i.Kind != "veth" {
		return i
	}
	i.PeerIndex = l.Attrs().ParentIndex
	// The kernel names a namespace where the other end is not in this one.
	if peer := v.link(i.PeerIndex); l.Attrs().NetNsID < 0 && peer != nil {
		p := v.one(peer)
		i.Peer = &p
	}
	return i
}

// one describes an interface alone.
func (v *snapshot) one(l netlink.Link) doctor.Interface {
	a := l.Attrs()
	i := doctor.Interface{
		Name: a.Name, Kind: l.Type(), Index: a.Index, MTU: a.MTU,
		Up: a.RawFlags&unix.IFF_UP != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
		Ethernet: a.EncapType == "ether" && len(a.HardwareAddr) == 6,
		Features: features(a.Index), Offloads: offloads(a.Name), XDP: attached(a),
		Queues: a.NumRxQueues,
	}
	i.Ours = v.ours(i)
	if i.Kind != "veth" && a.ParentIndex != 0 && a.NetNsID < 0 {
		i.Parent = v.name(a.ParentIndex)
	}
	if above := slices.IndexFunc(v.links, func(u netlink.Link) bool { return u.Type() == "vlan" && u.Attrs().ParentIndex == a.Index }); above >= 0 {
		i.Above = v.links[above].Attrs().Name
	}
	if master := v.link(a.MasterIndex); a.MasterIndex != 0 && master != nil {
		i.Master, i.MasterKind = master.Attrs().Name, master.Type()
	}
	if bond, is := l.(*netlink.Bond); is {
		i.BondMode = bond.Mode.String()
	}
	queues(&i)
	return i
}

// ours reports whether what is attached is the balancer's: the daemon knows, else the program's name tells.
func (v *snapshot) ours(i doctor.Interface) bool {
	if i.XDP.Mode == doctor.Detached {
		return false
	}
	if v.scope.Daemon == doctor.DaemonAnswers {
		return slices.Contains(v.scope.Attached, i.Name)
	}
	return i.XDP.Program == program
}

// queues adds what ethtool knows; an interface that it does not read keeps what rtnetlink says.
func queues(i *doctor.Interface) {
	s, err := ethtool.Read(i.Name)
	if err != nil {
		return
	}
	i.Driver, i.Queues, i.RSS = s.Driver, s.Queues, s.HasRSS()
	if c := s.Channels; c != nil {
		i.Channels, i.MaxChannels = c.Combined, c.MaxCombined
	}
}

// program is the name of the balancer's program (bpf/src/lb.bpf.c).
const program = "lb"

// modes are XDP_ATTACHED_* of include/uapi/linux/if_link.h.
func modes() []doctor.XDPMode {
	return []doctor.XDPMode{doctor.Detached, doctor.Native, doctor.Generic, doctor.Offloaded, doctor.SeveralXDP}
}

// attached returns what is attached to an interface.
func attached(a *netlink.LinkAttrs) doctor.XDP {
	h, held := xdp.HolderOf(a)
	if !held || int(a.Xdp.AttachMode) >= len(modes()) {
		return doctor.XDP{}
	}
	return doctor.XDP{Mode: modes()[a.Xdp.AttachMode], ID: h.ID, Program: h.Program, Link: h.Link}
}

// decapsulation returns what is decapsulated on an interface, nil if nothing is or the caller may not see it.
func (v *snapshot) decapsulation(i doctor.Interface) *doctor.Decapsulation {
	if i.XDP.Program != doctor.Decapsulator {
		return nil
	}
	all, _ := decap.List(cmp.Or(v.scope.DecapDir, decap.DefaultDir)) // an error is that it may not be seen
	for _, d := range all {
		if d.Index == i.Index {
			return &doctor.Decapsulation{Locals: d.Locals, VIPs: d.VIPs, Ports: d.Ports, Own: v.own(i.Index)}
		}
	}
	return nil
}

// own returns the addresses of an interface but link-local ones.
func (v *snapshot) own(index int) []netip.Addr {
	var all []netip.Addr
	for _, a := range v.addresses {
		if address := prefix(a).Addr(); a.LinkIndex == index && !address.IsLinkLocalUnicast() {
			all = append(all, address)
		}
	}
	return all
}
