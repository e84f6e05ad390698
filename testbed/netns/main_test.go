package netns_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"lbctl/bpf/need"
	"lbctl/testbed/netns"
)

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
