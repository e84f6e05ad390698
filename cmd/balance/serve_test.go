package balance

import (
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

func TestServeTakesTheStoredIntent(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	before := w.OK("get", "services")
	w.OK("attach", "eth1")
	if code := w.Stop(); code != cli.ExitDone {
		t.Errorf("exit %d: %s", code, w.Log)
	}
	if services, err := w.Memory.Services(); err != nil || len(services) != 2 {
		t.Errorf("after the daemon ended %d services are forwarded, %v", len(services), err)
	}
	w.Serve()
	if after := w.OK("get", "services"); after != before {
		t.Errorf("before\n%s after\n%s", before, after)
	}
	if interfaces := w.OK("get", "interfaces"); !strings.Contains(interfaces, "eth1") {
		t.Errorf("eth1 is lost:\n%s", interfaces)
	}
	if !strings.Contains(w.Log.String(), "steps=0") {
		t.Errorf("the restart changed something: %s", w.Log)
	}
}

func TestServeWithAFileThatIsRefused(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	before := w.OK("get", "services")
	w.Stop()
	code, _, stderr := w.Run("serve", "--state-dir", w.Path("state"), "-f",
		w.Write("bad.yaml", strings.Replace(clitest.WebConfig, "eth0", "eth9", 1)))
	if code != cli.ExitNotFound {
		t.Errorf("exit %d: %s", code, stderr)
	}
	w.Serve()
	if after := w.OK("get", "services"); after != before {
		t.Errorf("before\n%s after\n%s", before, after)
	}
}
