// Package privileges gives up what the daemon does not need.
package privileges

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// needed are the capabilities that the daemon works with, those of deploy/systemd/lbctl.service: to load BPF programs, to have
// them read the kernel's memory, to attach them and watch the network.
var needed = []int{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_NET_ADMIN}

// Drop leaves this process no capability but CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, nor a way to gain one by what it
// executes (capabilities(7), PR_SET_NO_NEW_PRIVS). Capabilities are a thread's, and a Go program has many threads: so one
// thread gives them up and executes the program again, with the same arguments, environment, process id and standard files.
// It returns only if nothing was to be given up, or with an error; then the calling thread may have lost capabilities, and
// the caller must end.
func Drop() error {
	given, err := excess()
	if err != nil || !given {
		return err
	}
	runtime.LockOSThread()
	if err := dropThread(); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	program, err := os.Executable()
	if err == nil {
		err = unix.Exec(program, os.Args, os.Environ())
	}
	return fmt.Errorf("execute lbctl again with fewer capabilities: %w", err)
}

// sets are the capabilities of a thread, in two words of 32 (capget(2), version 3).
type sets [2]unix.CapUserData

var header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}

// kept is s without what is not needed.
func (s sets) kept() sets {
	var mask [2]uint32
	for _, c := range needed {
		mask[c/32] |= 1 << (c % 32)
	}
	for i := range s {
		s[i].Effective &= mask[i]
		s[i].Permitted &= mask[i]
		s[i].Inheritable &= mask[i]
	}
	return s
}

// excess tells whether the calling thread has a capability that is not needed, or may gain one.
func excess() (bool, error) {
	var s sets
	h := header
	if err := unix.Capget(&h, &s[0]); err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	sealed, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return false, fmt.Errorf("read PR_GET_NO_NEW_PRIVS: %w", err)
	}
	return s != s.kept() || sealed == 0, nil
}

// dropThread leaves the calling thread what is needed. The bounding set bounds what root has after it executes a program; who
// may not change it (CAP_SETPCAP) has few capabilities already, and the other two sets and the seal suffice.
func dropThread() error {
	var s sets
	h := header
	if err := unix.Capget(&h, &s[0]); err != nil {
		return err
	}
	keep := s.kept()
	if s[0].Effective&(1<<unix.CAP_SETPCAP) != 0 {
		for c := 0; c <= unix.CAP_LAST_CAP; c++ {
			if err := unbound(c); err != nil {
				return err
			}
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_NO_NEW_PRIVS: %w", err)
	}
	h = header
	return unix.Capset(&h, &keep[0])
}

// unbound takes a capability out of the bounding set, unless it is needed or unknown to this kernel.
func unbound(c int) error {
	if slices.Contains(needed, c) {
		return nil
	}
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("PR_CAPBSET_DROP of capability %d: %w", c, err)
	}
	return nil
}
