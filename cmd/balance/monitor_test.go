package balance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/control/api"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// frameTo is a packet of a client.
func frameTo(to string) []byte {
	return packet.Frame{Flow: packet.Flow{
		Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort(to), Protocol: packet.TCP,
	}}.Marshal()
}

// watcher is a run of lbctl monitor in the background.
type watcher struct {
	t      *testing.T
	lines  *bufio.Reader
	cancel context.CancelFunc
	stderr bytes.Buffer
	code   chan int
}

// watch starts lbctl monitor and waits until it watches: it has printed its first line.
func watch(w *clitest.World, args ...string) (m *watcher, header string) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.T.Cleanup(cancel)
	read, write := io.Pipe()
	m = &watcher{t: w.T, lines: bufio.NewReader(read), cancel: cancel, code: make(chan int, 1)}
	env := w.Environment(ctx, append([]string{"monitor"}, args...)...)
	env.Stdout, env.Stderr = write, &m.stderr
	go func() { defer write.Close(); m.code <- w.RunIn(env) }()
	return m, m.line()
}

// line returns the next line, without its time and its spaces.
func (m *watcher) line() string {
	m.t.Helper()
	line, err := m.lines.ReadString('\n')
	if err != nil {
		m.t.Fatalf("read a line: %v; stderr %s", err, &m.stderr)
	}
	return timeless.ReplaceAllString(strings.Join(strings.Fields(line), " "), "T")
}

