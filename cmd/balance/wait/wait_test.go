package wait_test

import (
	"strings"
	"testing"
	"time"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb"
	"lbctl/rss/packet"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, balance.Commands) }

// TestWait: it ends when what it waits for is so, and after its time with what still is.
func TestWait(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	for _, line := range []string{"wait --for=ready", "wait --for=revision=1", "wait --for=drained", "wait --for=drained web --timeout 0", "wait --for=healthy web", "wait --for=condition=Programmed", "wait --for=condition=Ready web", "wait --for=condition=Healthy=unknown web"} {
		if out := w.OK(strings.Fields(line)...); out != "" {
			t.Errorf("lbctl %s: %s", line, out)
		}
	}
	w.OK("drain", "web", "10.0.0.1:8080")
	looks, happens := 0, func() {}
	now, after := clitest.Steps(func() {
		if looks++; looks == 3 {
			happens()
		}
	})
	w.Clock = cli.Clock{Time: now, Timer: after}
	w.Refused("wait --for=drained web 10.0.0.1:8080 --timeout 2s", cli.ExitFailed,
		"drained was not reached in 2s: replica 10.0.0.1:8080 of web is draining with 0 recorded flows and 1 slot of old flows", "wait longer with --timeout; lbctl status says what is not as it should be")
	if looks != 4 {
		t.Errorf("it looked again %d times in 2s", looks)
	}
	w.Refused("wait --for=healthy web 10.0.0.1:8080 --timeout 0s", cli.ExitFailed, "healthy was not reached in 0s: replica 10.0.0.1:8080 of web is not checked", "wait longer with --timeout; lbctl status says what is not as it should be")
	w.Refused("wait --for=revision=3 --timeout 1s", cli.ExitFailed, "revision=3 was not reached in 1s: the intent is at revision 2", "wait longer with --timeout; lbctl status says what is not as it should be")
	w.Refused("wait --for=condition=Ready=false web --timeout 1s", cli.ExitFailed, "condition=Ready=false was not reached in 1s: Ready is true: TakesNewFlows", "wait longer with --timeout; lbctl status says what is not as it should be")
	looks, happens = 0, func() { w.Memory.Advance(2 * lb.DefaultIdle(packet.TCP)) }
	w.OK("wait", "--for=drained", "web", "10.0.0.1:8080")
	if looks != 3 {
		t.Errorf("it ended after %d looks", looks)
	}
	w.Stop()
	looks, happens = 0, func() { w.Serve() }
	w.OK("wait", "--for=ready")
	for _, c := range []struct{ line, what, hint string }{
		{"wait", "missing --for: want ready, healthy, drained, condition=TYPE or revision=N", "see lbctl wait --help"},
		{"wait --for=redy", `--for: "redy" is not known: want ready, healthy, drained, condition=TYPE or revision=N`, "did you mean --for=ready?"},
		{"wait --for=revision=0", `--for: "revision=0" is not known: want ready, healthy, drained, condition=TYPE or revision=N`, "see lbctl wait --help"},
		{"wait --for=condition=Redy", `--for=condition: "Redy" is not known: want Programmed, Ready or Healthy`, "did you mean --for=condition=Ready?"},
		{"wait --for=condition=Healthy", "--for=condition=Healthy: the node has no such condition: name a SERVICE", "see lbctl wait --help"},
		{"wait --for=condition=Ready=yes", `--for=condition=Ready: "yes" is no status: want true, false or unknown`, "see lbctl wait --help"},
		{"wait --for=ready web", "--for=ready takes no web", "see lbctl wait --help"},
		{"wait --for=ready --timeout 25h", "--timeout: 25h0m0s is out of range: want 0 to 24h", "see lbctl wait --help"},
	} {
		w.Refused(c.line, cli.ExitUsage, c.what, c.hint)
	}
	w.Refused("wait --for=healthy web 10.0.0.9:8080", cli.ExitNotFound, `replica "10.0.0.9:8080": not found`, "list what there is: lbctl get replicas")
	w.Refused("wait --for=drained wbe", cli.ExitNotFound, `service "wbe": not found`, "list what there is: lbctl get services, lbctl get replicas, lbctl get interfaces")
	w.Stop()
	if code, _, _ := w.Run("wait", "--for=ready", "--timeout", time.Second.String()); code != cli.ExitUnreachable {
		t.Errorf("without a daemon: exit %d", code)
	}
}
