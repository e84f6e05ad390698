package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"lbctl/bpf/need"
)

// TestSignals runs the daemon as a process of its own: SIGTERM and SIGINT end it with 0; after
// SIGKILL, which leaves socket and pins behind, the next one takes over.
func TestSignals(t *testing.T) {
	need.Root(t)
	w := newWorld(t)
	w.real = true
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-signals-%d", os.Getpid())
	t.Cleanup(func() {
		if err := (xdp{}).purge(pins); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	file := w.write("web.yaml", strings.Replace(web, "interfaces:\n  - name: eth0\n", "", 1))
	first := []string{"serve", "--state-dir", w.path("state"), "--pin-dir", pins, "-f", file}
	again := first[:len(first)-2]
	for _, c := range []struct {
		args   []string
		signal syscall.Signal
		want   int
	}{
		{first, syscall.SIGTERM, 0},
		{again, syscall.SIGINT, 0},
		{again, syscall.SIGKILL, -1},
		{again, syscall.SIGTERM, 0},
	} {
		d := w.process(c.args...)
		if services := w.ok("get", "services"); !strings.Contains(services, "web") {
			t.Errorf("services: %s", services)
		}
		if err := d.Process.Signal(c.signal); err != nil {
			t.Fatal(err)
		}
		d.Wait()
		if got := d.ProcessState.ExitCode(); got != c.want {
			t.Errorf("exit %d after %v, want %d", got, c.signal, c.want)
		}
		_, err := os.Stat(w.path("s"))
		if left := err == nil; left != (c.signal == syscall.SIGKILL) {
			t.Errorf("after %v the socket is left: %v", c.signal, left)
		}
	}
}

// process starts a daemon as a process and returns when it is ready.
func (w *world) process(args ...string) *exec.Cmd { return w.processBy((*exec.Cmd).Start, args...) }

// processBy is process with what starts it.
func (w *world) processBy(start func(*exec.Cmd) error, args ...string) *exec.Cmd {
	w.t.Helper()
	c := exec.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), asLbctl+"=1", "LBCTL_SOCKET="+w.path("s"))
	stderr, err := c.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := start(c); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Process.Kill() })
	var text strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "msg=ready") {
			return c
		}
	}
	c.Wait()
	w.t.Fatalf("not ready: %s", &text)
	return nil
}
