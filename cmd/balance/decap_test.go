package balance

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/bpf/need"
	"lbctl/testbed/netns"
)

// decapReplica makes a namespace with the interface eth0 (10.1.0.1), and returns how a command is run
// there, over a pin directory that goes with the test.
func decapReplica(t *testing.T) (run func(line string) (code int, stdout, stderr string)) {
	t.Helper()
	need.Root(t)
	beds, err := netns.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-decap-%d", os.Getpid())
	t.Cleanup(func() {
		if err := os.RemoveAll(pins); err != nil {
			t.Error("remove pins:", err)
		}
		if err := beds.Close(); err != nil {
			t.Error(err)
		}
	})
	replica, err := beds.Make("replica")
	if err != nil {
		t.Fatal(err)
	}
	eth0, _, err := netns.Veth(netns.End{Namespace: replica, Name: "eth0"}, netns.End{Namespace: replica, Name: "wire"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := eth0.AddAddress(netip.MustParsePrefix("10.1.0.1/24")); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	return func(line string) (code int, stdout, stderr string) {
		args := append([]string{"decap"}, strings.Fields(line)...)
		err := replica.Do(func() error {
			code, stdout, stderr = w.Run(append(args, "--pin-dir", pins)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return code, stdout, strings.ReplaceAll(stderr, pins, "PINS")
	}
}

// A replica's life by commands: what they print, and how they exit.
func TestDecap(t *testing.T) {
	run := decapReplica(t)
	if _, list, _ := run("list"); !strings.HasPrefix(list, "NAME") {
		t.Fatal(list)
	}
	for _, c := range []struct {
		line           string
		code           int
		stdout, stderr string
	}{
		{"list -o json", 0, "{\n  \"interfaces\": []\n}\n", ""},
		{"detach eth0", 3, "", "lbctl: not found: eth0 is not attached\n  see lbctl decap list, and ip link, in this network namespace\n"},
		{"attach", 2, "", "lbctl: missing IFACE\n  see lbctl decap attach --help\n"},
		{"attach eth9", 3, "", "lbctl: not found: interface eth9\n  see lbctl decap list, and ip link, in this network namespace\n"},
		{"attach eth0 --mode natve", 2, "", "lbctl: --mode: \"natve\" is not known: want auto, native or generic\n  did you mean --mode native?\n"},
		{"attach eth0 --vip 192.0.2.1:80", 2, "", "lbctl: --vip: \"192.0.2.1:80\" is no IP address\n  see lbctl decap attach --help\n"},
		{"attach eth0 --local 10.1.0.0/24", 2, "", "lbctl: --local: \"10.1.0.0/24\" is no IP address\n  see lbctl decap attach --help\n"},
		{"attach eth0 --vip 0.0.0.0", 2, "", "lbctl: invalid: address 0.0.0.0: want one of a host, without a zone\n  name unicast addresses: with --local those that the balancer sends to\n"},
		{"attach wire", 2, "", "lbctl: invalid: wire has no address, and none is named that packets come to\n  name unicast addresses: with --local those that the balancer sends to\n"},
		{"attach eth0 --vip 192.0.2.1,2001:db8::1", 0, "attached eth0 in mode native: what comes to 10.1.0.1, for 192.0.2.1,2001:db8::1\n", ""},
		{"attach eth0 --mode generic", 4, "", "lbctl: conflict: eth0 is attached in mode native\n  detach the program that holds it first (ours: lbctl decap detach eth0)\n"},
		{"attach eth0 --local 203.0.113.1", 0, "attached eth0 in mode native: what comes to 10.1.0.1,203.0.113.1, for any address\n",
			"lbctl: whoever reaches this machine can send encapsulated packets to any of its addresses, past filters: name the VIPs with --vip\n"},
		{"attach eth0 --vip 192.0.2.1", 0, "attached eth0 in mode native: what comes to 10.1.0.1, for 192.0.2.1\n", ""},
		{"list", 0, "NAME  INDEX  MODE    LOCAL     UDP   VIPS       PACKETS\neth0  INDEX  native  10.1.0.1  none  192.0.2.1  -\n", ""},
		{"attach eth0 --vip 192.0.2.1 --udp-port 6080,5555", 0, "attached eth0 in mode native: what comes to 10.1.0.1, also in UDP to port 5555,6080, for 192.0.2.1\n", ""},
		{"attach eth0 --vip 192.0.2.1 --udp-port 0", 2, "", "lbctl: --udp-port: 0 is no port\n  see lbctl decap attach --help\n"},
		{"list", 0, "NAME  INDEX  MODE    LOCAL     UDP        VIPS       PACKETS\neth0  INDEX  native  10.1.0.1  5555,6080  192.0.2.1  -\n", ""},
		{"detach eth0 -o json", 0, "{\n  \"detached\": \"eth0\"\n}\n", ""},
		{"list", 0, "NAME  INDEX  MODE  LOCAL  UDP  VIPS  PACKETS\n", ""},
	} {
		code, stdout, stderr := run(c.line)
		if diff := cmp.Diff([]string{c.stdout, c.stderr}, []string{withoutIndex(stdout), stderr}); diff != "" || code != c.code {
			t.Errorf("lbctl decap %s: exit %d, want %d (-want +got):\n%s", c.line, code, c.code, diff)
		}
	}
}

// withoutIndex replaces the number of the interface, whose place is the second cell of the second line.
func withoutIndex(table string) string {
	lines := strings.SplitAfter(table, "\n")
	if len(lines) > 1 && strings.HasPrefix(lines[1], "eth0  ") {
		cells := strings.Fields(lines[1])
		lines[1] = strings.Replace(lines[1], fmt.Sprintf("  %-5s  ", cells[1]), "  INDEX  ", 1)
	}
	return strings.Join(lines, "")
}

// The counts of a list are sorted, and JSON holds all of them.
func TestDecapListJSON(t *testing.T) {
	run := decapReplica(t)
	if code, _, stderr := run("attach eth0 --local 10.1.0.9 --vip 192.0.2.1 -o json"); code != 0 || stderr != "" {
		t.Fatalf("attach: exit %d, %s", code, stderr)
	}
	_, list, _ := run("list -o json")
	for _, want := range []string{`"local": [`, `"vips": [`, `"reason": "decapsulated"`, `"reason": "congested"`, `"mode": "native"`} {
		if !strings.Contains(list, want) {
			t.Errorf("list lacks %s:\n%s", want, list)
		}
	}
}
