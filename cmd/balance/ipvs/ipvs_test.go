package ipvs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, balance.Commands) }

// lines are commands of ipvsadm in order.
const lines = `-A -t 192.0.2.1:80 -s mh
-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 2
-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m
-e -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 0
-A -u [2001:db8::1]:53 -s mh
-a -u [2001:db8::1]:53 -r 2001:db8:1::1 -g
-A -t 192.0.2.2:80 -s mh
-a -t 192.0.2.2:80 -r 10.0.0.3:80 -i --tun-type gue --tun-port 6080 -w 5
-a -t 192.0.2.2:80 -r 10.0.0.4:80 -i --tun-type gue --tun-port 6080
-d -t 192.0.2.2:80 -r 10.0.0.4:80
-A -t 192.0.2.3:80 -s mh
-D -t 192.0.2.3:80
`

const saved = `-A -t 192.0.2.1:80 -s mh
-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 0
-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 1
-A -u [2001:db8::1]:53 -s mh
-a -u [2001:db8::1]:53 -r [2001:db8:1::1]:53 -g -w 1
-A -t 192.0.2.2:80 -s mh
-a -t 192.0.2.2:80 -r 10.0.0.3:80 -i --tun-type gue --tun-port 6080 -w 5
`

// TestLines: each line does what it does in ipvsadm; what -S prints -R takes back; -L looks as there.
func TestLines(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("empty.yaml", "services: []\n"))
	for line := range strings.Lines(lines) {
		w.OK(append([]string{"ipvsadm"}, strings.Fields(line)...)...)
	}
	if diff := cmp.Diff(saved, w.OK("ipvsadm", "-S", "-n")); diff != "" {
		t.Errorf("saved (-want +got):\n%s", diff)
	}
	before := w.OK("get", "config")
	w.OK("ipvsadm", "-C")
	if out := w.OK("ipvsadm", "-S"); out != "" {
		t.Errorf("after -C: %s", out)
	}
	w.Stdin = saved
	w.OK("ipvsadm", "-R")
	if diff := cmp.Diff(before, w.OK("get", "config")); diff != "" {
		t.Errorf("saved and restored (-want +got):\n%s", diff)
	}
	want := `IP Virtual Server version 1.2.1 (size=1048576)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.0.2.1:80 mh
  -> 10.0.0.1:8080                Masq    0      0          0         
  -> 10.0.0.2:8080                Masq    1      0          0         
`
	if out := w.OK("ipvsadm", "-Ln", "-t", "192.0.2.1:80"); out != want {
		t.Errorf("-Ln (-want +got):\n%s", cmp.Diff(want, out))
	}
	stats := "TCP  192.0.2.1:80                        0        0        -        0        -\n  -> 10.0.0.1:8080                       0        0        -        0        -\n"
	if out := w.OK("ipvsadm", "-L", "-n", "--stats"); !strings.Contains(out, stats) {
		t.Errorf("--stats:\n%s", out)
	}
}

// TestRefusedLines: what is not there, what is, and what cannot be carried over; -R makes all of its lines or none.
func TestRefusedLines(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	before := w.OK("get", "config")
	const list, help = "list what there is: lbctl ipvsadm -Ln", "see lbctl ipvsadm --help"
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"-A -t 192.0.2.1:80", cli.ExitConflict, "service tcp 192.0.2.1:80: conflict: it is there already", list},
		{"-D -t 192.0.2.9:80", cli.ExitNotFound, "service tcp 192.0.2.9:80: not found", list},
		{"-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m", cli.ExitConflict, "destination 10.0.0.1:8080 of tcp 192.0.2.1:80: conflict: it is there already", list},
		{"-d -t 192.0.2.1:80 -r 10.0.0.9:8080", cli.ExitNotFound, "destination 10.0.0.9:8080 of tcp 192.0.2.1:80: not found", list},
		{"-A -t 192.0.2.9:80 -p 300", cli.ExitUsage, "invalid: cannot be carried over: persistence (-p): a client's connections may go to different replicas", help},
		{"-A -f 7", cli.ExitUsage, "invalid: want -t or -u ADDRESS:PORT: firewall marks and SCTP cannot be carried over", help},
		{"-Z", cli.ExitUsage, `invalid: option "-Z" is not one of ipvsadm-save`, help},
		{"-L --connection", cli.ExitUsage, `option "--connection" cannot be carried over: want -n, --stats, --rate, -t or -u`, help},
	} {
		w.Refused("ipvsadm "+c.line, c.code, c.what, c.hint)
	}
	w.Stdin = "-A -t 192.0.2.9:80 -s mh\n-D -t 192.0.2.8:80\n"
	w.Refused("ipvsadm -R", cli.ExitNotFound, "line 2: service tcp 192.0.2.8:80: not found", list)
	if after := w.OK("get", "config"); after != before {
		t.Errorf("something changed:\n%s", after)
	}
	if code, _, err := w.Run("ipvsadm", "-A", "-t", "192.0.2.9:80", "-s", "wrr"); code != cli.ExitDone || !strings.Contains(err, "scheduler wrr") {
		t.Errorf("another scheduler: %d %s", code, err)
	}
}
