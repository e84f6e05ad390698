package load_test

import (
	"errors"
	"strings"
	"testing"

	"lbctl/bpf/load"
	"lbctl/lb/testns"
)

// The number decides, whatever a distribution writes behind it.
func TestTooOld(t *testing.T) {
	for release, want := range map[string]bool{
		"4.19.0-27-amd64": true, "5.4.0-200-generic": true, "5.10.0-33-cloud-amd64": true, "5.14.0-503.11.1.el9_5.x86_64": true,
		"5.15.0-91-generic": true, "5.15.167.4-microsoft-standard-WSL2": true, "5.19.17": true, "6.0.19": true,
		"6.1.0-57-cloud-amd64": false, "6.1-rc1": false, "6.1": false, "6.10.3": false, "6.12.117+deb12-cloud-amd64": false, "10.0.1": false,
	} {
		if old, err := load.TooOld(release); old != want || err != nil {
			t.Errorf("%s: too old %v, %v; want %v", release, old, err, want)
		}
	}
	for _, release := range []string{"", "mine", "6", "6.x"} {
		if old, err := load.TooOld(release); err == nil {
			t.Errorf("%q: too old %v, want an error", release, old)
		}
	}
}

// What uname(2) tells counts: personality(2) makes it tell of Linux 2.6.
func TestKernel(t *testing.T) {
	if err := load.Kernel(); err != nil {
		t.Errorf("this kernel: %v", err)
	}
	done := make(chan error)
	go func() {
		testns.OldKernel(t)
		done <- load.Kernel()
	}()
	var old *load.OldKernelError
	if err := <-done; !errors.As(err, &old) || !strings.Contains(err.Error(), "Linux 2.6.") || !strings.Contains(old.Hint(), "6.1 or later") {
		t.Errorf("an old kernel: %v, want it named, and the one that is needed", err)
	}
}
