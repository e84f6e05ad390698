package simulate

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/cmd/nic/replay"
)

// 20 flows of 210 packets, 10 microseconds apart, frames of 1,500 bytes.
func TestRSSSimulateCapture(t *testing.T) {
	w := nictest.New(t, Command, replay.Command)
	file := w.Write("c.pcap", nictest.Capture(20))
	text := func(line string) run {
		var s answer
		decode(t, w.OK(append(strings.Fields("rss simulate -o json --pcap "+file), strings.Fields(line)...)...), &s)
		return s.Runs[0]
	}
	asItCame := text("")
	if asItCame.Offered != 210 || asItCame.Window != 2090*time.Microsecond+1 || math.Abs(asItCame.Rate-100_000) > 1e-6 {
		t.Errorf("as it came: %d packets in %v, %g a second, want 210 in 2.09 ms, 100,000", asItCame.Offered, asItCame.Window, asItCame.Rate)
	}
	faster := text("--rate 1000000")
	if faster.Offered != 210 || faster.Window != 209*time.Microsecond+1 {
		t.Errorf("ten times as fast: %d packets in %v, want 210 in 209 µs", faster.Offered, faster.Window)
	}
	// The queues are those of a replay.
	var replayed struct {
		Queues []struct{ Packets uint64 }
	}
	decode(t, w.OK("rss", "replay", file, "--queues", "3", "-o", "json"), &replayed)
	simulated := text("--queues 3")
	for i, q := range simulated.Queues {
		if uint64(q.Offered) != replayed.Queues[i].Packets {
			t.Errorf("queue %d: %d packets simulated, %d replayed", i, q.Offered, replayed.Queues[i].Packets)
		}
	}
}

// A capture that is cut short is used up to the cut, with a warning; one with a single time has no rate.
func TestRSSSimulateCaptureBad(t *testing.T) {
	w := nictest.New(t, Command, replay.Command)
	whole := nictest.Capture(3)
	cut := w.Write("cut.pcap", whole[:len(whole)-5])
	code, _, stderr := w.Run("rss", "simulate", "--pcap", cut)
	if code != cli.ExitDone || !strings.Contains(stderr, "the packets before it are used") {
		t.Errorf("a cut capture: exit %d, stderr %q", code, stderr)
	}
	for name, content := range map[string]string{"none": "no capture at all", "one": nictest.Capture(1)} {
		code, stdout, stderr := w.Run("rss", "simulate", "--pcap", w.Write(name, content))
		if code != cli.ExitUsage || stdout != "" || strings.Count(stderr, "\n") != 2 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", name, code, stdout, stderr)
		}
	}
	if code, _, _ := w.Run("rss", "simulate", "--pcap", "/none"); code != cli.ExitNotFound {
		t.Errorf("a file that does not exist: exit %d, want %d", code, cli.ExitNotFound)
	}
}

func decode(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}
