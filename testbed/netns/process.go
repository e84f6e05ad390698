package netns

import (
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts a command inside the namespace; the caller waits for it (cmd.Wait). The
// process is killed when the namespace is closed and when this process dies, however
// that happens. It is in a process group of its own, so that a Ctrl-C at the terminal
// reaches only the caller, who can then stop things in their order.
func (n *Namespace) Start(cmd *exec.Cmd) error {
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	attr.Setpgid = true
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = &attr
	// The kernel sends Pdeathsig when the thread that forked ends, not the process:
	// hence the keeper, which lives as long as the namespace and is inside it.
	if err := n.keeper.run(cmd.Start); err != nil {
		return fmt.Errorf("start %s in namespace %s: %w", cmd.Path, n.name, err)
	}
	return nil
}

// Pin keeps the processes that are started in the namespace from now on, all their threads,
// on one core of this machine: a machine of its own with one core.
func (n *Namespace) Pin(core int) error {
	err := n.keeper.run(func() error {
		var set unix.CPUSet
		set.Set(core)
		return unix.SchedSetaffinity(0, &set)
	})
	if err != nil {
		return fmt.Errorf("pin namespace %s to core %d: %w", n.name, core, err)
	}
	return nil
}
