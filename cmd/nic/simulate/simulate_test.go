package simulate

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss/sim"
)

func TestMain(m *testing.M) { nictest.Main(m) }

// simulated runs lbctl rss simulate for 20 ms and returns what it prints as JSON.
func simulated(t *testing.T, w *clitest.World, line string) answer {
	t.Helper()
	text := w.OK(append(strings.Fields("rss simulate --duration 20ms -o json "), strings.Fields(line)...)...)
	var s answer
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRSSSimulate(t *testing.T) {
	w := nictest.New(t, Command)
	first, again, other := simulated(t, w, "--queues 3 --cores 2"), simulated(t, w, "--queues 3 --cores 2"), simulated(t, w, "--queues 3 --cores 2 --seed 2")
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("seed 1 twice:\n%s", diff)
	}
	if cmp.Equal(first.Runs, other.Runs) {
		t.Error("seeds 1 and 2 give the same")
	}
	r := first.Runs[0]
	if len(first.Runs) != 1 || len(r.Cores) != 2 || len(r.Queues) != 3 || r.Queues[2].Core != 0 || r.Window != 18*time.Millisecond {
		t.Errorf("got %+v", first)
	}
	if r.Offered == 0 || r.Offered != r.Delivered+r.RingDrops+r.SocketDrops {
		t.Errorf("packets: %+v", r)
	}
	// 64 bytes cost 1503 ns of packet work and application.
	if want := 0.5 * 2 / 1503.125e-9; math.Abs(r.Rate-want) > 1 {
		t.Errorf("a load of 0.5 is %g packets/s, want %g", r.Rate, want)
	}
	table := w.OK(strings.Fields("rss simulate --duration 20ms --queues 3 --cores 2")...)
	for _, want := range []string{"mode              napi\n", "a load of 0.5\n", "\nCORE  DELIVERED/S", "\nQUEUE  CORE  OFFERED"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
}

// TestRSSSimulateFlags: every flag has an effect in the right direction.
func TestRSSSimulateFlags(t *testing.T) {
	w := nictest.New(t, Command)
	base := simulated(t, w, "").Runs[0]
	p99 := func(r run) float64 { return float64(r.Latency.P99) }
	busiest := func(r run) float64 {
		return float64(slices.MaxFunc(r.Queues, func(a, b queue) int { return int(a.Offered) - int(b.Offered) }).Offered) / float64(r.Offered)
	}
	loss := func(r run) float64 { return r.Loss }
	for _, c := range []struct {
		flags string
		of    func(run) float64
		more  bool
	}{
		{"--load 0.7", func(r run) float64 { return r.Throughput }, true},
		{"--rate 500000", func(r run) float64 { return r.Throughput }, false},
		{"--usecs 50", func(r run) float64 { return r.Interrupts }, false},
		{"--frames 2", func(r run) float64 { return r.Interrupts }, true},
		{"--adaptive", func(r run) float64 { return r.Interrupts }, false},
		{"--mode busypoll", p99, false},
		{"--mode threaded", func(r run) float64 { return r.Switches }, true},
		{"--mode interrupt", func(r run) float64 { return r.Interrupts }, true},
		{"--traffic bursts", p99, true},
		{"--traffic uniform", p99, false},
		{"--traffic elephants --elephant-share 0.6", busiest, true},
		{"--traffic zipf --skew 1.5", busiest, true},
		{"--traffic flood", busiest, false},
		{"--flows 1", busiest, true},
		{"--length 1500", func(r run) float64 { return r.Rate }, false},
		{"--length imix", func(r run) float64 { return r.Rate }, false},
		{"--ring 2", loss, true},
		{"--traffic bursts --socket-queue 2", loss, true},
		{"--load 1.2 --app-cost 0", func(r run) float64 { return r.Throughput }, true},
		{"--switch-cost 0s", func(r run) float64 { return r.Time.Switching }, false},
		{"--interrupt-cost 3us", func(r run) float64 { return r.Time.Interrupt }, true},
		{"--poll-cost 1us", func(r run) float64 { return r.Time.Softirq / r.Throughput }, true},
		{"--kib-cost 1us", func(r run) float64 { return r.Time.Softirq / r.Throughput }, true},
		{"--load 4 --app-share 80 --slice 200us", func(r run) float64 { return r.Time.Application }, true},
		{"--queues 8", func(r run) float64 { return float64(len(r.Cores)) }, true},
		{"--cores 1", func(r run) float64 { return float64(len(r.Cores)) }, false},
		{"--warmup 10ms", func(r run) float64 { return float64(r.Window) }, false},
	} {
		got, was := c.of(simulated(t, w, c.flags).Runs[0]), c.of(base)
		if c.more && got <= was || !c.more && got >= was {
			t.Errorf("%s: %g, without %g; want more: %t", c.flags, got, was, c.more)
		}
	}
}

func TestRSSSimulateSweep(t *testing.T) {
	w := nictest.New(t, Command)
	s := simulated(t, w, "--mode napi,interrupt,napi --sweep load=0.1..1.3:5")
	var got []float64
	for _, r := range s.Runs {
		got = append(got, *r.Value)
	}
	if diff := cmp.Diff([]float64{0.1, 0.4, 0.7, 1, 1.3, 0.1, 0.4, 0.7, 1, 1.3}, got); diff != "" || s.Parameter != "load" {
		t.Errorf("%s of (-want +got):\n%s", s.Parameter, diff)
	}
	for i, r := range s.Runs {
		if math.Abs(r.Load-got[i]) > 1e-9 || string(r.Mode) != []string{"napi", "interrupt"}[i/5] {
			t.Errorf("run %d: %s at %g, want %g", i, r.Mode, r.Load, got[i])
		}
	}
	// A livelock: more offered, less delivered.
	if a, b := s.Runs[6].Throughput, s.Runs[9].Throughput; b > a/2 {
		t.Errorf("interrupt: %g/s of 0.4, %g/s of 1.3", a, b)
	}
	s = simulated(t, w, "--sweep queues=1..4:20")
	if len(s.Runs) != 4 || len(s.Runs[3].Queues) != 4 || len(s.Runs[0].Cores) != 1 {
		t.Errorf("whole numbers: %d runs", len(s.Runs))
	}
	if s = simulated(t, w, "--duration 5ms --sweep table=64..65:4"); len(s.Runs) != 2 {
		t.Errorf("whole numbers: %d runs of two tables", len(s.Runs))
	}
	lines := strings.Split(w.OK(strings.Fields("rss simulate --duration 5ms --sweep usecs=0..100:3 --frames 0")...), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "MODE  USECS  OFFERED/S") || !strings.HasPrefix(lines[3], "napi  100    ") {
		t.Errorf("table:\n%s", strings.Join(lines, "\n"))
	}
}

func TestRSSSimulateReport(t *testing.T) {
	w := nictest.New(t, Command)
	for _, line := range []string{"", "--mode interrupt,napi --sweep load=0.2..1.2:3", "--mode busypoll,napi"} {
		dir := filepath.Join(t.TempDir(), "report")
		w.OK(strings.Fields("rss simulate --duration 5ms --out " + dir + " " + line)...)
		text, err := os.ReadFile(filepath.Join(dir, "report.json"))
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Pass    bool
			Figures []string
		}
		if err := json.Unmarshal(text, &r); err != nil || !r.Pass {
			t.Errorf("%s: %v, pass %t", line, err, r.Pass)
		}
		for _, name := range append(r.Figures, "report.html") {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if bad := []string{"NaN", "Inf"}; strings.HasSuffix(name, ".svg") {
				wellFormed(t, name, content)
				for _, word := range bad {
					if strings.Contains(string(content), word) {
						t.Errorf("%s of %q holds %s", name, line, word)
					}
				}
			}
		}
	}
}

