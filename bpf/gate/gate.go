// Package gate is the one gate of the tests that need privilege. A skip is
// earned: where LBCTL_MUST names what is missing, the gate fails instead of skipping.
package gate

import (
	"os"
	"strings"
	"testing"
)

// Root lets the test go on as root and otherwise skips it, or fails it if the
// environment variable LBCTL_MUST contains "root".
func Root(tb testing.TB) {
	tb.Helper()
	need(tb, "root", os.Geteuid() == 0, "needs root (BPF and network namespaces)")
}

func need(tb testing.TB, what string, have bool, why string) {
	tb.Helper()
	if have {
		return
	}
	if strings.Contains(os.Getenv("LBCTL_MUST"), what) {
		tb.Fatalf("LBCTL_MUST=%s, but this test %s", os.Getenv("LBCTL_MUST"), why)
	}
	tb.Skip(why)
}
