package replay

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// Every figure of a small capture, counted by hand.
func TestReport(t *testing.T) {
	n := mustNIC(t, 2)
	a, b := on(n, 0, 0), on(n, 1, 0)
	c := newCapture(pcap.Ethernet)
	for i := range 3 {
		f := packet.Frame{Flow: flowOf(a), Payload: make([]byte, 46)}.Marshal()
		c.add(time.Duration(i)*time.Second, f, 1500)
	}
	f := packet.Frame{Flow: flowOf(b)}.Marshal()
	c.add(3*time.Second, f, len(f))
	arp := append(make([]byte, 12), 0x08, 0x06, 0, 1)
	c.add(4*time.Second, arp, 60)
	got := run(t, c, Options{NIC: n, Top: 1})

	index := func(i int) int { return n.ClassifyFlow(flowOf(i)).Index }
	want := &Report{
		File: File{Format: "pcap (nanoseconds)", Records: 5}, Load: Load{5, 3*1500 + 54 + 60, 2}, Seconds: 4,
		Unhashed: Load{1, 60, 0}, UnhashedBy: []Unhashed{{Cause: "arp", Load: Load{1, 60, 0}}}, DefaultQueue: "0", Measure: Packets,
		Queues: []Queue{
			{0, Load{4, 4560, 1}, &[2]int{0, 2}},
			{1, Load{1, 54, 1}, &[2]int{0, 2}},
		},
		Imbalance: Imbalances{
			Packets: Imbalance{MaxMean: 1.6, CV: 0.6, Jain: 25. / 34, ByChance: &[2]float64{1.2, 2}},
			Bytes:   Imbalance{MaxMean: 2 * 4560. / 4614, CV: (4560 - 2307.) / 2307, Jain: 4614. * 4614 / 2 / (4560*4560 + 54*54)},
			Flows:   Imbalance{MaxMean: 1, CV: 0, Jain: 1, ByChance: &[2]float64{1, 2}},
		},
		Floor: 1,
		// The ARP packet stays on queue 0; three packets of one flow stay together.
		Best:     &Best{Now: 1.6, Buckets: 1.2, Hashes: 1.2, Flows: 1.2, LargestFlow: 0.6},
		Top:      []Flow{{flowOf(a).Source.String(), "192.0.2.1:80", "tcp", 0, 3, 4500, 0.6}},
		Affinity: []Violation{},
	}
	ignore := cmpopts.IgnoreFields(Report{}, "Buckets", "Verdict")
	if diff := cmp.Diff(want, got, ignore, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for i, bucket := range got.Buckets {
		load := Load{}
		switch i {
		case index(a):
			load = Load{3, 4500, 1}
		case index(b):
			load = Load{1, 54, 1}
		}
		if want := (Bucket{i, rss.Queue(i % 2), load}); bucket != want {
			t.Errorf("bucket %+v, want %+v", bucket, want)
		}
	}
}

// All packets are counted, whatever the batches in which they wait.
func TestEveryNumberOfPackets(t *testing.T) {
	n := mustNIC(t, 4)
	for _, packets := range []int{1, 63, 64, 65, 128, 1000} {
		c := newCapture(pcap.Ethernet)
		for i := range packets {
			c.add(0, packet.Frame{Flow: flowOf(i % 100)}.Marshal(), 60)
		}
		got := run(t, c, Options{NIC: n})
		var sum, buckets Load
		for _, q := range got.Queues {
			sum = Load{sum.Packets + q.Packets, sum.Bytes + q.Bytes, sum.Flows + q.Flows}
		}
		for _, b := range got.Buckets {
			buckets = Load{buckets.Packets + b.Packets, buckets.Bytes + b.Bytes, buckets.Flows + b.Flows}
		}
		want := Load{uint64(packets), uint64(packets) * 60, uint64(min(packets, 100))}
		if got.Load != want || sum != want || buckets != want {
			t.Errorf("%d packets: %+v, over queues %+v, over buckets %+v", packets, got.Load, sum, buckets)
		}
	}
}

func TestTop(t *testing.T) {
	c, want := newCapture(pcap.Ethernet), []uint64{}
	for i := range 30 {
		size := 1 + (i*17)%30 // every size once, not in order
		for range size {
			c.add(0, packet.Frame{Flow: flowOf(i)}.Marshal(), 1000-size)
		}
		want = append(want, uint64(size))
	}
	slices.Sort(want)
	slices.Reverse(want)
	for _, top := range []int{0, 1, 7, 30, 50} {
		got := run(t, c, Options{NIC: mustNIC(t, 4), Top: top})
		var packets []uint64
		for _, f := range got.Top {
			packets = append(packets, f.Packets)
		}
		if !slices.Equal(packets, want[:min(top, len(want))]) {
			t.Errorf("top %d: %v", top, packets)
		}
	}
	if got := run(t, c, Options{NIC: mustNIC(t, 4), Top: 1, Measure: Bytes}); got.Top[0].Bytes != 30*970 {
		t.Errorf("top by bytes: %+v", got.Top)
	}
}

// Each of two compared setups has the result that it has alone, and the packets that move are those on another queue.
func TestCompare(t *testing.T) {
	first, second := mustNIC(t, 4), mustNIC(t, 8)
	c := newCapture(pcap.Ethernet)
	moved := Load{}
	for i := range 500 {
		frame := packet.Frame{Flow: flowOf(i / 2)}.Marshal()
		c.add(0, frame, 60+i)
		if first.Classify(frame).Queue != second.Classify(frame).Queue {
			moved.add(uint64(60 + i))
			moved.Flows += uint64(1 - i%2)
		}
	}
	got := run(t, c, Options{NIC: first, Others: []Other{{Name: "eight", NIC: second}}})
	alone := run(t, c, Options{NIC: second})
	other := got.Compare[0]
	if other.Moved != moved || moved.Flows == 0 {
		t.Errorf("moved %+v, want %+v", other.Moved, moved)
	}
	want := Compared{
		Name: "eight", Moved: moved, Unhashed: alone.Unhashed, DefaultQueue: "0", Queues: alone.Queues, Buckets: alone.Buckets,
		Imbalance: alone.Imbalance, Floor: alone.Floor,
	}
	want.Imbalance.Packets.ByChance = nil // computed for the first only
	if diff := cmp.Diff(want, other); diff != "" {
		t.Errorf("beside the first (-alone +beside):\n%s", diff)
	}
}

func TestCutCapture(t *testing.T) {
	c := newCapture(pcap.Ethernet).frames(packet.Frame{Flow: flowOf(1)}, packet.Frame{Flow: flowOf(2)})
	c.Truncate(c.Len() - 1)
	got := run(t, c, Options{NIC: mustNIC(t, 4)})
	if got.Packets != 1 || got.File.Cut != "capture is cut short at byte 94: in the middle of a record" {
		t.Errorf("%d packets, cut %q", got.Packets, got.File.Cut)
	}
}

func TestRunRefuses(t *testing.T) {
	n := mustNIC(t, 4)
	c := newCapture(pcap.Ethernet)
	for name, o := range map[string]Options{
		"no nic":            {},
		"a measure":         {NIC: n, Measure: "flows"},
		"a negative window": {NIC: n, Window: -1},
		"a change to none":  {NIC: n, Change: &Change{}},
	} {
		r, err := pcap.Open(bytes.NewReader(c.Bytes()))
		must(t, err)
		if got, err := Run(t.Context(), r, o); err == nil {
			t.Errorf("%s: %+v, want an error", name, got)
		}
	}
	r, err := pcap.Open(bytes.NewReader(c.Bytes()))
	must(t, err)
	if _, err := Run(t.Context(), r, Options{NIC: n}); !errors.Is(err, ErrNoPackets) {
		t.Errorf("no packets: %v, want %v", err, ErrNoPackets)
	}
}

// Packets of known flows cost no allocation, and a new flow costs at most 200 bytes.
func TestMemory(t *testing.T) {
	const flows = 500_000
	source := newEndless(flows)
	before := heap()
	capture, err := pcap.Open(source)
	must(t, err)
	r := mustReplay(t, Options{NIC: mustNIC(t, 16), Queues: 16})
	var record pcap.Record
	for r.flows.Len() < flows*95/100 {
		must(t, capture.Next(&record))
		must(t, r.Add(&record))
	}
	if perFlow := float64(heap()-before) / float64(r.flows.Len()); perFlow > 200 {
		t.Errorf("%.0f bytes a flow, want at most 200", perFlow)
	}
	// The rest of the flows may still come, 64 to a batch.
	if a := testing.AllocsPerRun(10_000, func() {
		must(t, capture.Next(&record))
		must(t, r.Add(&record))
	}); a != 0 {
		t.Errorf("%v allocations a packet, want 0", a)
	}
	runtime.KeepAlive(r)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
