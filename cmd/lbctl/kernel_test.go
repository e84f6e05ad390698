package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"lbctl/bpf/need"
)

// TestServeOnTheKernel is a daemon's life on the real datapath, without traffic: started,
// replaced, restarted, purged.
func TestServeOnTheKernel(t *testing.T) {
	need.Root(t)
	w := newWorld(t)
	w.real = true
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-%d", os.Getpid())
	t.Cleanup(func() {
		w.stop()
		if err := (xdp{}).purge(pins); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	file := w.write("web.yaml", strings.Replace(web, "interfaces:\n  - name: eth0\n", "", 1))
	w.serve("-f", file, "--pin-dir", pins)
	before := w.ok("get", "services")

	other := []string{"--socket", w.path("s2"), "--pin-dir", pins}
	for _, args := range [][]string{
		append([]string{"serve", "--state-dir", w.path("state2")}, other...),
		append([]string{"purge"}, other...),
	} {
		code, _, stderr := w.run(args...)
		if code != exitConflict || !strings.Contains(stderr, "a daemon uses it") {
			t.Errorf("%s beside a daemon: exit %d, %s", args[0], code, stderr)
		}
	}
	code, _, stderr := w.run("attach", "lbctl-none")
	if code != exitNotFound || !strings.Contains(stderr, "ip link") {
		t.Errorf("attach of nothing: exit %d, %s", code, stderr)
	}
	if code := w.stop(); code != exitDone {
		t.Errorf("serve: exit %d: %s", code, w.log)
	}

	w.serve("--pin-dir", pins)
	if after := w.ok("get", "services"); after != before || !strings.Contains(w.log.String(), "steps=0") {
		t.Errorf("after a restart\n%s want\n%s log %s", after, before, w.log)
	}
	w.stop()
	limits := "datapath: {limits: {services: 7}}\n"
	code, _, stderr = w.run("serve", "--state-dir", w.path("state"), "--pin-dir", pins, "-f", w.write("limits.yaml", limits+"services: []\n"))
	if code != exitConflict || !strings.Contains(stderr, "lbctl purge") {
		t.Errorf("other limits: exit %d, %s", code, stderr)
	}
	if out := w.ok("purge", "--pin-dir", pins); !strings.Contains(out, "removed "+pins) {
		t.Errorf("purge printed %s", out)
	}
	if _, err := os.Stat(pins); err == nil {
		t.Errorf("%s is left", pins)
	}
}
