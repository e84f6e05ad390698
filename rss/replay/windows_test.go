package replay

import (
	"testing"
	"time"

	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

func TestWindows(t *testing.T) {
	n := mustNIC(t, 2)
	zero, one := on(n, 0, 0), on(n, 1, 0)
	c := newCapture(pcap.Ethernet)
	for _, p := range []struct {
		at   time.Duration
		flow int
	}{{0, zero}, {999 * time.Millisecond, one}, {time.Second, one}, {3500 * time.Millisecond, one}, {500 * time.Millisecond, zero}} {
		c.add(p.at, packet.Frame{Flow: flowOf(p.flow)}.Marshal(), 100)
	}
	got := run(t, c, Options{NIC: n, Window: time.Second}).Windows
	want := [][]uint64{{2, 1}, {0, 1}, {0, 0}, {0, 1}}
	if got.Seconds != 1 || len(got.List) != len(want) {
		t.Fatalf("windows %+v", got)
	}
	for i, w := range got.List {
		if w.Start != float64(i) || w.Queues[0] != want[i][0] || w.Queues[1] != want[i][1] || w.Packets != want[i][0]+want[i][1] || w.Bytes != 100*w.Packets {
			t.Errorf("window %d: %+v, want %v", i, w, want[i])
		}
	}
	if got.List[0].MaxMean != 4./3 || got.List[2].MaxMean != 0 {
		t.Errorf("max/mean %v and %v", got.List[0].MaxMean, got.List[2].MaxMean)
	}
}

// The number of windows is bounded, and none of the load is lost when they widen.
func TestWindowsWiden(t *testing.T) {
	for _, queues := range []int{1, 4, 65536} {
		w := newWindows(time.Second, queues)
		times := []time.Duration{0, time.Second, 100 * time.Second, 5 * time.Hour, 3 * time.Second, maxSpan, maxSpan - 1}
		for _, at := range times {
			w.add(at, queues-1, 10)
		}
		if len(w.list) > w.most || len(w.list)*queues > maxCells {
			t.Errorf("%d windows of %d queues", len(w.list), queues)
		}
		total := Load{}
		for i, loads := range w.list {
			for _, l := range loads {
				total.Packets, total.Bytes = total.Packets+l.Packets, total.Bytes+l.Bytes
			}
			for _, at := range times {
				if int(at/w.width) == i && loads[queues-1].Packets == 0 {
					t.Errorf("nothing in window %d of %v, in which %v is", i, w.width, at)
				}
			}
		}
		if total.Packets != uint64(len(times)) || total.Bytes != 10*total.Packets {
			t.Errorf("%+v in all windows, want %d packets", total, len(times))
		}
	}
}

// Times far from the first one are ignored, unless the first one is wrong.
func TestAbsurdTimes(t *testing.T) {
	const year = 365 * 24 * time.Hour
	base := int64(1_700_000_000e9)
	for name, c := range map[string]struct {
		times  []time.Duration
		since  time.Duration
		absurd uint64
	}{
		"steady":             {[]time.Duration{0, 1, 2}, 2, 0},
		"one far ahead":      {[]time.Duration{0, 1, 40 * year, 3}, 3, 1},
		"one far behind":     {[]time.Duration{0, 1, -40 * year, 3}, 3, 1},
		"the first is wrong": {[]time.Duration{-40 * year, 5, 6, 7, 9}, 3, 1},
		"backwards":          {[]time.Duration{5, 0}, 0, 0},
	} {
		var k clock
		for _, at := range c.times {
			k.see(&pcap.Record{Time: base + int64(at), Timed: true})
		}
		k.see(&pcap.Record{})
		if k.since != c.since || k.absurd != c.absurd {
			t.Errorf("%s: %v since the first, %d absurd; want %v, %d", name, k.since, k.absurd, c.since, c.absurd)
		}
	}
}
