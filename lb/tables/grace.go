package tables

import (
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Grace defers actions until no packet can see the state before a change any more. The zero value has nothing
// deferred. Its owner's lock guards it.
type Grace struct {
	// Steps, if there are any, show when it was waited.
	Steps *Steps

	readers  bool
	deferred []func()
}

// Changed notes that packets may still see the state before a change.
func (g *Grace) Changed() { g.readers = true }

// Readers reports whether packets may still see the state before the last change.
func (g *Grace) Readers() bool { return g.readers }

// Defer has Free call f.
func (g *Grace) Defer(f func()) { g.deferred = append(g.deferred, f) }

// Deferred reports whether Free has something to call.
func (g *Grace) Deferred() bool { return len(g.deferred) > 0 }

// Wait returns when no packet sees the state before the changes made so far.
func (g *Grace) Wait() error {
	if err := synchronize(); err != nil {
		return err
	}
	g.readers = false
	g.Steps.waited()
	return nil
}

// Free calls what was deferred. One call of Wait before it serves any number of changes.
func (g *Grace) Free() {
	for _, f := range g.deferred {
		f()
	}
	g.deferred = nil
}

// synchronize returns when every packet that was in the datapath at the call has left it: XDP programs run under
// RCU. It takes some 10 ms.
func synchronize() error {
	if membarrierWaits() {
		return byMembarrier()
	}
	return byMapOfMaps()
}

// Commands of membarrier(2), linux/membarrier.h. The global one waits for an RCU grace period
// (kernel/sched/membarrier.c calls synchronize_rcu).
const (
	membarrierQuery  = 0
	membarrierGlobal = 1
)

// membarrierWaits asks the kernel whether it has the global command. One that was booted with nohz_full has not.
var membarrierWaits = sync.OnceValue(func() bool {
	commands, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierQuery, 0, 0)
	return errno == 0 && commands&membarrierGlobal != 0
})

func byMembarrier() error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("wait for a grace period (membarrier): %w", errno)
	}
	return nil
}

// byMapOfMaps writes an element of a map of maps: the kernel returns from that when no program can use the old
// one (kernel/bpf/syscall.c, maybe_wait_bpf_programs, which calls synchronize_rcu or its expedited form).
func byMapOfMaps() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("wait for a grace period (map of maps): %w", err)
		}
	}()
	spec := &ebpf.MapSpec{Name: "grace_element", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	element, err := ebpf.NewMap(spec)
	if err != nil {
		return err
	}
	defer element.Close()
	of, err := ebpf.NewMap(&ebpf.MapSpec{Name: "grace", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: spec})
	if err != nil {
		return err
	}
	defer of.Close()
	return of.Put(uint32(0), element)
}
