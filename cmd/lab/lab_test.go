package lab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lbctl/bpf/load"
	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// buildProgram builds the program: experiments start it anew, so a test binary will not do.
func buildProgram(t *testing.T) string {
	t.Helper()
	need.Root(t)
	program := filepath.Join(t.TempDir(), "lbctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lbctl/cmd/lbctl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// small is a demo of some seconds.
func small(out string) []string {
	return []string{"demo", "--out", out, "--set", "connections=400", "--set", "requests=1600"}
}

// left returns what a run of this process number left behind.
func left(t *testing.T, pid int) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"/run/netns/lbctl-", "/run/lbctl-lab/", "/sys/fs/bpf/lbctl-lab-"} {
		found, err := filepath.Glob(pattern + strconv.Itoa(pid) + "*")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// begin starts the program and waits until it says that a part of its work begins.
func begin(t *testing.T, part, program string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), part) {
			return c
		}
	}
	t.Fatalf("it ended early: %v", c.Wait())
	return nil
}

// exitCode waits for the end.
func exitCode(t *testing.T, c *exec.Cmd) int {
	t.Helper()
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

// TestInterrupted: after Ctrl-C the exit code is 130, and nothing is left, of a process of an experiment neither.
func TestInterrupted(t *testing.T) {
	program := buildProgram(t)
	for _, tt := range []struct {
		part string
		args []string
	}{
		{"clients send requests", small(t.TempDir())},
		{"receive", []string{"lab", "run", "rings", "--out", t.TempDir()}},
	} {
		c := begin(t, tt.part, program, tt.args...)
		processes := append(children(t, c.Process.Pid), c.Process.Pid)
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(t, c); code != cli.ExitInterrupted {
			t.Errorf("%s: exit code %d, want %d", tt.args, code, cli.ExitInterrupted)
		}
		for _, pid := range processes {
			if all := left(t, pid); len(all) != 0 {
				t.Errorf("%s: left behind: %v", tt.args, all)
			}
		}
	}
}

// TestDemoAfterACrash: the next demo removes what a killed one left, and runs.
func TestDemoAfterACrash(t *testing.T) {
	program := buildProgram(t)
	c := begin(t, "clients send requests", program, small(t.TempDir())...)
	if err := c.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exitCode(t, c)
	if len(left(t, c.Process.Pid)) == 0 {
		t.Error("the killed demo left nothing: this test tests nothing")
	}
	if out, err := exec.CommandContext(t.Context(), program, small(t.TempDir())...).CombinedOutput(); err != nil {
		t.Errorf("the demo after it: %v\n%s", err, out)
	}
	if all := left(t, c.Process.Pid); len(all) != 0 {
		t.Errorf("still there: %v", all)
	}
}

func TestMain(m *testing.M) { clitest.Main(m, nil, Commands) }

func newWorld(t *testing.T) *clitest.World {
	t.Helper()
	return clitest.New(t, Commands)
}

// An error that says itself what to do keeps that hint.
func TestAdviceIsKept(t *testing.T) {
	for name, advise := range map[string]func(error) error{"lab": func(err error) error { return adviseLab(err, "spread") }, "observer": cli.AdviseObserver} {
		err := advise(fmt.Errorf("begin: %w", &load.OldKernelError{Release: "5.15.0-91-generic"}))
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "boot Linux 6.1") || !strings.Contains(err.Error(), "5.15.0-91-generic") {
			t.Errorf("%s: %v, want the kernel named, and what to boot", name, err)
		}
	}
}

// TestBadParameter: who types a wrong parameter is told what is wrong, and where the right ones of that experiment are.
func TestBadParameter(t *testing.T) {
	for line, want := range map[string]string{
		"lab run handshake --set pase=1s":  `lbctl: bad parameter "pase": unknown: want one of pause`,
		"lab run handshake --set pause=ms": "lbctl: bad parameter pause=ms: no time: want for instance 50ms (how long to wait after each system call)",
		"lab run all --set pause=1s":       `lbctl: interrupts: bad parameter "pause": unknown: want one of rounds, packets, window, work, install`,
	} {
		hint := "  see lbctl lab describe handshake\n"
		if strings.Contains(line, " all ") {
			hint = "  see lbctl lab describe interrupts\n"
		}
		code, stdout, stderr := newWorld(t).Run(strings.Fields(line)...)
		if code != cli.ExitUsage || stdout != "" || stderr != want+"\n"+hint {
			t.Errorf("%s: exit %d, stdout %q, stderr\n%swant %d,\n%s\n%s", line, code, stdout, stderr, cli.ExitUsage, want, hint)
		}
	}
}
