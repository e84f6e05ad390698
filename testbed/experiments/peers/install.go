package peers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"lbctl/lb"
)

// programs finds what the peers need, and installs what is missing unless that is forbidden. The
// result is the path of each program. Errors wrap lb.ErrNotFound.
func (p *parameters) programs(ctx context.Context) (map[string]string, error) {
	if err := clearPolicy(policy); err != nil {
		return nil, err
	}
	found, missing := look(p.chosen)
	if len(missing) == 0 {
		return found, nil
	}
	if p.noInstall {
		return nil, fmt.Errorf("find programs of peers: %w: install the packages %s, or leave out those peers with --peers", lb.ErrNotFound, strings.Join(missing, ", "))
	}
	if err := install(ctx, missing); err != nil {
		return nil, err
	}
	if found, missing = look(p.chosen); len(missing) > 0 {
		return nil, fmt.Errorf("find programs of peers: %w: still missing after installing %s", lb.ErrNotFound, strings.Join(missing, ", "))
	}
	return found, nil
}

// look returns the programs that there are, and the packages of those that there are not.
func look(chosen []peer) (found map[string]string, missing []string) {
	found = map[string]string{}
	for _, p := range chosen {
		if p.program == "" {
			continue
		}
		path, err := where(p.program)
		if err != nil || p.program == "nginx" && !streams(path) {
			missing = append(missing, p.packages...)
			continue
		}
		found[p.program] = path
	}
	return found, slices.Compact(missing)
}

// streams tells whether an nginx has the stream module, built in or as Debian's file.
func streams(program string) bool {
	said, _ := exec.Command(program, "-V").CombinedOutput()
	return len(streamModule("nginx")) > 0 || strings.Contains(string(said)+" ", "--with-stream ")
}

// install installs packages; none of them may start a daemon. What has begun is completed, lest
// dpkg is left half-way.
func install(ctx context.Context, packages []string) (err error) {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("install %s: %w: there is no apt-get here: install them by hand, or leave those peers out with --peers", strings.Join(packages, ", "), lb.ErrNotFound)
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
		c := exec.Command(apt, args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is not for it
		if said, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: it said:\n%s", args[0], err, said)
		}
		return nil
	}
	want := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	if run(want...) == nil {
		return nil
	}
	if err := run("update"); err != nil { // its lists may be old, or missing
		return err
	}
	return run(want...)
}

// policy is what Debian's packages ask whether they may start a daemon (policy-rc.d(8)).
const policy = "/usr/sbin/policy-rc.d"

// forbidding forbids it (101), and says whose it is.
const forbidding = "#!/bin/sh\n# of lbctl bench peers, for as long as it installs packages\nexit 101\n"

// forbidDaemons keeps packages from starting daemons until the result is called. A policy that is there
// already is somebody's who has thought about it, and stays.
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
