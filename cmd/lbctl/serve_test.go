package main

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asLbctl makes the test program behave as lbctl.
const asLbctl = "LBCTL_TEST_AS_LBCTL"

func TestMain(m *testing.M) {
	if os.Getenv(asLbctl) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func TestServeTakesTheStoredIntent(t *testing.T) {
	w := newWorld(t)
	w.serve("-f", w.write("web.yaml", web))
	before := w.ok("get", "services")
	w.ok("attach", "eth1")
	if code := w.stop(); code != exitDone {
		t.Errorf("exit %d: %s", code, w.log)
	}
	if services, err := w.kernel.memory.Services(); err != nil || len(services) != 2 {
		t.Errorf("after the daemon ended %d services are forwarded, %v", len(services), err)
	}
	w.serve()
	if after := w.ok("get", "services"); after != before {
		t.Errorf("before\n%s after\n%s", before, after)
	}
	if interfaces := w.ok("get", "interfaces"); !strings.Contains(interfaces, "eth1") {
		t.Errorf("eth1 is lost:\n%s", interfaces)
	}
	if !strings.Contains(w.log.String(), "steps=0") {
		t.Errorf("the restart changed something: %s", w.log)
	}
}

func TestServeWithAFileThatIsRefused(t *testing.T) {
	w := newWorld(t)
	w.serve("-f", w.write("web.yaml", web))
	before := w.ok("get", "services")
	w.stop()
	code, _, stderr := w.run("serve", "--state-dir", w.path("state"), "-f",
		w.write("bad.yaml", strings.Replace(web, "eth0", "eth9", 1)))
	if code != exitNotFound {
		t.Errorf("exit %d: %s", code, stderr)
	}
	w.serve()
	if after := w.ok("get", "services"); after != before {
		t.Errorf("before\n%s after\n%s", before, after)
	}
}
