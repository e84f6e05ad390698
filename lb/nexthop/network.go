// Package nexthop finds the next hops towards addresses as the kernel would (route, link, neighbour, by netlink),
// and follows what they depend on. A Network is one network namespace; its State resolves addresses for one operation;
// Watch tells a Follower what has changed.
package nexthop

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Network is a network namespace, whichever thread uses it. It is safe for concurrent use.
type Network struct {
	namespace netns.NsHandle
	netlink   *netlink.Handle
	bulk      *bulk
	// manyRoutes: there were once more than mostDestinations.
	manyRoutes atomic.Bool
}

// Open opens the network namespace of the calling thread.
func Open() (*Network, error) {
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
	b, err := openBulk()
	if err != nil {
		h.Close()
		return nil, errors.Join(err, ns.Close())
	}
	return &Network{namespace: ns, netlink: h, bulk: b}, nil
}

// Inode is the number of the namespace, that of its file.
func (n *Network) Inode() (uint64, error) {
	var file unix.Stat_t
	if err := unix.Fstat(int(n.namespace), &file); err != nil {
		return 0, fmt.Errorf("look at the network namespace: %w", err)
	}
	return file.Ino, nil
}

// Close releases the handles.
func (n *Network) Close() {
	n.netlink.Close()
	n.bulk.close()
	n.namespace.Close()
}

// Inside runs f on a thread that is in the namespace. To enter it from another one takes CAP_SYS_ADMIN.
func (n *Network) Inside(f func() error) error {
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer here.Close()
	if here.Equal(n.namespace) {
		defer runtime.UnlockOSThread()
		return f()
	}
	if err := netns.Set(n.namespace); err != nil {
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
