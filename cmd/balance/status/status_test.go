package status_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, balance.Commands) }

// TestStatus: the page says what is not as it is wanted, and exits 0 only where nothing is so.
func TestStatus(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	if code, _, _ := w.Run("status"); code != cli.ExitUnreachable {
		t.Errorf("without a daemon: exit %d", code)
	}
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	all := `revision 1: all that is wanted is so

INTERFACE  STATE     MODE    REQUESTED
eth0       attached  native  auto

SERVICE  VIP               PROTOCOL  MODE  ACTIVE  OTHERS
web      192.0.2.1:80      tcp       nat   2 of 2  -
dns      [2001:db8::1]:53  udp       nat   1 of 1  -
`
	if out := w.OK("status", "--over", "1ms"); out != all {
		t.Errorf("all is well:\n%s\nwant\n%s", out, all)
	}
	w.OK("replica", "set", "web", "10.0.0.1:8080", "--state", "down")
	w.Run("drain", "web", "10.0.0.2:8080") // it warns
	code, out, errors := w.Run("status", "--over", "1ms")
	if want := "web      192.0.2.1:80      tcp       nat   0 of 2  1 draining, 1 down\n"; code != cli.ExitFailed || !strings.Contains(out, want) ||
		!strings.Contains(errors, "service web has no active replica: new flows are dropped") {
		t.Errorf("exit %d\n%s%s want\n%s", code, out, errors, want)
	}
	w.OK("replica", "set", "web", "10.0.0.1:8080", "--state", "active")
	w.OK("status", "--over", "1ms")
}

// TestDrops: what is dropped while status looks is told, and changes no verdict.
func TestDrops(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	stray := make([]byte, 10) // no whole Ethernet header
	passed := make(chan time.Time)
	w.Clock = cli.Clock{Timer: func(time.Duration) <-chan time.Time {
		go func() {
			for range 20 {
				w.Memory.Process(2, stray)
			}
			close(passed)
		}()
		return passed
	}}
	var page struct {
		Good  bool `json:"is_good"`
		Drops []struct {
			Reason string
			Rate   float64 `json:"packets_per_second"`
		}
	}
	if err := json.Unmarshal([]byte(w.OK("status", "-o", "json")), &page); err != nil {
		t.Fatal(err)
	}
	if !page.Good || len(page.Drops) != 1 || page.Drops[0].Reason != "malformed_ethernet" || page.Drops[0].Rate <= 0 {
		t.Errorf("%+v\n%s", page, w.OK("get", "counters"))
	}
}