func wellFormed(t *testing.T, name string, content []byte) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(string(content))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestRSSSimulateBadInput: the exit code, one line what and one line what to do.
func TestRSSSimulateBadInput(t *testing.T) {
	w := nictest.New(t, Command)
	w.Write("file", "")
	const help = "see lbctl rss simulate --help"
	for _, c := range []struct{ line, what, hint string }{
		{"--mode napy", `--mode: mode "napy" is not known: want one of interrupt, napi, threaded, busypoll`, "did you mean --mode napi?"},
		{"--mode=", "--mode: none is named", help},
		{"--load 0", "--load: 0: want more than 0, at most 1000", help},
		{"--load NaN", "--load: NaN: want more than 0, at most 1000", help},
		{"--load 1 --rate 5", "--load and --rate: want one of them", help},
		{"--rate -1", "make load: rate of -1 packets/s: want more than 0, at most 1e+09", help},
		{"--packet-cost 0s --app-cost 0s --kib-cost 0s", "--load: packets cost the cores no time: want a --rate", help},
		{"--queues 0", "--queues: 0: want 1 to 65536", help},
		{"--cores 5", "--cores: 5: want 1 to 4, the number of queues", help},
		{"--ring 0", "ring of 0 packets: want 1 to 65536", help},
		{"--socket-queue 100000", "socket of 100000 packets: want 1 to 65536", help},
		{"--usecs -1", "--usecs: -1: want 0 to 1000000", help},
		{"--usecs 0", "interrupt after 256 frames without a delay: fewer would wait forever; want a delay too", help},
		{"--app-cost -1ns", "application cost of -1ns: want 0 to 1s", help},
		{"--app-share 0", "slice of 2.8ms with a share of 0 %: want a time above 0 and 1 to 99 %", help},
		{"--duration 0s", "--duration: 0s: want a time above 0", help},
		{"--warmup 1s", "warm-up of 1s in 500ms: want it shorter than the whole", help},
		{"--traffic poison", `--traffic: "poison" is not known`, "did you mean --traffic poisson?"},
		{"--flows 0", "make load: 0 flows: want 1 to 16777216", help},
		{"--traffic elephants --elephants 1000", "make load: 1000 elephants of 1000 flows: want at least one, and one flow that is none", help},
		{"--length big", `--length: "big": want a number of bytes, or imix`, help},
		{"--length 5", "make load: frames of 5 bytes: want 14 to 65535", help},
		{"--profile none", "", help},
		{"--sweep laod=1..2", `--sweep: "laod" is not a flag to sweep`, "did you mean load?"},
		{"--sweep duration=1..2", `--sweep: "duration" is not a flag to sweep`, ""},
		{"--sweep load", `--sweep: "load": want NAME=FROM..TO:STEPS with FROM below TO and 2 to 1000 STEPS`, help},
		{"--sweep load=2..1", `--sweep: "load=2..1": want NAME=FROM..TO:STEPS with FROM below TO and 2 to 1000 STEPS`, help},
		{"--sweep load=1..2:1", `--sweep: "load=1..2:1": want NAME=FROM..TO:STEPS with FROM below TO and 2 to 1000 STEPS`, help},
		{"--sweep load=1..Inf:3", `--sweep: "load=1..Inf:3": want NAME=FROM..TO:STEPS with FROM below TO and 2 to 1000 STEPS`, help},
		{"--sweep load=-1..1:3", "--load: -1: want more than 0, at most 1000", help},
		{"--sweep load=1..2 --load 1", "--sweep load and --load: want one of them", help},
		{"extra", `unexpected argument "extra"`, help},
		{"--laod 1", "unknown flag --laod", "did you mean --load?"},
	} {
		t.Run(c.line, func(t *testing.T) {
			code, stdout, stderr := w.Run(append([]string{"rss", "simulate"}, strings.Fields(c.line)...)...)
			what, hint, _ := strings.Cut(strings.TrimSuffix(stderr, "\n"), "\n  ")
			if c.what != "" && what != "lbctl: "+c.what || c.hint != "" && hint != c.hint || hint == "" || strings.Contains(hint, "\n") {
				t.Errorf("stderr\n%s want\n%s\n%s", stderr, c.what, c.hint)
			}
			if code != cli.ExitUsage || stdout != "" {
				t.Errorf("exit %d, stdout %q", code, stdout)
			}
		})
	}
	code, _, stderr := w.Run(strings.Fields("rss simulate --duration 1ms --out " + w.Path("file") + "/x")...)
	if code != cli.ExitFailed || !strings.Contains(stderr, "name another folder with --out") {
		t.Errorf("a report below a file: exit %d, %s", code, stderr)
	}
}

// The quantiles are those of their names: of the times 1 to 1000 us, each once.
func TestLatencyQuantiles(t *testing.T) {
	h := sim.NewHistogram()
	for i := range 1000 {
		h.Record(time.Duration(i+1) * time.Microsecond)
	}
	got := newLatency(h)
	for name, c := range map[string]struct{ got, want time.Duration }{
		"p50": {got.P50, 500 * time.Microsecond}, "p99": {got.P99, 990 * time.Microsecond}, "p999": {got.P999, 999 * time.Microsecond},
		"max": {got.Max, 1000 * time.Microsecond},
	} {
		if c.got < c.want || float64(c.got) > float64(c.want)*(1+sim.HistogramError) {
			t.Errorf("%s = %v, want %v", name, c.got, c.want)
		}
	}
}
