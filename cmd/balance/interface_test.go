package balance

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

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

// comesAndGoes is a daemon on the real datapath that is to attach an interface which is not there yet.
type comesAndGoes struct {
	*testing.T
	w    *clitest.World
	pins string
}

func newComesAndGoes(t *testing.T) comesAndGoes {
	t.Helper()
	need.Root(t)
	testns.Enter(t)
	c := comesAndGoes{t, newWorld(t), fmt.Sprintf("/sys/fs/bpf/lbctl-test-late-%d", os.Getpid())}
	t.Cleanup(func() { purge(t, c.pins) })
	file := c.w.Write("late.yaml", strings.Replace(clitest.WebConfig, "eth0", "late", 1))
	d := c.w.Process("serve", "--state-dir", c.w.Path("state"), "--pin-dir", c.pins, "-f", file)
	t.Cleanup(func() {
		must(t, d.Process.Signal(syscall.SIGTERM))
		d.Wait()
	})
	c.becomes(`"state": "missing"`)
	return c
}

// becomes waits until the interfaces are listed so. The daemon is ready when none is missing.
func (c comesAndGoes) becomes(want string) {
	c.Helper()
	var got string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if got = c.w.OK("get", "interfaces", "-o", "json"); strings.Contains(got, want) {
			return
		}
	}
	c.Errorf("not %s in 20 s:\n%s", want, got)
}

// On the real datapath: an interface that comes after the start is attached, and so is one that comes back with
// another index, and by way of another name.
func TestAnInterfaceThatComesAndGoes(t *testing.T) {
	c := newComesAndGoes(t)
	l := testns.Veth(t, "late")
	c.becomes(`"state": "attached"`)
	must(t, netlink.LinkDel(l))
	c.becomes(`"state": "missing"`)
	l = testns.Veth(t, "early")
	must(t, netlink.LinkSetDown(l), netlink.LinkSetName(l, "late"))
	c.becomes(fmt.Sprintf(`"ifindex": %d`, l.Attrs().Index))
	must(t, netlink.LinkSetName(l, "other"))
	c.becomes(`"state": "missing"`)
	next := testns.Veth(t, "late")
	c.becomes(fmt.Sprintf(`"ifindex": %d`, next.Attrs().Index))
	name, _ := testns.Attached(t, "other")
	for deadline := time.Now().Add(20 * time.Second); name != "" && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		name, _ = testns.Attached(t, "other") // it is detached after the next one is attached
	}
	if name != "" {
		t.Errorf("the interface with another name keeps the program %s", name)
	}
}

// ... and so is one that is moved to another network namespace and back, whose peer's namespace ends, and from which
// somebody detaches the link.
func TestAnInterfaceThatIsTaken(t *testing.T) {
	c := newComesAndGoes(t)
	here, err := netns.Get()
	must(t, err)
	defer here.Close()
	there, err := netns.New()
	must(t, err, netns.Set(here))
	away, err := netlink.NewHandleAt(there)
	must(t, err)
	l := testns.Veth(t, "late")
	c.becomes(`"state": "attached"`)
	must(t, netlink.LinkSetNsFd(l, int(there)))
	c.becomes(`"state": "missing"`)
	must(t, away.LinkSetNsFd(l, int(here)))
	c.becomes(`"state": "attached"`)

	pin, err := link.LoadPinnedLink(fmt.Sprintf("%s/link_%d", c.pins, l.Attrs().Index), nil)
	must(t, err)
	defer pin.Close()
	_, program := testns.Attached(t, "late")
	must(t, pin.Detach())
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, is := testns.Attached(t, "late"); is == program {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not attached again")
		}
	}
	peer, err := netlink.LinkByName("late-peer")
	must(t, err, netlink.LinkSetNsFd(peer, int(there)))
	away.Close()
	must(t, there.Close()) // the last reference to the namespace
	c.becomes(`"state": "missing"`)
}
