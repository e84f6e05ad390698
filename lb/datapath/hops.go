package datapath

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// hops asks the kernel for the next hop towards an address: route, link, neighbour. Its
// sockets belong to one network namespace, whichever thread uses them.
type hops struct {
	namespace netns.NsHandle
	netlink   *netlink.Handle
}

func newHops() (*hops, error) {
	runtime.LockOSThread() // a socket is of the namespace of the thread that opens it; to enter one takes CAP_SYS_ADMIN
	defer runtime.UnlockOSThread()
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink: %w", err), ns.Close())
	}
	return &hops{namespace: ns, netlink: h}, nil
}

func (h *hops) close() {
	h.netlink.Close()
	h.namespace.Close()
}

// inside runs f on a thread that is in the namespace.
func (h *hops) inside(f func() error) error {
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer here.Close()
	if here.Equal(h.namespace) {
		defer runtime.UnlockOSThread()
		return f()
	}
	if err := netns.Set(h.namespace); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w", err)
	}
	err = f()
	if back := netns.Set(here); back != nil {
		return errors.Join(err, back) // still locked: the thread ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}
