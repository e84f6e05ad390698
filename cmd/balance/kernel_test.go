package balance

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// TestServeOnTheKernel is a daemon's life on the real datapath, without traffic: started,
// replaced, restarted, purged.
func TestServeOnTheKernel(t *testing.T) {
	need.Root(t)
	w := newWorld(t)
	w.Kernel = XDP{}
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-%d", os.Getpid())
	t.Cleanup(func() {
		w.Stop()
		if err := (XDP{}).Purge(pins); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	file := w.Write("web.yaml", strings.Replace(clitest.WebConfig, "interfaces:\n  - name: eth0\n", "", 1))
	w.Serve("-f", file, "--pin-dir", pins)
	before := w.OK("get", "services")

	other := []string{"--socket", w.Path("s2"), "--pin-dir", pins}
	for _, args := range [][]string{
		append([]string{"serve", "--state-dir", w.Path("state2")}, other...),
		append([]string{"purge"}, other...),
	} {
		code, _, stderr := w.Run(args...)
		if code != cli.ExitConflict || !strings.Contains(stderr, "a daemon uses it") {
			t.Errorf("%s beside a daemon: exit %d, %s", args[0], code, stderr)
		}
	}
	code, _, stderr := w.Run("attach", "lbctl-none")
	if code != cli.ExitNotFound || !strings.Contains(stderr, "ip link") {
		t.Errorf("attach of nothing: exit %d, %s", code, stderr)
	}
	if code := w.Stop(); code != cli.ExitDone {
		t.Errorf("serve: exit %d: %s", code, w.Log)
	}

	w.Serve("--pin-dir", pins)
	if after := w.OK("get", "services"); after != before || !strings.Contains(w.Log.String(), "steps=0") {
		t.Errorf("after a restart\n%s want\n%s log %s", after, before, w.Log)
	}
	w.Stop()
	limits := "datapath: {limits: {services: 7}}\n"
	code, _, stderr = w.Run("serve", "--state-dir", w.Path("state"), "--pin-dir", pins, "-f", w.Write("limits.yaml", limits+"services: []\n"))
	if code != cli.ExitConflict || !strings.Contains(stderr, "lbctl purge") {
		t.Errorf("other limits: exit %d, %s", code, stderr)
	}
	if out := w.OK("purge", "--pin-dir", pins); !strings.Contains(out, "removed "+pins) {
		t.Errorf("purge printed %s", out)
	}
	if _, err := os.Stat(pins); err == nil {
		t.Errorf("%s is left", pins)
	}
}
