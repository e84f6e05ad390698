package netns

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

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
}

// Veth makes a pair of links, one end in each namespace, both up, with the MTU given
// (0: DefaultMTU) and every offload off, as packets that XDP redirects need it: a
// checksum left to the hardware would never be filled in.
func Veth(a, b End, mtu int) (Link, Link, error) {
	if mtu == 0 {
		mtu = DefaultMTU
	}
	v := netlink.NewVeth(netlink.LinkAttrs{Name: a.Name, MTU: mtu, TxQLen: backlog})
	v.PeerName = b.Name
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
// its carrier, and its queue, only later from a kernel worker, and drops what is sent before; but asking for
// the link's state does that work at once (rtnl_getlink, linkwatch_sync_dev).
func (l Link) running() error {
	k, err := l.namespace.handle.LinkByIndex(l.Index)
	if err != nil {
		return fmt.Errorf("look at link %s: %w", l.Name, err)
	}
	if state := k.Attrs().OperState; state != netlink.OperUp {
		return fmt.Errorf("start link %s: its state is %v", l.Name, state)
	}
	return nil
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
