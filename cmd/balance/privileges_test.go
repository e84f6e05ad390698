package balance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb/testns"
)

// nobody is the user without privileges.
const nobody = 65534

// TestSocketWithoutPermission and TestServeWithoutRoot need to be somebody whom permissions
// stop; for root, TestAsNobody runs them.
func TestSocketWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may do everything: see TestAsNobody")
	}
	w := newWorld(t)
	w.Serve()
	if err := os.Chmod(w.Path("s"), 0); err != nil {
		t.Fatal(err)
	}
	want := "lbctl: connect to DIR/s: denied\n  run it as root, or as a member of the group that owns the file\n"
	if code, _, stderr := w.Run("get", "services"); code != cli.ExitDenied || stderr != want {
		t.Errorf("exit %d, stderr\n%s want %d,\n%s", code, stderr, cli.ExitDenied, want)
	}
}

func TestServeWithoutRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may do everything: see TestAsNobody")
	}
	w := newWorld(t)
	if err := os.Mkdir(w.Path("locked"), 0); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"the kernel":   {"serve", "--state-dir", w.Path("state"), "--pin-dir", "/sys/fs/bpf/lbctl-test-nobody"},
		"the state":    {"serve", "--state-dir", w.Path("locked/state")},
		"the defaults": {"serve"},
	} {
		var stderr strings.Builder
		env := w.Environment(t.Context(), args...)
		env.Kernel, env.Stderr = XDP{}, &stderr
		code := w.RunIn(env)
		const hint = "\n  run lbctl serve as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN and directories of its own\n"
		if code != cli.ExitDenied || !strings.HasSuffix(stderr.String(), hint) {
			t.Errorf("%s: exit %d, want %d: %s", name, code, cli.ExitDenied, &stderr)
		}
	}
}

// TestAsNobody runs this test program as another user: a process cannot go there and back.
func TestAsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user; that user's tests ran already")
	}
	program := filepath.Join(nobodyDir(t), "test")
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "-test.v", "-test.run=^(TestSocketWithoutPermission|TestServeWithoutRoot)$")
	c.Dir = filepath.Dir(program)
	c.Env = []string{"TMPDIR=" + c.Dir, "HOME=" + c.Dir}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := c.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 2 {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

// nobodyDir is a directory that nobody may use.
func nobodyDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lbctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDropPrivileges: no thread of a daemon that gave up its privileges has others than it needs, nor may gain any; it attaches and
// changes services as before, and its process stays the one that was started.
func TestDropPrivileges(t *testing.T) {
	need.Root(t)
	testns.Enter(t)
	w := newWorld(t)
	testns.Veth(t, "eth0", "198.51.100.254/24")
	testns.Veth(t, "eth1", "10.0.0.254/24")
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-few-%d", os.Getpid())
	t.Cleanup(func() { purge(t, pins) })
	d := w.Process("serve", "--drop-privileges", "--state-dir", w.Path("state"), "--pin-dir", pins, "-f", w.Write("web.yaml", clitest.WebConfig))
	t.Cleanup(func() {
		must(t, d.Process.Signal(syscall.SIGTERM))
		d.Wait()
	})
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.Process.Pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("threads %q, %v: want several", threads, err)
	}
	few := fmt.Sprintf("%016x", 1<<unix.CAP_BPF|1<<unix.CAP_PERFMON|1<<unix.CAP_NET_ADMIN)
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		must(t, err)
		for _, want := range []string{"CapInh:\t0000000000000000", "CapPrm:\t" + few, "CapEff:\t" + few, "CapBnd:\t" + few, "NoNewPrivs:\t1"} {
			if !strings.Contains(string(text), want+"\n") {
				t.Errorf("%s lacks %q:\n%s", thread, want, text)
			}
		}
	}
	w.OK("attach", "eth1")
	w.OK("drain", "web", "10.0.0.1:8080")
	if got := w.OK("get", "interfaces"); strings.Count(got, "attached") != 2 {
		t.Errorf("interfaces:\n%s", got)
	}
}
