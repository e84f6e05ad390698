package balance

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cilium/ebpf/link"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/lb/doctor"
	"lbctl/lb/doctor/netstate"
	"lbctl/lb/oracle"
	"lbctl/lb/testns"
	"lbctl/rss/packet"
)

// warned is a daemon in a namespace where packets vanish, whose log is a file.
type warned struct {
	*testing.T
	w   *clitest.World
	log *os.File
}

func newWarned(t *testing.T) warned {
	t.Helper()
	testns.Enter(t)
	w := newWorld(t)
	testns.Sysctl(t, "net/ipv4/ip_forward", "0")
	testns.Veth(t, "eth0", "198.51.100.254/24")
	testns.Veth(t, "eth1", "10.0.0.254/24")
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-warns-%d", os.Getpid())
	log, err := os.Create(w.Path("log"))
	must(t, err)
	d := exec.Command("/proc/self/exe", "serve", "--state-dir", w.Path("state"), "--pin-dir", pins, "-f", w.Write("web.yaml", clitest.WebConfig))
	d.Env, d.Stderr = append(os.Environ(), clitest.AsLbctl+"=1", "LBCTL_SOCKET="+w.Path("s")), log
	must(t, d.Start())
	t.Cleanup(func() {
		d.Process.Signal(syscall.SIGTERM)
		d.Wait()
		log.Close()
		purge(t, pins)
	})
	return warned{t, w, log}
}

// lines counts those of the log that have all of the words.
func (d warned) lines(words ...string) (n int) {
	text, err := os.ReadFile(d.log.Name())
	must(d.T, err)
	for line := range strings.Lines(string(text)) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			n++
		}
	}
	return n
}

// until waits for such a line.
func (d warned) until(words ...string) {
	d.Helper()
	for deadline := time.Now().Add(30 * time.Second); d.lines(words...) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(d.log.Name())
			d.Fatalf("no line with %q in 30 s:\n%s", words, text)
		}
	}
}

// What makes packets vanish is in the daemon's log with its cure, once, and in the answer to who attaches; that it is cured
// is in the log, too.
func TestServeWarns(t *testing.T) {
	d := newWarned(t)
	d.until("level=WARN", "check=forwarding-ipv4", "subject=eth0", "sysctl -w net.ipv4.ip_forward=1")
	d.until("level=WARN", "check=transmit", "subject=eth1", "ethtool -K eth1-peer gro on")
	d.until("level=WARN", "egress: answers come in", "check=egress", "lbctl attach eth1")
	var attached struct {
		Warnings []struct{ Check, Subject, Cure string }
	}
	must(t, json.Unmarshal([]byte(d.w.OK("attach", "eth1", "-o", "json")), &attached))
	found := map[string]string{}
	for _, x := range attached.Warnings {
		found[x.Subject+" "+x.Check] = x.Cure
	}
	for what, cure := range map[string]string{
		"eth1 transmit": "ethtool -K eth1-peer gro on", "eth1 sender-checksums": "ethtool -K eth1-peer tx off", "eth1 forwarding-ipv4": "sysctl -w net.ipv4.ip_forward=1",
	} {
		if found[what] != cure {
			t.Errorf("attach warns of %s with %q, want %q, in %v", what, found[what], cure, found)
		}
	}
	testns.Sysctl(t, "net/ipv4/ip_forward", "1")
	out := d.w.OK("attach", "eth1")
	if !strings.Contains(out, "problem  eth1           transmit          its peer has neither GRO nor XDP\n") || !strings.Contains(out, "    $ ethtool -K eth1-peer gro on\n") || strings.Contains(out, "forwarding-ipv4") {
		t.Errorf("attach printed\n%s", out)
	}
	d.w.OK("detach", "eth1")
	d.until("level=INFO", "cured", "check=forwarding-ipv4", "subject=eth0")
	if n := d.lines("level=WARN", "check=forwarding-ipv4", "subject=eth0"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}

// An attach and an apply that are refused name who holds the interface, and what takes that off.
func TestHeldByAnother(t *testing.T) {
	d := newWarned(t)
	held, err := link.AttachXDP(link.XDPOptions{Program: testns.Program(t, "theirs"), Interface: testns.Veth(t, "eth2").Attrs().Index})
	must(t, err)
	defer held.Close()
	info, err := held.Info()
	must(t, err)
	d.until("msg=ready")
	config := strings.Replace(clitest.WebConfig, "- name: eth0", "- name: eth0\n  - name: eth2", 1)
	for _, args := range [][]string{{"attach", "eth2"}, {"apply", "-f", d.w.Write("more.yaml", config)}} {
		code, _, stderr := d.w.Run(args...)
		holder := fmt.Sprintf("eth2 already has the XDP program \"theirs\" (id %d), by link %d", info.Program, info.ID)
		if code != cli.ExitConflict || !strings.Contains(stderr, holder) || !strings.Contains(stderr, fmt.Sprintf("bpftool link detach id %d", info.ID)) {
			t.Errorf("%s: exit %d: %s", args[0], code, stderr)
		}
	}
}

// looks counts how often the network is examined.
type looks struct{ n atomic.Int64 }

// Examine implements examiner.
func (l *looks) Examine(netstate.Scope) ([]doctor.Finding, error) { l.n.Add(1); return nil, nil }

// TestLooksAreRare: after a burst of changes there is one look, a second after the one before; after a rest one at once; and one a
// minute where nothing changes.
func TestLooksAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := intent.Default()
		i.Interfaces = []intent.Interface{{Name: "eth0", Mode: lb.Auto}}
		e, err := engine.Start(t.Context(), engine.Options{Dataplane: oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2}}), Store: &storetest.Memory{}}, i)
		must(t, err)
		seen := &looks{}
		w := &watchdog{kernel: seen, engine: e, log: slog.New(slog.DiscardHandler)}
		go w.run(t.Context())
		port := uint16(0)
		change := func() {
			_, _, err := e.Change(t.Context(), engine.Change{Edit: func(i intent.Intent) (intent.Intent, error) {
				port++
				vip := lb.VIP{Address: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), Protocol: packet.TCP}
				i, _ = i.WithService(intent.Service{Name: fmt.Sprint("s", port), Service: lb.Service{VIP: vip}.WithDefaults()})
				return i, nil
			}})
			must(t, err)
		}
		want := func(when string, n int64) {
			t.Helper()
			if synctest.Wait(); seen.n.Load() != n {
				t.Errorf("%s: %d looks, want %d", when, seen.n.Load(), n)
			}
		}
		want("at the start", 1)
		for range 99 {
			change()
			time.Sleep(10 * time.Millisecond)
		}
		want("in a burst", 1)
		time.Sleep(20 * time.Millisecond)
		want("a second after the look before", 2)
		time.Sleep(10 * time.Second)
		want("in a rest", 2)
		change()
		want("after a rest", 3)
		time.Sleep(2 * time.Minute)
		want("without a change", 5)
	})
}
