package balance

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"lbctl/bpf/need"
	"lbctl/cmd/cli/clitest"
)

// TestSignals runs the daemon as a process of its own: SIGTERM and SIGINT end it with 0; after
// SIGKILL, which leaves socket and pins behind, the next one takes over.
func TestSignals(t *testing.T) {
	need.Root(t)
	w := newWorld(t)
	w.Kernel = XDP{}
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-signals-%d", os.Getpid())
	t.Cleanup(func() {
		if err := (XDP{}).Purge(pins); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	file := w.Write("web.yaml", strings.Replace(clitest.WebConfig, "interfaces:\n  - name: eth0\n", "", 1))
	first := []string{"serve", "--state-dir", w.Path("state"), "--pin-dir", pins, "-f", file}
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
		d := w.Process(c.args...)
		if services := w.OK("get", "services"); !strings.Contains(services, "web") {
			t.Errorf("services: %s", services)
		}
		if err := d.Process.Signal(c.signal); err != nil {
			t.Fatal(err)
		}
		d.Wait()
		if got := d.ProcessState.ExitCode(); got != c.want {
			t.Errorf("exit %d after %v, want %d", got, c.signal, c.want)
		}
		_, err := os.Stat(w.Path("s"))
		if left := err == nil; left != (c.signal == syscall.SIGKILL) {
			t.Errorf("after %v the socket is left: %v", c.signal, left)
		}
	}
}
