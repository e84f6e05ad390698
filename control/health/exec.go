package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// nobody is the user and group that commands run as, where the daemon may change them.
	nobody = 65534
	// maxOutput is how much of what a command prints is kept.
	maxOutput = 1 << 10
	// leftOpen is how long is waited for output that a process holds open which left the group.
	leftOpen = 100 * time.Millisecond
)

// probeExec runs a command. Its exit code decides; what it prints first says why.
func probeExec(ctx context.Context, t target) error {
	check := t.service.Health
	args := check.Command.Args()
	said := &head{}
	c := &exec.Cmd{
		Path: args[0], Args: args, Dir: "/", Stdout: said, Stderr: said, WaitDelay: leftOpen,
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LBCTL_SERVICE=" + t.service.Name, "LBCTL_VIP=" + t.VIP.Address.String(),
			"LBCTL_PROTOCOL=" + t.VIP.Protocol.String(), "LBCTL_REPLICA=" + t.Replica.String()},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if err := startPowerless(c); err != nil {
		return errors.New(line(err.Error()))
	}
	exited := make(chan struct{})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		select {
		case <-ctx.Done():
		case <-exited:
		}
		_ = unix.Kill(-c.Process.Pid, unix.SIGKILL) // the group may be empty by now
	}()
	waitUnreaped(c.Process.Pid)
	close(exited)
	<-killed // before the process is reaped, so that its number is nobody else's
	err := c.Wait()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the command was killed after %v", check.Timeout)
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	}
	if first := said.firstLine(); first != "" {
		return fmt.Errorf("%v: %s", err, first)
	}
	return errors.New(line(err.Error()))
}

// startPowerless starts a command without capabilities, and so that it gains none: as nobody if the daemon may change users,
// else as the daemon's user. The thread that starts it loses its own, and ends.
func startPowerless(c *exec.Cmd) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and it is never unlocked: the thread ends with the goroutine
		done <- func() error {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return os.NewSyscallError("prctl", err)
			}
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var has [2]unix.CapUserData
			if err := unix.Capget(&head, &has[0]); err != nil {
				return os.NewSyscallError("capget", err)
			}
			const change = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
			if os.Geteuid() == 0 && has[0].Effective&change == change {
				c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
				return c.Start() // a change from root to another user drops all capabilities
			}
			if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
				return os.NewSyscallError("prctl", err)
			}
			has = [2]unix.CapUserData{}
			if err := unix.Capset(&head, &has[0]); err != nil {
				return os.NewSyscallError("capset", err)
			}
			return c.Start()
		}()
	}()
	return <-done
}

// waitUnreaped waits until a process has ended, and leaves it to be reaped.
func waitUnreaped(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// head keeps the beginning of what is written.
type head struct{ bytes.Buffer }

// Write implements io.Writer. It takes everything.
func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), maxOutput-h.Len())])
	return len(p), nil
}

func (h *head) firstLine() string {
	first, _, _ := bytes.Cut(bytes.TrimSpace(h.Bytes()), []byte("\n"))
	return line(string(first))
}
