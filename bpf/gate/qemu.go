package gate

import (
	"fmt"
	"testing"
)

// QEMU lets a test go on that needs a virtual machine, and is told why there is none:
// nil if there is one. Otherwise it skips the test, or fails it if LBCTL_MUST contains "qemu".
func QEMU(tb testing.TB, missing error) {
	tb.Helper()
	need(tb, "qemu", missing == nil, fmt.Sprintf("needs QEMU and a kernel for a guest: %v", missing))
}
