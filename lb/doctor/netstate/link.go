package netstate

import (
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/lb"
	"lbctl/lb/doctor"
	"lbctl/rss/ethtool"
)

// named looks at an interface that was asked about.
func (v *view) named(name string) (doctor.Interface, error) {
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

// onTheWay adds the interface by which a replica is reached, if it is not there yet.
func (v *view) onTheWay(all []doctor.Interface, name string) []doctor.Interface {
	at := slices.IndexFunc(v.links, func(l netlink.Link) bool { return l.Attrs().Name == name })
	if at < 0 || slices.ContainsFunc(all, func(i doctor.Interface) bool { return i.Name == name }) {
		return all
	}
	return append(all, v.whole(v.links[at]))
}

// whole looks at an interface and, if it is a veth, at its other end.
func (v *view) whole(l netlink.Link) doctor.Interface {
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

// one looks at an interface alone.
func (v *view) one(l netlink.Link) doctor.Interface {
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
	if master := v.link(a.MasterIndex); a.MasterIndex != 0 && master != nil {
		i.Master, i.MasterKind = master.Attrs().Name, master.Type()
	}
	if bond, is := l.(*netlink.Bond); is {
		i.BondMode = bond.Mode.String()
	}
	queues(&i)
	return i
}

// ours tells whether what is attached is the balancer's: the daemon knows, else the program's name tells.
func (v *view) ours(i doctor.Interface) bool {
	if i.XDP.Mode == doctor.Detached {
		return false
	}
	if v.question.Daemon == doctor.DaemonAnswers {
		return slices.Contains(v.question.Attached, i.Name)
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
