package netns

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	nshandle "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is a named network namespace. Safe for concurrent use, but for Close.
type Namespace struct {
	name   string
	file   *os.File
	handle *netlink.Handle
	thread *thread
	// named is true once the name is ours to remove.
	named bool
	close func() error
}

// makeNamespace makes, names and prepares a namespace, or leaves nothing behind.
func makeNamespace(name string) (*Namespace, error) {
	if strings.ContainsAny(name, "/ ") {
		return nil, fmt.Errorf("name %q: want letters, digits and dashes", name)
	}
	n := &Namespace{name: name}
	n.close = sync.OnceValue(n.remove)
	if err := n.create(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Namespace) create() (err error) {
	if err := reserve(n.Path()); err != nil {
		return err
	}
	n.named = true
	n.thread = newThread()
	if err := n.thread.run(func() error { return unshare(n.Path()) }); err != nil {
		return err
	}
	if n.file, err = os.Open(n.Path()); err != nil {
		return err
	}
	if n.handle, err = netlink.NewHandleAt(nshandle.NsHandle(n.file.Fd()), unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	if err := n.forbidIPv6(); err != nil {
		return err
	}
	if err := n.calmTCP(); err != nil {
		return err
	}
	lo, err := n.Link("lo")
	if err != nil {
		return err
	}
	return lo.Up()
}

// Own returns the namespace that this process was started in: for a process that another one has started in a namespace of its
// run, and that is to leave nothing behind. Nothing can be started in it by Start, and Close keeps it.
func Own() (*Namespace, error) {
	file, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open own namespace: %w", err)
	}
	n := &Namespace{name: "own", file: file}
	n.close = sync.OnceValue(n.remove)
	if n.handle, err = netlink.NewHandleAt(nshandle.NsHandle(file.Fd()), unix.NETLINK_ROUTE); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink: %w", err), n.Close())
	}
	return n, nil
}

// Name returns the whole name, prefix included.
func (n *Namespace) Name() string { return n.name }

// Path returns the file that names the namespace.
func (n *Namespace) Path() string { return filepath.Join(mountDir, n.name) }

// Do runs f inside the namespace, on the calling goroutine, locked to its thread
// meanwhile. What f opens (sockets, /dev/net/tun, /proc/sys/net) belongs to the
// namespace; goroutines that f starts do not run inside it. Calls may be nested.
func (n *Namespace) Do(f func() error) (err error) {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own namespace: %w", err)
	}
	defer own.Close()
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", n.name, err)
	}
	defer func() {
		if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
			// The thread stays locked: it ends with the goroutine and is not reused.
			err = errors.Join(err, fmt.Errorf("leave namespace %s: %w", n.name, back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

// Dial connects to a TCP address inside the namespace, within a time. Closed, the connection is reset: it leaves no socket behind
// that waits for its end.
func (n *Namespace) Dial(address string, within time.Duration) (*net.TCPConn, error) {
	var c net.Conn
	err := n.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", address, within)
		return err
	})
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	return tcp, tcp.SetLinger(0)
}

// Close kills the processes started in the namespace and removes its name. The kernel removes the namespace and
// its links when the last socket in it is closed. A second call does nothing.
func (n *Namespace) Close() error { return n.close() }

func (n *Namespace) remove() error {
	if n.thread != nil {
		n.thread.stop()
	}
	if n.handle != nil {
		n.handle.Close()
	}
	if n.file != nil {
		_ = n.file.Close()
	}
	if !n.named {
		return nil
	}
	return unname(n.Path())
}

// reserve makes the file that a namespace will be mounted on; it must not exist.
func reserve(path string) error {
	if err := os.MkdirAll(mountDir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// unshare moves the calling thread into a new network namespace and bind-mounts that
// on path, which keeps it alive and gives it its name.
func unshare(path string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("/proc/thread-self/ns/net", path, "none", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount on %s: %w", path, err)
	}
	return nil
}

// unname removes a namespace's mount and its file; it is no error if they do not exist.
func unname(path string) error {
	// MNT_DETACH: a process that still uses the mount must not prevent its removal.
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove name: %w", err)
	}
	return nil
}
