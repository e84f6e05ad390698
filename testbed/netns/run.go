// Package netns makes the network of a test: named network namespaces, veth pairs
// between them, addresses, routes, neighbours, and child processes inside. It uses
// netlink and system calls only, no `ip` or `ethtool` binary, and needs root.
//
// Namespaces are bind-mounted in /run/netns as `ip netns` does, so that an operator can
// look: `ip netns exec lbctl-4711-clients ss -t`. Each belongs to a Run. A Run holds a
// lock for as long as its process lives, so that Sweep can tell what a crashed
// process left behind from what belongs to a living one.
package netns

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Prefix begins the name of every namespace: lbctl-RUN-NAME.
const Prefix = "lbctl-"

const (
	mountDir = "/run/netns"
	lockDir  = "/run/lbctl-testbed"
)

// Run is one run of a testbed and the owner of its namespaces. Safe for concurrent use.
type Run struct {
	id   string
	lock *os.File

	mu         sync.Mutex
	namespaces []*Namespace
}

// NewRun takes a lock that shows that this run lives. Its id is the process number,
// with a suffix for the second and later ones of one process.
func NewRun() (*Run, error) {
	if err := os.MkdirAll(lockDir, 0o755); err != nil {
		return nil, fmt.Errorf("make lock directory: %w", err)
	}
	for i := range 1 << 10 {
		id := strconv.Itoa(os.Getpid())
		if i > 0 {
			id += "." + strconv.Itoa(i)
		}
		lock, err := acquire(id)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// A dead process may have had the same number.
		if _, err := sweepRun(id); err != nil {
			release(lock)
			return nil, err
		}
		return &Run{id: id, lock: lock}, nil
	}
	return nil, errors.New("start run: every id of this process is in use")
}

// ID returns what stands between the prefix and the name in the run's namespaces.
func (r *Run) ID() string { return r.id }

// Make makes a namespace called lbctl-ID-name: its loopback is up, and IPv6 is off on
// everything but the loopback (see Namespace.AllowIPv6). Names are letters, digits and dashes.
func (r *Run) Make(name string) (*Namespace, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lock == nil {
		return nil, fmt.Errorf("make namespace %s: run %s is closed", name, r.id)
	}
	n, err := makeNamespace(Prefix + r.id + "-" + name)
	if err != nil {
		return nil, fmt.Errorf("make namespace %s: %w", name, err)
	}
	r.namespaces = append(r.namespaces, n)
	return n, nil
}

// Close removes the namespaces that are left, the newest first, and releases the
// lock. Processes started in them are killed. A second call does nothing.
func (r *Run) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lock == nil {
		return nil
	}
	var all []error
	for _, n := range slices.Backward(r.namespaces) {
		all = append(all, n.Close())
	}
	r.namespaces = nil
	release(r.lock)
	r.lock = nil
	return errors.Join(all...)
}
