// Package packages installs the Debian packages that an experiment needs. No package may start a daemon.
package packages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"lbctl/lb"
)

// InstallError is that packages are missing and could not be installed.
type InstallError struct {
	Names []string
	// Said are the errors that apt-get told, in one line.
	Said string
}

// Error says which.
func (e *InstallError) Error() string {
	return fmt.Sprintf("install %s: apt-get: %s", strings.Join(e.Names, ", "), e.Said)
}

// Hint says what to do.
func (e *InstallError) Hint() string {
	return fmt.Sprintf("where there is a network: apt-get update && apt-get install %s", strings.Join(e.Names, " "))
}

// complaints picks out of what apt-get wrote the lines that are errors, or else its last line.
func complaints(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	var errs []string
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "E: "); ok && len(errs) < 2 {
			errs = append(errs, text)
		}
	}
	if len(errs) == 0 {
		errs = lines[len(lines)-1:]
	}
	return strings.Join(errs, "; ")
}

// Install installs packages. It completes what has begun even when ctx ends, because dpkg must not be left
// half-way; it starts nothing more then. Its error wraps lb.ErrNotFound where there is no apt-get, and is an *InstallError
// where apt-get fails, as without a network.
func Install(ctx context.Context, names ...string) (err error) {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("install %s: %w: there is no apt-get here: install them by hand", strings.Join(names, ", "), lb.ErrNotFound)
	}
	allow, err := forbidDaemons(policy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, allow()) }()
	run := func(args ...string) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Another run may be installing at this moment: wait for its lock.
		c := exec.Command(apt, append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is not for it
		if said, err := c.CombinedOutput(); err != nil {
			return &InstallError{Names: names, Said: complaints(string(said))}
		}
		return nil
	}
	want := append([]string{"install", "-y", "--no-install-recommends"}, names...)
	if run(want...) == nil {
		return nil
	}
	if err := run("update"); err != nil { // its lists may be old, or missing
		return err
	}
	return run(want...)
}

// policy is the program that Debian's packages run to learn whether they may start a daemon (policy-rc.d(8)).
const policy = "/usr/sbin/policy-rc.d"

// forbidding forbids it (101), and says whose it is.
const forbidding = "#!/bin/sh\n# of lbctl, for as long as it installs packages\nexit 101\n"

// Sweep removes a policy that a killed Install left.
func Sweep() error { return clearPolicy(policy) }

// forbidDaemons keeps packages from starting daemons until the result is called. A policy that exists already is
// somebody else's and stays.
func forbidDaemons(file string) (allow func() error, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() error { return nil }, nil
	}
	if err == nil {
		_, err = f.WriteString(forbidding)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("keep packages from starting daemons: %w", err)
	}
	return func() error { return clearPolicy(file) }, nil
}

// clearPolicy removes a policy that is ours, also that of a run that was killed; nobody else's.
func clearPolicy(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(text) != forbidding {
		return nil
	}
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil {
		return fmt.Errorf("let packages start daemons again: %w", err)
	}
	return nil
}
