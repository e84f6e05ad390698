package datapath

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of linux/membarrier.h: it waits for an
// RCU grace period (kernel/sched/membarrier.c calls synchronize_rcu).
const membarrierGlobal = 1

// grace returns when every packet that was in the datapath at the call has left it: XDP programs run under
// RCU. It takes some 10 ms.
func grace() error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("wait for a grace period (membarrier): %w", errno)
	}
	return nil
}
