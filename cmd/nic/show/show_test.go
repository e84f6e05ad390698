package show

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
)

func TestMain(m *testing.M) { nictest.Main(m) }

func TestRSSShow(t *testing.T) {
	code, stdout, stderr := nictest.NewCard().Run(t, Command, "", "show", "eth0")
	want := `Channels of eth0 (of at most):
    Combined: 4 (8)
RX flow hash indirection table for eth0 with 4 RX ring(s):
    0:      0     1     2     3     0     1     2     3
RSS hash key:
6d:5a:56:da:25:5b:0e:c2:41:67:25:3d:43:a3:8f:b0:d0:ca:2b:cb:ae:7b:30:b4:77:cb:2d:a3:80:30:f2:0c:6a:42:b7:3b:be:ac:01:fa
RSS hash function:
    toeplitz: on
    xor: off
    crc32: off
RSS input transformation:
    symmetric-xor: off
    symmetric-or-xor: off
Hash fields:
    tcp4: sdfn
    udp4: sd
`
	if diff := cmp.Diff(want, stdout); diff != "" || code != cli.ExitDone || stderr != "" {
		t.Errorf("exit %d, stderr %s, -want +got:\n%s", code, stderr, diff)
	}
}

func TestRSSShowJSON(t *testing.T) {
	for name, want := range map[string]settings{
		"eth0":  settingsOf(nictest.NewCard().Settings),
		"veth0": {Interface: "veth0", Driver: "veth", Queues: 4, Instead: nictest.VethHabit},
	} {
		_, stdout, _ := nictest.NewCard().Run(t, Command, "", "show", name, "-o", "json")
		var got settings
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatalf("%s: %v in %s", name, err, stdout)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if got.RSS != (name == "eth0") {
			t.Errorf("%s: rss %v", name, got.RSS)
		}
	}
}

// The real kernel's settings of the loopback interface, and of one that does not exist.
func TestRSSShowReal(t *testing.T) {
	w := nictest.New(t, Command)
	if got := w.OK("rss", "show", "lo"); got != "lo (a driver without a name) has one receive queue and no RSS: everything goes there\n" {
		t.Errorf("lo: %s", got)
	}
	if code, _, stderr := w.Run("rss", "show", "none0"); code != cli.ExitNotFound {
		t.Errorf("none0: exit %d, %s", code, stderr)
	}
	w.Refused("rss show", 2, "missing IFACE", "see lbctl rss show --help")
	w.NICs = nictest.NewCard().Interfaces()
	w.Refused("rss show eth9", 3, "read rss of eth9: no such interface", "name an interface that ip link shows in this network namespace")
}
