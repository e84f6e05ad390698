package balance

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb/testns"
)

// An interface that is not there yet, as after a reboot, blocks neither the start nor a change, and shows.
func TestServeWithAnInterfaceThatIsMissing(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("late.yaml", strings.Replace(clitest.WebConfig, "eth0", "eth9", 1)))
	for _, want := range []string{"eth9", "missing", "interface not found"} {
		if got := w.OK("get", "interfaces"); !strings.Contains(got, want) {
			t.Errorf("interfaces lack %q:\n%s", want, got)
		}
	}
	w.OK("replica", "set", "web", "10.0.0.1:8080", "--state", "down")
	w.OK("attach", "eth1")
	if code, _, stderr := w.Run("attach", "eth9"); code != cli.ExitNotFound {
		t.Errorf("attach of what is missing: exit %d: %s", code, stderr)
	}
	if !strings.Contains(w.Log.String(), "interface is wanted and not attached") {
		t.Errorf("the log does not say it: %s", w.Log)
	}
}

// On the real datapath: an interface that comes after the start is attached, and so is one that comes back with
// another index, and by way of another name.
func TestAnInterfaceThatComesAndGoes(t *testing.T) {
	need.Root(t)
	testns.Enter(t)
	w := newWorld(t)
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-late-%d", os.Getpid())
	t.Cleanup(func() { purge(t, pins) })
	file := w.Write("late.yaml", strings.Replace(clitest.WebConfig, "eth0", "late", 1))
	d := w.Process("serve", "--state-dir", w.Path("state"), "--pin-dir", pins, "-f", file)
	becomes := func(want string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if got = w.OK("get", "interfaces", "-o", "json"); strings.Contains(got, want) {
				return
			}
		}
		t.Errorf("not %s in 20 s:\n%s", want, got)
	}
	becomes(`"state": "missing"`)
	l := testns.Veth(t, "late")
	becomes(`"state": "attached"`)
	if err := netlink.LinkDel(l); err != nil {
		t.Fatal(err)
	}
	becomes(`"state": "missing"`)
	l = testns.Veth(t, "early")
	if err := netlink.LinkSetDown(l); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetName(l, "late"); err != nil {
		t.Fatal(err)
	}
	becomes(fmt.Sprintf(`"ifindex": %d`, l.Attrs().Index))
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.Wait()
}