var timeless = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z`)

// end returns the exit code. No line is left to read.
func (m *watcher) end() int {
	m.t.Helper()
	code, rest := m.leave()
	if rest != "" {
		m.t.Errorf("at the end: %s", rest)
	}
	return code
}

// leave returns the exit code and the lines that nobody read: the monitor ends only once they are taken from it.
func (m *watcher) leave() (code int, rest string) {
	m.t.Helper()
	lines, err := io.ReadAll(m.lines)
	if err != nil {
		m.t.Errorf("at the end: %v", err)
	}
	return <-m.code, string(lines)
}

func TestMonitorPrintsLines(t *testing.T) {
	w := routedWorld(t)
	m, header := watch(w, "--count", "4")
	if want := "TIME INTERFACE Q/CORE FLOW REASON SERVICE REPLICA LENGTH"; header != want {
		t.Errorf("header %q, want %q", header, want)
	}
	for _, c := range []struct {
		ingress int
		frame   []byte
		want    string
	}{
		{2, frameTo("192.0.2.1:80"), "T eth0 0/0 tcp 198.51.100.7:40000 > 192.0.2.1:80 forwarded web 10.0.0.1:8080 54"},
		{3, frameTo("192.0.2.9:80"), "T eth1 0/0 tcp 198.51.100.7:40000 > 192.0.2.9:80 not_ours - - 54"},
		{9, make([]byte, 60), "T #9 0/0 - not_ip - - 60"},
		{2, frameTo("192.0.2.3:80"), "T eth0 0/0 tcp 198.51.100.7:40000 > 192.0.2.3:80 forwarded tunnel 10.0.0.5:80 54"},
	} {
		w.Memory.Process(c.ingress, c.frame)
		if got := m.line(); got != c.want {
			t.Errorf("line\n%s want\n%s", got, c.want)
		}
	}
	if code := m.end(); code != cli.ExitDone || m.stderr.String() != "" {
		t.Errorf("exit %d after --count packets, stderr %s", code, &m.stderr)
	}
}

// Ctrl-C is how it ends: no failure.
func TestMonitorInterrupted(t *testing.T) {
	w := routedWorld(t)
	m, _ := watch(w, "--service", "web", "--reason", "forwarded,hairpin", "--reason", "no_route")
	w.Memory.Process(2, frameTo("192.0.2.3:80"))
	w.Memory.Process(2, frameTo("192.0.2.1:80"))
	if got := m.line(); !strings.Contains(got, " web ") {
		t.Errorf("the first line is %s", got)
	}
	m.cancel()
	if code := m.end(); code != cli.ExitDone || m.stderr.String() != "" {
		t.Errorf("exit %d after an interrupt, stderr %s", code, &m.stderr)
	}
}

// Flows are selected by the flags, an IPv6 prefix with its port included.
func TestMonitorOfFlows(t *testing.T) {
	w := routedWorld(t)
	m, _ := watch(w, "--destination", "192.0.2.0/24:80", "--source", "198.51.100.7", "--protocol", "tcp", "--count", "1")
	w.Memory.Process(2, frameTo("192.0.2.1:81"))
	w.Memory.Process(2, frameTo("192.0.2.9:80"))
	if got := m.line(); !strings.Contains(got, "> 192.0.2.9:80 not_ours") {
		t.Errorf("the first line is %s", got)
	}
	m.end()
	six, _ := watch(w, "--destination", "[2001:db8::/64]:53", "--count", "1")
	for _, to := range []string{"[2001:db8::1]:54", "[2001:db8:1::1]:53", "[2001:db8::1]:53"} {
		f := packet.Flow{Source: netip.MustParseAddrPort("[2001:db8:7::7]:5000"), Destination: netip.MustParseAddrPort(to), Protocol: packet.UDP}
		w.Memory.Process(2, packet.Frame{Flow: f}.Marshal())
	}
	if got := six.line(); !strings.Contains(got, "> [2001:db8::1]:53 ") {
		t.Errorf("the first line is %s", got)
	}
	six.end()
	if _, out, _ := w.Run("__complete", "monitor", "--service", ""); !strings.HasPrefix(out, "web\n") {
		t.Errorf("services complete as %s", out)
	}
}

// The daemon's end is told.
func TestMonitorOfADaemonThatEnds(t *testing.T) {
	w := routedWorld(t)
	m, _ := watch(w)
	w.Stop()
	if code := m.end(); code != cli.ExitUnreachable || !strings.Contains(m.stderr.String(), "ended the stream") {
		t.Errorf("exit %d, stderr %s", code, &m.stderr)
	}
}

// feeding runs a command while packets come in, to one service and to nobody in turn.
func feeding(w *clitest.World, args ...string) (code int, stdout, stderr string) {
	w.T.Helper()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				w.Memory.Process(2, frameTo([]string{"192.0.2.1:80", "192.0.2.9:80"}[n%2]))
				runtime.Gosched()
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	return w.Run(args...)
}

func TestMonitorJSON(t *testing.T) {
	w := routedWorld(t)
	code, stdout, _ := feeding(w, "monitor", "--count", "3", "--service", "web", "--every", "2", "-o", "json")
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if code != cli.ExitDone || len(lines) != 3 {
		t.Fatalf("exit %d: %s", code, stdout)
	}
	for _, line := range lines {
		var s api.Sample
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		want := api.Sample{
			Time: s.Time, Interface: "eth0", IfIndex: 2, Reason: "forwarded", ServiceName: "web", VIP: "192.0.2.1:80", Protocol: "tcp",
			Replica: "10.0.0.1:8080", Length: 54, Frame: frameTo("192.0.2.1:80"), Lost: s.Lost,
			Flow: &api.Flow{Source: "198.51.100.7:40000", Destination: "192.0.2.1:80", Protocol: "tcp"},
		}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
	}
}

// A capture goes to a file or to stdout, and holds the packets as they came.
func TestMonitorCapture(t *testing.T) {
	w := routedWorld(t)
	code, stdout, stderr := feeding(w, "monitor", "--count", "5", "--reason", "forwarded", "--pcap", w.Path("out.pcapng"))
	if code != cli.ExitDone || stdout != "" || !strings.HasPrefix(stderr, "5 packets written to DIR/out.pcapng\n") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	file, err := os.ReadFile(w.Path("out.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	holdsPackets(t, file, 5)
	code, stdout, stderr = feeding(w, "monitor", "--count", "2", "--reason", "forwarded", "--pcap", "-")
	if code != cli.ExitDone || !strings.HasPrefix(stderr, "2 packets written to -\n") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	holdsPackets(t, []byte(stdout), 2)
}

// holdsPackets checks a capture of packets to the service.
func holdsPackets(t *testing.T, file []byte, want int) {
	t.Helper()
	capture, err := pcap.Open(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var record pcap.Record
	n := 0
	for ; capture.Next(&record) == nil; n++ {
		if !bytes.Equal(record.Frame, frameTo("192.0.2.1:80")) || time.Since(time.Unix(0, record.Time)) > time.Minute {
			t.Errorf("record %+v", record)
		}
	}
	if n != want || !bytes.Contains(file, []byte("forwarded web 10.0.0.1:8080")) || !bytes.Contains(file, []byte("eth0")) {
		t.Errorf("%d packets, want %d, with comments and the interface's name: %q", n, want, file)
	}
}

func TestMonitorRefuses(t *testing.T) {
	w := routedWorld(t)
	for _, c := range []struct {
		line   string
		code   int
		stderr string
	}{
		{"monitor --every 0", cli.ExitUsage, "lbctl: --every 0: want at least 1\n  see lbctl monitor --help\n"},
		{"monitor --every -1", cli.ExitUsage, ""},
		{"monitor --count x", cli.ExitUsage, ""},
		{"monitor web", cli.ExitUsage, "lbctl: unexpected argument \"web\"\n  see lbctl monitor --help\n"},
		{"monitor --pcap x -o json", cli.ExitUsage, "lbctl: --pcap and -o json: want one of them\n  see lbctl monitor --help\n"},
		{"monitor --reason fowarded", cli.ExitUsage, "lbctl: reason \"fowarded\": not known\n  did you mean forwarded?\n"},
		{"monitor --service wbe", cli.ExitNotFound, "lbctl: service \"wbe\": not found\n  list what there is: "},
		{"monitor --pcap DIR/none/x", cli.ExitNotFound, "lbctl: create capture: open DIR/none/x: no such file or directory\n  check the name\n"},
		{"monitor --socket DIR/none", cli.ExitUnreachable, ""},
	} {
		code, stdout, stderr := w.Run(w.Line(c.line)...)
		if code != c.code || stdout != "" || !strings.HasPrefix(stderr, c.stderr) {
			t.Errorf("lbctl %s: exit %d, want %d, stdout %q, stderr\n%s want\n%s", c.line, code, c.code, stdout, stderr, c.stderr)
		}
	}
}
