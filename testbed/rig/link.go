package rig

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// backlog is how many frames a TAP holds for its reader, for each queue: as many as a fast
// sender may have in flight.
const backlog = 8192

// frameSize is the length of the longest frame on a link: two VLAN tags and the Ethernet header on top of the MTU.
func frameSize(mtu int) int { return mtu + 14 + 2*4 }

// tap is a TAP interface and one descriptor for each of its queues. The
// kernel removes the interface when they are closed.
type tap struct {
	fds []int
}

// openWire makes the clients' TAP, up. The clients merge what they receive, as any host does: it halves
// the cost of a run.
func openWire(e netns.End, mtu int) (*tap, error) {
	return openTAP(e, 1, unix.IFF_NAPI, mtu, netns.Link.MergeReceived)
}

// openHost makes the balancer's TAP, up, with a number of queues.
func openHost(e netns.End, queues, mtu int) (*tap, error) {
	return openTAP(e, queues, unix.IFF_MULTI_QUEUE, mtu, netns.Link.OffloadsOff)
}

// openTAP makes a TAP with a number of queues and more flags, prepares it, and sets it up. A
// TAP whose reader asks for no offload has none for sending: frames come whole, checksum included.
func openTAP(e netns.End, queues int, flags uint16, mtu int, prepare func(netns.Link) error) (*tap, error) {
	t := &tap{}
	err := e.Namespace.Do(func() error { return t.attach(e.Name, queues, flags) })
	if err == nil {
		err = setUp(e, mtu, prepare)
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("make tap %s: %w", e.Name, err)
	}
	return t, nil
}

func setUp(e netns.End, mtu int, prepare func(netns.Link) error) error {
	l, err := e.Namespace.Link(e.Name)
	if err != nil {
		return err
	}
	if err := errors.Join(l.SetMTU(mtu), l.SetQueueLength(backlog), prepare(l)); err != nil {
		return err
	}
	return l.Up()
}

// attach opens a descriptor for each queue: the first gets queue 0, and so on (tun_attach).
func (t *tap) attach(name string, queues int, flags uint16) error {
	for range queues {
		// O_NONBLOCK: the driver runs XDP natively only for such writers (tun_can_build_skb).
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		t.fds = append(t.fds, fd)
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | flags)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return fmt.Errorf("attach queue %d: %w", len(t.fds)-1, err)
		}
	}
	return nil
}

// close closes the descriptors; of a tap that is nil there are none.
func (t *tap) close() {
	if t == nil {
		return
	}
	for _, fd := range t.fds {
		_ = unix.Close(fd)
	}
	t.fds = nil
}

// StartVeth makes a veth pair with a number of queues at both ends, up and without offloads: the
// negative control. It looks like a multi-queue NIC and has no RSS: a frame arrives at the
// host on the queue of the number that the sending stack chose, by the kernel's own hash of the flow
// (skb_tx_hash). A verifier that finds RSS here is broken. The pair is removed with its namespaces.
func StartVeth(wire, host netns.End, queues int) (netns.Link, netns.Link, error) {
	if queues < 1 || queues > maxQueues {
		return netns.Link{}, netns.Link{}, fmt.Errorf("start veth: %d queues: want 1 to %d", queues, maxQueues)
	}
	if err := makeVeth(wire, host, queues); err != nil {
		return netns.Link{}, netns.Link{}, fmt.Errorf("start veth: %w", err)
	}
	w, errW := readyVeth(wire)
	h, errH := readyVeth(host)
	return w, h, errors.Join(errW, errH)
}

func makeVeth(wire, host netns.End, queues int) error {
	peer, err := os.Open(host.Namespace.Path())
	if err != nil {
		return fmt.Errorf("open namespace: %w", err)
	}
	defer peer.Close()
	a := netlink.NewLinkAttrs()
	a.Name, a.NumTxQueues, a.NumRxQueues, a.MTU = wire.Name, queues, queues, netns.DefaultMTU
	v := &netlink.Veth{
		LinkAttrs: a, PeerName: host.Name, PeerMTU: netns.DefaultMTU,
		PeerNumTxQueues: uint32(queues), PeerNumRxQueues: uint32(queues), PeerNamespace: netlink.NsFd(peer.Fd()),
	}
	return wire.Namespace.Do(func() error { return netlink.LinkAdd(v) })
}

func readyVeth(e netns.End) (netns.Link, error) {
	l, err := e.Namespace.Link(e.Name)
	if err != nil {
		return netns.Link{}, err
	}
	return l, errors.Join(l.OffloadsOff(), l.Up())
}
