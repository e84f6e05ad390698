package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is a network interface in a namespace. Index, MAC and MTU are those of the moment when it was looked up.
type Link struct {
	namespace *Namespace
	Name      string
	Index     int
	MAC       net.HardwareAddr
	MTU       int
}

// Link looks an interface up by name.
func (n *Namespace) Link(name string) (Link, error) {
	l, err := n.handle.LinkByName(name)
	if err != nil {
		return Link{}, fmt.Errorf("find link %s in %s: %w", name, n.name, err)
	}
	a := l.Attrs()
	return Link{namespace: n, Name: a.Name, Index: a.Index, MAC: a.HardwareAddr, MTU: a.MTU}, nil
}

// Namespace returns where the link is.
func (l Link) Namespace() *Namespace { return l.namespace }

// Up sets the link up.
func (l Link) Up() error { return l.set("set up", l.namespace.handle.LinkSetUp) }

// Down sets the link down.
func (l Link) Down() error { return l.set("set down", l.namespace.handle.LinkSetDown) }

// SetMTU sets the largest packet, in bytes without the Ethernet header.
func (l Link) SetMTU(bytes int) error {
	return l.set("set mtu of", func(k netlink.Link) error { return l.namespace.handle.LinkSetMTU(k, bytes) })
}

// SetQueueLength sets how many packets wait for the driver. For a TAP it is also the size of
// the ring that its reader reads from.
func (l Link) SetQueueLength(packets int) error {
	return l.set("set queue length of", func(k netlink.Link) error {
		return l.namespace.handle.LinkSetTxQLen(k, packets)
	})
}

// SetMAC sets the Ethernet address.
func (l Link) SetMAC(mac net.HardwareAddr) error {
	return l.set("set mac of", func(k netlink.Link) error { return l.namespace.handle.LinkSetHardwareAddr(k, mac) })
}

func (l Link) set(what string, f func(netlink.Link) error) error {
	if err := f(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: l.Name, Index: l.Index}}); err != nil {
		return fmt.Errorf("%s link %s: %w", what, l.Name, err)
	}
	return nil
}

// AddAddress gives the link an address with the prefix of its network.
func (l Link) AddAddress(p netip.Prefix) error {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return l.set("add address "+p.String()+" to", func(k netlink.Link) error {
		return l.namespace.handle.AddrAdd(k, a)
	})
}

// AddNeighbour fixes the Ethernet address of a neighbour on the link, so that no
// ARP or neighbour discovery is needed for it.
func (l Link) AddNeighbour(a netip.Addr, mac net.HardwareAddr) error {
	n := &netlink.Neigh{
		LinkIndex: l.Index, State: netlink.NUD_PERMANENT,
		IP: a.AsSlice(), HardwareAddr: mac,
	}
	if err := l.namespace.handle.NeighSet(n); err != nil {
		return fmt.Errorf("add neighbour %v to link %s: %w", a, l.Name, err)
	}
	return nil
}

// AddRoute sends packets for a network over the link to a gateway, or, if the
// gateway is the zero Addr, directly.
func (l Link) AddRoute(to netip.Prefix, gateway netip.Addr) error {
	r := &netlink.Route{LinkIndex: l.Index, Dst: ipNet(to.Masked()), Gw: gateway.AsSlice()}
	if !gateway.IsValid() {
		r.Scope = netlink.SCOPE_LINK
	}
	if err := l.namespace.handle.RouteAdd(r); err != nil {
		return fmt.Errorf("add route to %v over link %s: %w", to, l.Name, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// DefaultMTU is Ethernet's. Native XDP on a veth allows some 3,500 bytes at most.
const DefaultMTU = 1500

// backlog is how many packets wait where a veth's ring of 256 is full. Without a queue
// the kernel drops them (drivers/net/veth.c).
const backlog = 1000

// End is one end of a veth pair.
type End struct {
	Namespace *Namespace
	// Name is the interface's, at most 15 bytes.
	Name string
	// Queues is the number of receive queues of an end of a veth pair; 0: one. What XDP redirects to the end on
	// core i comes on queue i mod Queues and is received on core i (drivers/net/veth.c, veth_select_rxq).
	Queues int
}

// Veth makes a pair of links, one end in each namespace, both up, with the MTU given
// (0: DefaultMTU) and every offload off: a packet that XDP redirects would otherwise leave with a
// checksum that no hardware fills in.
func Veth(a, b End, mtu int) (Link, Link, error) {
	if mtu == 0 {
		mtu = DefaultMTU
	}
	v := netlink.NewVeth(netlink.LinkAttrs{Name: a.Name, MTU: mtu, TxQLen: backlog})
	v.PeerName = b.Name
	if a.Queues+b.Queues > 0 { // the kernel uses what is asked for at both ends if it is asked for at the first (veth_init_queues)
		v.NumRxQueues, v.PeerNumRxQueues = max(a.Queues, 1), uint32(max(b.Queues, 1))
	}
	v.PeerMTU = uint32(mtu)
	v.PeerTxQLen = backlog
	v.PeerNamespace = netlink.NsFd(b.Namespace.file.Fd())
	if err := a.Namespace.handle.LinkAdd(v); err != nil {
		return Link{}, Link{}, fmt.Errorf("make veth %s, %s: %w", a.Name, b.Name, err)
	}
	first, errA := prepare(a)
	second, errB := prepare(b)
	if err := errors.Join(errA, errB); err != nil {
		return Link{}, Link{}, err
	}
	return first, second, errors.Join(first.running(), second.running())
}

// running makes sure that the link carries packets. The end that was set up first gets
// its carrier, and its queue, from a kernel worker later, and drops what is sent before. Reading
// the link's state does that work at once (rtnl_getlink, linkwatch_sync_dev); on older kernels it has to be awaited.
func (l Link) running() error {
	const patience, pause = 5 * time.Second, 5 * time.Millisecond
	for end := time.Now().Add(patience); ; time.Sleep(pause) {
		k, err := l.namespace.handle.LinkByIndex(l.Index)
		if err != nil {
			return fmt.Errorf("read link %s: %w", l.Name, err)
		}
		state := k.Attrs().OperState
		if state == netlink.OperUp {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("start link %s: its state is %v", l.Name, state)
		}
	}
}

// prepare readies one end of a new pair.
func prepare(e End) (Link, error) {
	l, err := e.Namespace.Link(e.Name)
	if err != nil {
		return Link{}, err
	}
	if err := l.OffloadsOff(); err != nil {
		return Link{}, err
	}
	if err := l.queue(); err != nil {
		return Link{}, err
	}
	return l, l.Up()
}

// queue puts a plain first-in-first-out queue before the link, so that a full ring
// holds packets back instead of dropping them.
func (l Link) queue() error {
	q := &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Index, Parent: netlink.HANDLE_ROOT},
		QdiscType:  "pfifo",
	}
	if err := l.namespace.handle.QdiscReplace(q); err != nil {
		return fmt.Errorf("queue packets of link %s: %w", l.Name, err)
	}
	return nil
}
