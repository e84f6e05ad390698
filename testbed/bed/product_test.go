package bed

import (
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
)

// TestCrashOfTheDead: to kill a daemon that has ended by itself is an error, which quotes it. What a
// living one does is tested by those who use it.
func TestCrashOfTheDead(t *testing.T) {
	need.Root(t)
	run, err := netns.NewRun()
	check(t, err)
	defer func() { check(t, run.Close()) }()
	in, err := run.Make("product")
	check(t, err)
	daemon, err := helper.Start(in, "daemon", "sh", "-c", "echo no luck >&2; exit 3")
	check(t, err)
	_ = daemon.Wait()
	p := &Product{daemon: daemon}
	if err := p.Crash(); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("crash: %v, want what the daemon said", err)
	}
}
