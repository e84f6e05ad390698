package vm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"lbctl/bpf/need"
	"lbctl/testbed/netns"
	"lbctl/testbed/vm/guest"
)

// In a guest of TestKernels the test's program is the first process.
func TestMain(m *testing.M) {
	if os.Getenv("LBCTL_GUEST") != "" && os.Getpid() == 1 {
		panic(guest.RunCommands())
	}
	goleak.VerifyTestMain(m)
}

// start boots a program as a guest, and says how that ended.
func start(ctx context.Context, t *testing.T, program string, step func(string)) error {
	t.Helper()
	need.Root(t)
	c := config(t)
	run, err := netns.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	c.Cache, c.Install, c.Program, c.Step = "", true, program, step
	if c.Namespace, err = run.Make("vm"); err != nil {
		t.Fatal(err)
	}
	m, err := Start(ctx, c)
	if errors.Is(err, ErrMissing) {
		need.QEMU(t, err)
	}
	if m != nil {
		t.Error("a program that is no guest is up")
		_ = m.Close()
	}
	return err
}

// left returns the processes that machines of this process left behind.
func left(t *testing.T) string {
	t.Helper()
	children, err := os.ReadFile("/proc/thread-self/children")
	if err != nil {
		t.Fatal(err)
	}
	return string(children)
}

// A guest whose only process ends is an error that quotes the last words of its kernel.
func TestGuestThatEnds(t *testing.T) {
	program, err := exec.LookPath("true")
	if err != nil {
		t.Skip("needs a program that ends, true")
	}
	err = start(t.Context(), t, program, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "Attempted to kill init") {
		t.Errorf("boot %s: %v, want the kernel's panic", program, err)
	}
	if l := left(t); l != "" {
		t.Errorf("left: %s", l)
	}
}

// A boot that is given up leaves nothing.
func TestBootGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := start(ctx, t, "/bin/true", func(what string) {
		if strings.HasPrefix(what, "boot") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("boot: %v, want canceled", err)
	}
	if l := left(t); l != "" {
		t.Errorf("left: %s", l)
	}
}

func TestStartWithoutAProgram(t *testing.T) {
	err := start(t.Context(), t, filepath.Join(t.TempDir(), "gone"), func(string) {})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("boot without a program: %v, want that it does not exist", err)
	}
}

// The console is bounded, and its end is what is quoted.
func TestConsoleKeepsTheEnd(t *testing.T) {
	c := &console{}
	for range 1000 {
		if _, err := c.Write([]byte(strings.Repeat("x", 99) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = c.Write([]byte("last words\n"))
	if got := string(c.tail()); !strings.HasSuffix(got, "last words") || len(got) > 2000 || len(c.said) > 1<<15 {
		t.Errorf("tail of %d bytes, %d kept: %.40q...", len(got), len(c.said), got)
	}
}

// Of a panic the cause is quoted, and what the guest said before it.
func TestConsoleQuotesAPanic(t *testing.T) {
	c := &console{}
	_, _ = c.Write([]byte("lbctl: no port\n[1.0] Kernel panic - not syncing: init died\n" + strings.Repeat("RAX: 0\n", 999)))
	if got, want := string(c.tail()), "lbctl: no port\n[1.0] Kernel panic - not syncing: init died"; got != want {
		t.Errorf("tail %.200q, want %q", got, want)
	}
}
