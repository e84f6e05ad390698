// Package need says what a test needs: privilege, a virtual machine, or other programs. Without it
// the test is skipped, or fails where the environment variable LBCTL_MUST names the
// need, so that continuous integration cannot skip it unnoticed.
package need

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Root needs the test to run as root. Its name in LBCTL_MUST is "root".
func Root(tb testing.TB) {
	tb.Helper()
	check(tb, "root", os.Geteuid() == 0, "needs root (BPF and network namespaces)")
}

// QEMU needs a virtual machine; missing says why there is none, nil if there is one. Its
// name in LBCTL_MUST is "qemu".
func QEMU(tb testing.TB, missing error) {
	tb.Helper()
	check(tb, "qemu", missing == nil, fmt.Sprintf("needs QEMU and a kernel for a guest: %v", missing))
}

// Programs needs programs to be found in the PATH. Its name in LBCTL_MUST is "programs".
func Programs(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		_, err := exec.LookPath(name)
		check(tb, "programs", err == nil, "needs the program "+name)
	}
}

// check fails or skips the test if it has not what it needs.
func check(tb testing.TB, what string, have bool, why string) {
	tb.Helper()
	if have {
		return
	}
	if strings.Contains(os.Getenv("LBCTL_MUST"), what) {
		tb.Fatalf("LBCTL_MUST=%s, but this test %s", os.Getenv("LBCTL_MUST"), why)
	}
	tb.Skip(why)
}
