package balance

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb/testns"
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
