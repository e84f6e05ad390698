package load

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/rss/packet"
	"lbctl/testbed/helper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving starts servers on free ports of this machine, until the test ends, and returns
// the works with their ports.
func serving(t *testing.T, works ...Work) []Work {
	t.Helper()
	for i := range works {
		works[i].Port = freePort(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, works, write); _ = write.Close() }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the servers ended with %v", err)
		}
	})
	if said, err := io.ReadAll(io.LimitReader(read, int64(len(helper.Ready)+1))); err != nil || string(said) != helper.Ready+"\n" {
		t.Fatalf("the servers said %q, %v", said, err)
	}
	return works
}

// freePort is one that is free for TCP, and so for UDP as a rule.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func job(w Work, requests int) Job {
	return Job{Work: w, Targets: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, Requests: requests, Concurrency: 4}
}

func TestEveryWorkIsDone(t *testing.T) {
	for _, w := range serving(t, Works()...) {
		r, err := Do(t.Context(), job(w, 50))
		if err != nil || r.Requests != 50 || r.Errors != 0 {
			t.Errorf("%s: %+v, %v; want 50 requests without error", w.Name, r, err)
		}
		if r.P50 <= 0 || r.P99 < r.P50 || r.Took < r.P99 {
			t.Errorf("%s: half in %v, 99 in 100 in %v, all in %v", w.Name, r.P50, r.P99, r.Took)
		}
	}
}

// TestWrongAnswersAreErrors: as many bytes as wanted, but others; and fewer.
func TestWrongAnswersAreErrors(t *testing.T) {
	w := serving(t, Work{Name: "small", Protocol: packet.TCP, Bytes: 100})[0]
	longer := w
	longer.Bytes = 101
	r, err := Do(t.Context(), job(longer, 8))
	if err != nil || r.Requests != 0 || r.Errors != 8 || !strings.Contains(r.Error, "100 bytes announced, want 101") {
		t.Errorf("longer: %+v, %v", r, err)
	}
	c := &clients{job: job(w, 1), body: bytes.Repeat([]byte{1}, w.Bytes)}
	c.job.Timeout = DefaultTimeout
	c.work(t.Context())
	if got := c.result(0); got.Errors != 1 || !strings.Contains(got.Error, "not the 100") {
		t.Errorf("other bytes: %+v", got)
	}
}

// TestConnectionsByRequest: Each says how many requests share a connection.
func TestConnectionsByRequest(t *testing.T) {
	w := serving(t, Work{Name: "some", Protocol: packet.TCP, Bytes: 10})[0]
	for each, want := range map[int]int64{1: 12, 3: 4, 0: 1} {
		w.Each = each
		c := &clients{job: job(w, 12), body: w.site().Body(0)}
		c.job.Timeout = DefaultTimeout
		c.work(t.Context())
		if got := c.connections.Load(); got != want || c.failures.Load() != 0 {
			t.Errorf("12 requests, %d on each: %d connections, want %d (%v)", each, got, want, c.first)
		}
	}
}

// TestConnectionsAfterAFailure: a connect that fails does not make a connection per request one for all.
func TestConnectionsAfterAFailure(t *testing.T) {
	w := serving(t, Work{Name: "some", Protocol: packet.TCP, Bytes: 10, Each: 1})[0]
	j := job(w, 12)
	j.Timeout = DefaultTimeout
	j.Targets = append(j.Targets, netip.MustParseAddr("255.255.255.255"))
	c := &clients{job: j, body: w.site().Body(0)}
	c.work(t.Context())
	if got := c.connections.Load(); got != 12 || c.failures.Load() != 6 {
		t.Errorf("12 requests, every other connect fails: %d connections, %d failures", got, c.failures.Load())
	}
}

// TestNobodyAnswers: a job does not wait for all of many failures.
func TestNobodyAnswers(t *testing.T) {
	r, err := Do(t.Context(), job(Work{Name: "none", Protocol: packet.TCP, Port: freePort(t), Bytes: 1}, 1_000_000))
	if err != nil || r.Requests != 0 || r.Errors < enough || r.Errors > enough+4 || r.Error == "" {
		t.Errorf("%+v, %v; want %d failures, and the first of them", r, err, enough)
	}
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	j := job(Work{Name: "lost", Protocol: packet.UDP, Port: uint16(silent.LocalAddr().(*net.UDPAddr).Port), Bytes: 9}, 4)
	j.Timeout = 20 * time.Millisecond
	if r, err := Do(t.Context(), j); err != nil || r.Errors != 4 || !strings.Contains(r.Error, "timeout") {
		t.Errorf("datagrams that are lost: %+v, %v", r, err)
	}
}

func TestJobIsChecked(t *testing.T) {
	good := job(Work{Name: "w", Protocol: packet.TCP, Port: 1, Bytes: 1}, 1)
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Job){
		"no target":        func(j *Job) { j.Targets = nil },
		"no request":       func(j *Job) { j.Requests = 0 },
		"nobody":           func(j *Job) { j.Concurrency = 0 },
		"timeout":          func(j *Job) { j.Timeout = -1 },
		"protocol":         func(j *Job) { j.Work.Protocol = packet.ICMP },
		"no bytes":         func(j *Job) { j.Work.Bytes = 0 },
		"no port":          func(j *Job) { j.Work.Port = 0 },
		"a large datagram": func(j *Job) { j.Work.Protocol, j.Work.Bytes = packet.UDP, maxDatagram+1 },
	} {
		j := good
		change(&j)
		if _, err := Do(t.Context(), j); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestClient: jobs in, results out, one line each.
func TestClient(t *testing.T) {
	w := serving(t, Work{Name: "some", Protocol: packet.TCP, Bytes: 10})[0]
	text, err := json.Marshal(job(w, 3))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := obey(t.Context(), strings.NewReader(string(text)+"\n"+string(text)+"\n"), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || lines[0] != helper.Ready || !strings.Contains(lines[2], `"requests":3,"errors":0`) {
		t.Errorf("two jobs were answered by %q", lines)
	}
	if err := obey(t.Context(), strings.NewReader("nonsense\n"), &out); err == nil {
		t.Error("nonsense was a job")
	}
}
