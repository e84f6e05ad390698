package balance

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb"
	"lbctl/lb/testns"
)

func TestServeTakesTheStoredIntent(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	before := w.OK("get", "services")
	w.OK("attach", "eth1")
	if code := w.Stop(); code != cli.ExitDone {
		t.Errorf("exit %d: %s", code, w.Log)
	}
	if services, err := w.Memory.Services(); err != nil || len(services) != 2 {
		t.Errorf("after the daemon ended %d services are forwarded, %v", len(services), err)
	}
	w.Serve()
	if after := w.OK("get", "services"); after != before {
		t.Errorf("before\n%s after\n%s", before, after)
	}
	if interfaces := w.OK("get", "interfaces"); !strings.Contains(interfaces, "eth1") {
		t.Errorf("eth1 is lost:\n%s", interfaces)
	}
	if !strings.Contains(w.Log.String(), "steps=0") {
		t.Errorf("the restart changed something: %s", w.Log)
	}
}

func TestServeWithAFileThatIsRefused(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	before := w.OK("get", "services")
	w.Stop()
	code, _, stderr := w.Run("serve", "--state-dir", w.Path("state"), "-f",
		w.Write("bad.yaml", strings.Replace(clitest.WebConfig, "192.0.2.1:80", "192.0.2.1:0", 1)))
	if code != cli.ExitUsage {
		t.Errorf("exit %d: %s", code, stderr)
	}
	w.Serve()
	if after := w.OK("get", "services"); after != before {
		t.Errorf("before\n%s after\n%s", before, after)
	}
}

// TestServeOnTheKernel is a daemon's life on the real datapath, without traffic: started,
// replaced, restarted, purged.
func TestServeOnTheKernel(t *testing.T) {
	need.Root(t)
	w := newWorld(t)
	w.Kernel = XDP{}
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-%d", os.Getpid())
	t.Cleanup(func() {
		w.Stop()
		purge(t, pins)
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
		if code != cli.ExitConflict || !strings.Contains(stderr, "a daemon uses it") || !strings.Contains(stderr, "stop that daemon") {
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
	otherLimits(t, w, pins, file, before)
	if out := w.OK("purge", "--pin-dir", pins); !strings.Contains(out, "removed "+pins) {
		t.Errorf("purge printed %s", out)
	}
	if _, err := os.Stat(pins); err == nil {
		t.Errorf("%s is left", pins)
	}
	if code, _, stderr := w.Run("purge", "--pin-dir", pins); code != cli.ExitNotFound || !strings.Contains(stderr, pins) {
		t.Errorf("purge again: exit %d, %s", code, stderr)
	}
	must(t, os.Mkdir(pins, 0o700))
	defer os.Remove(pins)
	if code, _, stderr := w.Run("purge", "--pin-dir", pins); code != cli.ExitConflict || !strings.Contains(stderr, "no pin directory of ours") {
		t.Errorf("purge of another program's directory: exit %d, %s", code, stderr)
	}
}

// otherLimits has the daemon start with other limits than those of what is pinned, and without its state directory.
func otherLimits(t *testing.T, w *clitest.World, pins, file, before string) {
	t.Helper()
	config, err := os.ReadFile(file)
	must(t, err)
	code, _, stderr := w.Run("serve", "--state-dir", w.Path("state"), "--pin-dir", pins, "-f", w.Write("fewer.yaml", "datapath: {limits: {services: 1}}\nservices: []\n"))
	if code != cli.ExitConflict || !strings.Contains(stderr, "2 are in use") || !strings.Contains(stderr, "raise it to 2") {
		t.Errorf("fewer services than there are: exit %d, %s", code, stderr)
	}
	w.Serve("-f", w.Write("limits.yaml", "datapath: {limits: {services: 7}}\n"+string(config)), "--pin-dir", pins)
	if after := w.OK("get", "services"); after != before || !strings.Contains(w.Log.String(), "steps=0") {
		t.Errorf("with other limits\n%s want\n%s log %s", after, before, w.Log)
	}
	w.Stop()
	must(t, os.RemoveAll(w.Path("state")))
	w.Serve("--pin-dir", pins)
	if kept := w.OK("get", "config"); !strings.Contains(kept, "services: 7") || !strings.Contains(w.Log.String(), "limits=\"{Services:7 ") {
		t.Errorf("without the state directory: %s log %s", kept, w.Log)
	}
	w.Stop()
}

// TestSignals runs the daemon as a process of its own: SIGTERM and SIGINT end it with 0; after
// SIGKILL, which leaves socket and pins behind, the next one takes over.
func TestSignals(t *testing.T) {
	need.Root(t)
	w := newWorld(t)
	w.Kernel = XDP{}
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-signals-%d", os.Getpid())
	t.Cleanup(func() { purge(t, pins) })
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

// purge removes what a daemon pinned, if it is there.
func purge(t *testing.T, pins string) {
	t.Helper()
	if _, err := (XDP{}).Purge(pins); err != nil && !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("purge: %v", err)
	}
}

func TestMain(m *testing.M) { clitest.Main(m, XDP{}, Commands) }

func newWorld(t *testing.T) *clitest.World {
	t.Helper()
	return clitest.New(t, Commands)
}

// On an old kernel nothing is made, neither state nor socket nor pins.
func TestServeOnAnOldKernel(t *testing.T) {
	w := newWorld(t)
	done := make(chan int)
	var stderr strings.Builder
	go func() {
		testns.OldKernel(t)
		env := w.Environment(t.Context(), "serve", "--state-dir", w.Path("state"), "--pin-dir", "/sys/fs/bpf/lbctl-test-old")
		env.Kernel, env.Stderr = XDP{}, &stderr
		done <- w.RunIn(env)
	}()
	code := <-done
	if want := "6.1 or later is needed"; code != cli.ExitFailed || !strings.Contains(stderr.String(), want) || !strings.Contains(stderr.String(), "Linux 2.6.") {
		t.Errorf("exit %d, want %d and %q: %s", code, cli.ExitFailed, want, &stderr)
	}
	for _, path := range []string{w.Path("state"), w.Path("s"), "/sys/fs/bpf/lbctl-test-old"} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want none", path, err)
		}
	}
}

// TestServiceManager: a service manager hears when the daemon is ready, of each reload from its beginning to its end, that it lives,
// and that it ends.
func TestServiceManager(t *testing.T) {
	w := newWorld(t)
	heard, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.Path("notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	t.Setenv("NOTIFY_SOCKET", w.Path("notify"))
	t.Setenv("WATCHDOG_USEC", "200000")
	hears := func(what ...string) {
		t.Helper()
		for _, part := range what {
			buffer := make([]byte, 4096)
			for text := ""; !strings.Contains(text, part); {
				if err := heard.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				n, err := heard.Read(buffer)
				if err != nil {
					t.Fatalf("wait for %s: %v", part, err)
				}
				text = string(buffer[:n])
			}
		}
	}
	w.Serve("-f", w.Write("lb.yaml", clitest.WebConfig))
	hears("READY=1\nSTATUS=revision 1: 2 services, 1 interface", "WATCHDOG=1", "WATCHDOG=1")
	w.Write("lb.yaml", "services: []\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	hears("RELOADING=1\nMONOTONIC_USEC=", "READY=1\nSTATUS=revision 2: 0 services")
	w.Stop()
	hears("STOPPING=1")
}
