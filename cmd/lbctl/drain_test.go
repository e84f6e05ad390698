package main

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// TestReplicaCommands is a session about one service: commands in order and what they print.
func TestReplicaCommands(t *testing.T) {
	w := newWorld(t)
	w.clock = clock{now: func() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 1, time.UTC) }}
	w.serve("-f", w.write("web.yaml", web))
	for _, c := range []struct{ line, want string }{
		{"replica add web 10.0.0.3:8080 --state down", "10.0.0.3:8080 added to web\n"},
		{"replica set web 10.0.0.3:8080 --state active", "10.0.0.3:8080 changed in web\n"},
		{"replica set dns [2001:db8:1:0::1]:53 --weight 7", "[2001:db8:1::1]:53 changed in dns\n"},
		{"get replicas", `SERVICE  REPLICA             STATE   WEIGHT  PACKETS  BYTES
web      10.0.0.1:8080       active  1       0        0
web      10.0.0.2:8080       active  1       0        0
web      10.0.0.3:8080       active  1       0        0
dns      [2001:db8:1::1]:53  active  7       0        0
`},
		{"drain web 10.0.0.1:8080 --for 10m", `10.0.0.1:8080 of web is draining, and down at 2100-01-01T00:10:01Z
not yet safe to remove: 0 recorded flows left, and 1 slot with flows from before
`},
		{"get flows web", `SERVICE  TRACKING  SLOTS  MARKED
web      changes   2      2

SERVICE  REPLICA        STATE     ESTABLISHED  EMBRYONIC  OLDER SLOTS  SAFE TO REMOVE  DRAIN UNTIL
web      10.0.0.1:8080  draining  0            0          1            no              2100-01-01T00:10:01Z
web      10.0.0.2:8080  active    0            0          1            no              -
web      10.0.0.3:8080  active    0            0          0            no              -
`},
		{"drain web 10.0.0.1:8080", `10.0.0.1:8080 of web is draining
not yet safe to remove: 0 recorded flows left, and 1 slot with flows from before
`},
		{"drain web 10.0.0.1:8080 --until 2100-01-01T02:00:00+01:00 -o json", `{
  "address": "10.0.0.1:8080",
  "weight": 1,
  "state": "draining",
  "drain_until": "2100-01-01T01:00:00Z",
`},
		{"replica remove web 10.0.0.3:8080", "10.0.0.3:8080 removed from web\n"},
	} {
		got := w.ok(strings.Fields(c.line)...)
		if c.want[0] == '{' {
			got = got[:min(len(got), len(c.want))]
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
}

// waiting runs a command that waits, and returns what lets a second pass and what ends with it.
func (w *world) waiting(args ...string) (second func(), ended func() (code int, stdout, stderr string)) {
	seconds, asked := make(chan time.Time), make(chan struct{}, 100)
	w.clock = clock{after: func(time.Duration) <-chan time.Time { asked <- struct{}{}; return seconds }}
	var out, errs bytes.Buffer
	env := w.environment(w.t.Context(), args...)
	env.stdout, env.stderr = &out, &errs
	code := make(chan int, 1)
	go func() { code <- run(env) }()
	second = func() {
		select {
		case <-asked:
			seconds <- time.Time{}
		case c := <-code:
			code <- c
		}
	}
	return second, func() (int, string, string) { return <-code, out.String(), errs.String() }
}

// startFlow has a flow begin and go on.
func (w *world) startFlow(port uint16) {
	f := packet.Frame{Flow: packet.Flow{
		Source:      netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port),
		Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
	}}
	for _, flags := range []packet.TCPFlags{packet.SYN, packet.ACK} {
		f.Flags = flags
		w.kernel.memory.Process(2, f.Marshal())
	}
}

// TestDrainWait ends when the replica is safe to remove, and says what is left before.
func TestDrainWait(t *testing.T) {
	w := newWorld(t)
	w.serve("-f", w.write("web.yaml", strings.Replace(web, "      - {address: 10.0.0.2:8080}\n", "", 1)+
		"\n"))
	w.ok("replica", "set", "web", "10.0.0.1:8080", "--state", "draining")
	w.ok("replica", "add", "web", "10.0.0.2:8080")
	w.ok("replica", "set", "web", "10.0.0.1:8080", "--state", "active")
	for port := range uint16(20) { // recorded, as all slots are marked; some are the replica's
		w.startFlow(40000 + port)
	}
	second, ended := w.waiting("drain", "web", "10.0.0.1:8080", "--wait")
	second()
	second()
	w.kernel.memory.Advance(2 * lb.DefaultIdle(packet.TCP))
	second()
	code, stdout, stderr := ended()
	if want := "10.0.0.1:8080 of web is draining\nsafe to remove\n"; code != exitDone || stdout != want {
		t.Errorf("exit %d, stdout %q, want %q", code, stdout, want)
	}
	if strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, " recorded flows left, and ") || strings.Contains(stderr, " 0 recorded") {
		t.Errorf("stderr %s", stderr)
	}
	if out := w.ok("replica", "remove", "web", "10.0.0.1:8080", "--if-safe"); out != "10.0.0.1:8080 removed from web\n" {
		t.Errorf("remove: %s", out)
	}
}

// TestDrainWaitEndsOtherwise: the deadline, somebody else, Ctrl-C.
func TestDrainWaitEndsOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile []string
		code      int
		stderr    string
	}{
		"down":    {[]string{"replica", "set", "web", "10.0.0.1:8080", "--state", "down"}, exitFailed, "is down: the deadline came with"},
		"active":  {[]string{"replica", "set", "web", "10.0.0.1:8080", "--state", "active"}, exitConflict, "somebody has made it active"},
		"removed": {[]string{"replica", "remove", "web", "10.0.0.1:8080"}, exitNotFound, "somebody has removed it"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.serve("-f", w.write("web.yaml", web))
			second, ended := w.waiting("drain", "web", "10.0.0.1:8080", "--wait")
			second()
			w.ok(c.meanwhile...)
			second()
			second()
			if code, _, stderr := ended(); code != c.code || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit %d, stderr %s", code, stderr)
			}
		})
	}
}

func TestDrainOfTheLastOneWarns(t *testing.T) {
	w := newWorld(t)
	w.serve("-f", w.write("web.yaml", web))
	w.ok("drain", "web", "10.0.0.1:8080")
	code, _, stderr := w.run("drain", "web", "10.0.0.2:8080")
	if want := "lbctl: no replica of web is active: new flows are dropped\n"; code != exitDone || stderr != want {
		t.Errorf("exit %d, stderr %s", code, stderr)
	}
}

func TestDrainWaitInterrupted(t *testing.T) {
	w := newWorld(t)
	w.serve("-f", w.write("web.yaml", web))
	ctx, cancel := context.WithCancel(t.Context())
	w.clock = clock{after: func(time.Duration) <-chan time.Time { cancel(); return nil }}
	var stderr bytes.Buffer
	env := w.environment(ctx, "drain", "web", "10.0.0.1:8080", "--wait")
	env.stderr = &stderr
	if code := run(env); code != exitInterrupted {
		t.Errorf("exit %d, %s", code, &stderr)
	}
	if out := w.ok("get", "flows", "web"); !strings.Contains(out, "draining") {
		t.Errorf("it drains no longer:\n%s", out)
	}
}
