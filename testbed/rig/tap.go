package rig

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// backlog is how many frames a TAP holds for its reader, for each queue: as many as a fast
// sender may have under way.
const backlog = 8192

// frameSize is the length of the longest frame on a link: two VLAN tags and the Ethernet header on top of the MTU.
func frameSize(mtu int) int { return mtu + 14 + 2*4 }

// tap is a TAP interface and one descriptor for each of its queues. The
// interface goes with them.
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
