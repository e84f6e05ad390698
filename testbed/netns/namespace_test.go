package netns_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
	"lbctl/testbed/netns"
)

// ownNamespace says which namespace the calling thread is in.
func ownNamespace(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDoEntersAndComesBack(t *testing.T) {
	run := newRun(t)
	a, b := newNamespace(t, run, "a"), newNamespace(t, run, "b")
	home := ownNamespace(t)
	var inA, inB, inAAgain string
	err := a.Do(func() error {
		inA = ownNamespace(t)
		err := b.Do(func() error { inB = ownNamespace(t); return nil })
		inAAgain = ownNamespace(t)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if inA == home || inB == home || inA == inB || inA != inAAgain || ownNamespace(t) != home {
		t.Errorf("home %s, a %s, b %s, a %s, home %s", home, inA, inB, inAAgain, ownNamespace(t))
	}
}

// TestOwn: a process finds the links of the namespace that it is in, and leaves it as it is.
func TestOwn(t *testing.T) {
	need.Root(t)
	own, err := netns.Own()
	if err != nil {
		t.Fatal(err)
	}
	if lo, err := own.Link("lo"); err != nil || lo.Index == 0 {
		t.Errorf("lo is %+v, %v", lo, err)
	}
	if err := own.Close(); err != nil {
		t.Error(err)
	}
}

func TestNamespaceIsNamedEmptyAndRemoved(t *testing.T) {
	run := newRun(t)
	ns := newNamespace(t, run, "named")
	if want := "/run/netns/lbctl-" + run.ID() + "-named"; ns.Path() != want {
		t.Errorf("path %s, want %s", ns.Path(), want)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(ns.Path(), &fs); err != nil || fs.Type != unix.NSFS_MAGIC {
		t.Errorf("statfs of %s: type %#x, %v; want nsfs", ns.Path(), fs.Type, err)
	}
	var links []string
	err := ns.Do(func() error {
		all, err := net.Interfaces()
		for _, l := range all {
			links = append(links, l.Name)
		}
		return err
	})
	if diff := cmp.Diff([]string{"lo"}, links); err != nil || diff != "" {
		t.Errorf("links (-want +got): %v\n%s", err, diff)
	}
	if err := ns.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(ns.Path()); len(left) != 0 {
		t.Errorf("after close: %v", left)
	}
}

func TestMakeRefusesANameTwiceAndKeepsTheFirst(t *testing.T) {
	run := newRun(t)
	first := newNamespace(t, run, "twice")
	if _, err := run.Make("twice"); err == nil {
		t.Error("made the same name twice")
	}
	if _, err := first.Link("lo"); err != nil {
		t.Errorf("the first is gone: %v", err)
	}
	if err := first.Do(func() error { return nil }); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(first.Path()); err != nil {
		t.Error(err)
	}
}

func TestStartRunsInsideAndDiesWithTheNamespace(t *testing.T) {
	run := newRun(t)
	ns := newNamespace(t, run, "child")
	var want string
	if err := ns.Do(func() error { want = ownNamespace(t); return nil }); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	look := exec.CommandContext(t.Context(), "readlink", "/proc/self/ns/net")
	look.Stdout = &out
	if err := ns.Start(look); err != nil {
		t.Fatal(err)
	}
	if err := look.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != want {
		t.Errorf("child in %s, want %s", got, want)
	}

	sleeper := exec.CommandContext(t.Context(), "sleep", "600")
	if err := ns.Start(sleeper); err != nil {
		t.Fatal(err)
	}
	if err := ns.Close(); err != nil {
		t.Fatal(err)
	}
	err := sleeper.Wait()
	if err == nil || sleeper.ProcessState.String() != "signal: killed" {
		t.Errorf("child after close: %v, want killed", sleeper.ProcessState)
	}
}

func TestTwoRunsOfOneProcessDiffer(t *testing.T) {
	a, b := newRun(t), newRun(t)
	if a.ID() == b.ID() {
		t.Fatalf("both runs are %s", a.ID())
	}
	newNamespace(t, a, "same")
	newNamespace(t, b, "same")
	if swept, err := netns.Sweep(); err != nil || len(swept) != 0 {
		t.Errorf("swept the living: %v, %v", swept, err)
	}
}

func TestPinKeepsProcessesOnACore(t *testing.T) {
	run := newRun(t)
	ns := newNamespace(t, run, "pinned")
	if err := ns.Pin(0); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	look := exec.CommandContext(t.Context(), "grep", "Cpus_allowed_list", "/proc/self/status")
	look.Stdout = &out
	if err := ns.Start(look); err != nil {
		t.Fatal(err)
	}
	if err := look.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(out.String()); len(got) != 2 || got[1] != "0" {
		t.Errorf("%q, want core 0", out.String())
	}
}

// child is what the test binary is when it runs itself: a testbed that is killed.
const child = "LBCTL_NETNS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		crashing()
		return
	}
	goleak.VerifyTestMain(m)
}

// crashing makes a run with one namespace and one process in it, says their names and waits to be killed.
func crashing() {
	run, err := netns.NewRun()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	ns, err := run.Make("crash")
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	sleeper := exec.Command("sleep", "600")
	if err := ns.Start(sleeper); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(ns.Name(), sleeper.Process.Pid)
	select {}
}

// newRun makes a run that ends with the test.
func newRun(t *testing.T) *netns.Run {
	t.Helper()
	need.Root(t)
	run, err := netns.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Close(); err != nil {
			t.Error(err)
		}
	})
	return run
}

// newNamespace makes a namespace in a run.
func newNamespace(t *testing.T, run *netns.Run, name string) *netns.Namespace {
	t.Helper()
	ns, err := run.Make(name)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}
