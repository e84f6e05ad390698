package netns_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// startCrashing starts a testbed in another process, which has one namespace.
func startCrashing(t *testing.T) (cmd *exec.Cmd, namespace string, sleeper int) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &namespace, &sleeper); err != nil {
		t.Fatalf("child said %q", line)
	}
	return cmd, namespace, sleeper
}

func TestSweepRemovesWhatAKilledRunLeft(t *testing.T) {
	run := newRun(t)
	mine := newNamespace(t, run, "mine")
	cmd, name, pid := startCrashing(t)
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(process)

	swept, err := netns.Sweep()
	if err != nil || len(swept) != 0 {
		t.Fatalf("sweep while both runs live: %v, %v; want nothing", swept, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	awaitExit(t, process)

	swept, err = netns.Sweep()
	if err != nil || !slices.Equal(swept, []string{name}) {
		t.Fatalf("sweep after the kill: %v, %v; want %s", swept, err, name)
	}
	if _, err := os.Stat("/run/netns/" + name); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", name, err)
	}
	if _, err := mine.Link("lo"); err != nil {
		t.Errorf("the living run's namespace is gone: %v", err)
	}
	if again, err := netns.Sweep(); err != nil || len(again) != 0 {
		t.Errorf("second sweep: %v, %v; want nothing", again, err)
	}
	id := strings.Split(name, "-")[1]
	if _, err := os.Stat("/run/lbctl-testbed/" + id + ".lock"); !os.IsNotExist(err) {
		t.Errorf("the dead run's lock is still there: %v", err)
	}
}

// awaitExit waits until a process that is not our child has ended, or fails after ten seconds.
func awaitExit(t *testing.T, pidfd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 10_000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 {
			t.Fatalf("a process of the killed run lives on: %v", err)
		}
		return
	}
}

func TestSweepLeavesOthersNamesAlone(t *testing.T) {
	newRun(t)
	const other = "/run/netns/lbctl-mine-keep"
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(other) })
	if _, err := netns.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("swept %s, which no run made", other)
	}
}
