package clitest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"lbctl/cmd/cli"
)

// AsLbctl is the environment variable that makes a test program behave as lbctl.
const AsLbctl = "LBCTL_TEST_AS_LBCTL"

// Main runs the tests of a package. In a process that Process started it runs lbctl instead, with the commands of the
// package and a kernel.
func Main(m *testing.M, k cli.Kernel, commands Commands) {
	if os.Getenv(AsLbctl) != "" {
		os.Exit(cli.Run(cli.System(k), commands))
	}
	goleak.VerifyTestMain(m)
}

// Process starts a daemon as a process and returns when it is ready.
func (w *World) Process(args ...string) *exec.Cmd { return w.ProcessBy((*exec.Cmd).Start, args...) }

// ProcessBy is Process with a function that starts the process, for instance in another network namespace.
func (w *World) ProcessBy(start func(*exec.Cmd) error, args ...string) *exec.Cmd {
	w.T.Helper()
	c := exec.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), AsLbctl+"=1", "LBCTL_SOCKET="+w.Path("s"))
	stderr, err := c.StderrPipe()
	if err != nil {
		w.T.Fatal(err)
	}
	if err := start(c); err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { c.Process.Kill() })
	var text strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "msg=ready") {
			go io.Copy(io.Discard, stderr) // or the daemon waits, with its pipe full, until somebody reads what it logs
			return c
		}
	}
	c.Wait()
	w.T.Fatalf("not ready: %s", &text)
	return nil
}
