package measure

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOnOneCore: for as long as f runs the thread may be on one core, and afterwards where it might before.
func TestOnOneCore(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cores := func() (set unix.CPUSet) {
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			t.Fatal(err)
		}
		return set
	}
	before := cores()
	err := OnOneCore(func() error {
		if now := cores(); now.Count() != 1 {
			t.Errorf("%d cores, want 1", now.Count())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if after := cores(); after != before {
		t.Errorf("%d cores afterwards, %d before", after.Count(), before.Count())
	}
}
