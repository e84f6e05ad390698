package netns

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// thread is an operating system thread of its own that runs functions in order until it
// is stopped. It exists because two things belong to a thread and not to
// a process: the network namespace, and the parent whose end Pdeathsig watches.
type thread struct {
	work chan func()
	done chan struct{}
}

func newThread() *thread {
	t := &thread{work: make(chan func()), done: make(chan struct{})}
	go t.loop()
	return t
}

func (t *thread) loop() {
	defer close(t.done)
	// Never unlocked: the thread ends with this goroutine.
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread will not do: /proc/self shows its namespace, and it cannot
		// end. While this goroutine is locked to it, another one gets another thread.
		other := &thread{work: t.work, done: make(chan struct{})}
		go other.loop()
		<-other.done
		runtime.UnlockOSThread()
		return
	}
	for f := range t.work {
		f()
	}
}

// run runs f on the thread and waits for it.
func (t *thread) run(f func() error) error {
	result := make(chan error, 1)
	t.work <- func() { result <- f() }
	return <-result
}

// stop ends the thread, and so kills the children that it forked. No run may follow.
func (t *thread) stop() {
	close(t.work)
	<-t.done
}

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
	// hence this thread, which lives as long as the namespace and is inside it.
	if err := n.thread.run(cmd.Start); err != nil {
		return fmt.Errorf("start %s in namespace %s: %w", cmd.Path, n.name, err)
	}
	return nil
}

// Pin binds the processes that are started in the namespace from now on, with all their threads,
// to one core: they are like a machine with one core.
func (n *Namespace) Pin(core int) error {
	err := n.thread.run(func() error {
		var set unix.CPUSet
		set.Set(core)
		return unix.SchedSetaffinity(0, &set)
	})
	if err != nil {
		return fmt.Errorf("pin namespace %s to core %d: %w", n.name, core, err)
	}
	return nil
}
