// Package systemd holds the unit of the daemon against a real systemd.
package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/bpf/need"
)

// machine is what machine.sh starts.
type machine struct {
	*testing.T
	folder string
	first  int // the process id of its systemd, outside
}

const config = `
interfaces: [{name: eth0}, {name: eth1}]
services:
- name: web
  vip: 203.0.113.10:80
  replicas: [{address: 10.1.0.1:8080}, {address: 10.1.0.2:8080}]
  health: {type: exec, command: [/bin/true], interval: 1s, timeout: 900ms}
- name: direct
  vip: 203.0.113.11:80
  mode: ipip
  replicas: [{address: 10.1.0.3:80}]
  health: {type: tcp, interval: 1s, timeout: 900ms, on_all_unhealthy: all}
`

func newMachine(t *testing.T) machine {
	t.Helper()
	need.Root(t)
	need.Programs(t, "/lib/systemd/systemd", "journalctl", "setpriv", "ip")
	m := machine{T: t, folder: t.TempDir()}
	m.copies("lbctl.service", "lbctl.sysusers.conf", "machine.sh")
	m.write("lb.yaml", config)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", m.path("lbctl"), "lbctl/cmd/lbctl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var said bytes.Buffer
	start := exec.Command("unshare", "--mount", "sh", m.path("machine.sh"), m.folder)
	start.Stdout, start.Stderr = &said, &said
	start.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := start.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		start.Process.Kill()
		start.Wait()
		m.removeGroups()
	})
	m.until("systemd runs", func() bool {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", start.Process.Pid))
		if err != nil {
			t.Fatalf("the machine did not start: %v\n%s", err, &said)
		}
		name := []byte{}
		if _, err := fmt.Sscan(string(children), &m.first); err == nil {
			name, _ = os.ReadFile(fmt.Sprintf("/proc/%d/comm", m.first))
		}
		return string(name) == "systemd\n" && m.try("systemctl", "is-active", "basic.target") == nil
	})
	return m
}

func (m machine) path(name string) string { return filepath.Join(m.folder, name) }

func (m machine) write(name, text string) {
	m.Helper()
	if err := os.WriteFile(m.path(name), []byte(text), 0o644); err != nil {
		m.Fatal(err)
	}
}

func (m machine) copies(names ...string) {
	m.Helper()
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			m.Fatal(err)
		}
		m.write(name, string(text))
	}
}

// removeGroups removes the control groups of a machine whose processes end.
func (m machine) removeGroups() {
	m.until("its control groups are removed", func() bool {
		return exec.Command("unshare", "--mount", "sh", "-c", `mount -t cgroup2 cgroup2 "$0" && find "$0/$1" -depth -type d -exec rmdir {} +`,
			m.path("cgroup"), filepath.Base(m.folder)).Run() == nil
	})
}

// command is one to run on the machine.
func (m machine) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--target", fmt.Sprint(m.first), "--all", "--root", "--wd"}, args...)...)
}

func (m machine) try(args ...string) error { return m.command(m.Context(), args...).Run() }

// ok runs a command on the machine, which is to succeed, and returns what it prints.
func (m machine) ok(args ...string) string {
	m.Helper()
	out, err := m.command(m.Context(), args...).CombinedOutput()
	if err != nil {
		m.Fatalf("%q: %v\n%s%s", args, err, out, m.state())
	}
	return string(out)
}

// state is what systemd says of the unit, and its last words.
func (m machine) state() []byte {
	out, _ := m.command(m.Context(), "systemctl", "status", "--no-pager", "--full", "--lines", "20", "lbctl").CombinedOutput()
	return out
}

// until waits for a condition.
func (m machine) until(what string, so func() bool) {
	m.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.Fatalf("not within three minutes: %s\n%s", what, m.state())
		}
	}
}

// daemon is a property of the unit.
func (m machine) daemon(property string) string {
	m.Helper()
	return strings.TrimSpace(m.ok("systemctl", "show", "--value", "--property", property, "lbctl"))
}

// TestUnit: under the unit the daemon starts with what it is given and no more, reloads and refuses to, is started again when it is
// killed, and leaves the traffic balanced when it is stopped.
func TestUnit(t *testing.T) {
	m := newMachine(t)
	m.ok("systemd-sysusers")
	m.ok("systemctl", "start", "lbctl")
	if got, want := m.daemon("StatusText"), "revision 1: 2 services, 2 interfaces"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	m.holds("CapEff:\t000000c000001000", "CapBnd:\t000000c000001000", "NoNewPrivs:\t1", "Seccomp:\t2")
	m.until("the checks that the daemon sends have an answer, or none", func() bool {
		all := m.ok("lbctl", "get", "replicas")
		return strings.Count(all, " healthy") == 2 && strings.Count(all, "unhealthy") == 1
	})
	m.reloads()
	m.members()

	before := m.daemon("MainPID")
	m.ok("systemctl", "kill", "--signal", "KILL", "lbctl")
	m.until("it runs again", func() bool {
		return m.daemon("MainPID") != before && m.daemon("SubState") == "running"
	})
	if got := m.ok("lbctl", "get", "interfaces"); strings.Count(got, "attached") != 2 {
		t.Errorf("after it was killed:\n%s", got)
	}
	m.ok("systemctl", "stop", "lbctl")
	if got := m.ok("ip", "link"); strings.Count(got, " xdp ") != 2 {
		t.Errorf("after it was stopped packets are not balanced:\n%s", got)
	}
	m.ok("lbctl", "purge")
	if got := m.ok("ip", "link"); strings.Contains(got, " xdp ") {
		t.Errorf("after purge:\n%s", got)
	}
	for line := range strings.Lines(m.ok("journalctl", "--no-pager", "--unit", "lbctl")) {
		for _, bad := range []string{"level=ERROR", "denied", "not permitted", "read-only"} {
			if strings.Contains(line, bad) && !strings.Contains(line, "everything stays") {
				t.Errorf("the log says: %s", line)
			}
		}
	}
}

// holds compares lines of the daemon's state.
func (m machine) holds(lines ...string) {
	m.Helper()
	text := m.ok("cat", "/proc/"+m.daemon("MainPID")+"/status")
	for _, l := range lines {
		if !strings.Contains(text, l+"\n") {
			m.Errorf("no line %q in\n%s", l, text)
		}
	}
}

// reloads: a file that is wrong is refused before the daemon hears of it, and a right one is taken.
func (m machine) reloads() {
	m.Helper()
	file := fmt.Sprintf("/proc/%d/root/etc/lbctl/lb.yaml", m.first)
	for _, c := range []struct {
		text string
		want bool
	}{
		{"services: [{name: x}]", false},
		{strings.Replace(config, "10.1.0.2", "10.1.0.9", 1), true},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
			m.Fatal(err)
		}
		if err := m.try("systemctl", "reload", "lbctl"); (err == nil) != c.want {
			m.Errorf("reload of %s: %v", c.text, err)
		}
		if got := strings.Contains(m.ok("lbctl", "get", "replicas"), "10.1.0.9"); got != c.want {
			m.Errorf("after reload of %s: new replica %v", c.text, got)
		}
	}
}

// members: the members of the group may ask the daemon, and others may not.
func (m machine) members() {
	m.Helper()
	m.ok("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--groups", "lbctl", "lbctl", "get", "services")
	var exit *exec.ExitError
	err := m.try("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "lbctl", "get", "services")
	if !errors.As(err, &exit) || exit.ExitCode() != 5 {
		m.Errorf("who is no member: %v, want exit 5", err)
	}
}
