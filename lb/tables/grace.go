package tables

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Grace defers actions until no packet can see the state before a change any more. The zero value has nothing
// deferred. Its owner's lock guards it.
type Grace struct {
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
	return nil
}

// Free calls what was deferred. One call of Wait before it serves any number of changes.
func (g *Grace) Free() {
	for _, f := range g.deferred {
		f()
	}
	g.deferred = nil
}

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of linux/membarrier.h: it waits for an
// RCU grace period (kernel/sched/membarrier.c calls synchronize_rcu).
const membarrierGlobal = 1

// synchronize returns when every packet that was in the datapath at the call has left it: XDP programs run under
// RCU. It takes some 10 ms.
func synchronize() error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("wait for a grace period (membarrier): %w", errno)
	}
	return nil
}
