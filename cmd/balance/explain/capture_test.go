package explain

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
)

// captureOf is a capture of n packets, of which the captured part is at most snap bytes, with some bytes behind.
func captureOf(t *testing.T, n, snap int, behind ...byte) *pcap.Reader {
	t.Helper()
	var b bytes.Buffer
	w, err := pcap.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		frame := packet.Frame{Flow: packet.Flow{
			Source:      netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), uint16(1+i)),
			Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
		}}.Marshal()
		if err := w.Write(pcap.Packet{Interface: "eth0", Frame: frame[:min(snap, len(frame))], Length: len(frame)}); err != nil {
			t.Fatal(err)
		}
	}
	b.Write(behind)
	capture, err := pcap.Open(&b)
	if err != nil {
		t.Fatal(err)
	}
	return capture
}

// TestCapture: packets come explained, in their order, and whole; the daemon is asked about a batch at once.
func TestCapture(t *testing.T) {
	const n, snap = 2*batch + 1, 48
	var asked []int
	var next uint64
	x := &Capture{
		Interface: "eth0", Queue: func([]byte, *packet.Headers, error) *rss.Queue { q := rss.Queue(3); return &q },
		Ask: func(probes []api.Probe) (all []api.Explanation, err error) {
			asked = append(asked, len(probes))
			for _, p := range probes {
				h, err := packet.Parse(p.Frame)
				if err != nil || len(p.Frame) != 54 || p.Interface != "eth0" {
					t.Fatalf("probe of %d bytes on %s: %v", len(p.Frame), p.Interface, err)
				}
				e := api.Explanation{Reason: "forwarded", Replica: h.Flow.Source.String()}
				if h.Flow.Source.Port()%4 == 0 {
					e = api.Explanation{Error: "no such interface", Replica: e.Replica}
				}
				all = append(all, e)
			}
			return all, nil
		},
		Packets: func(packets []Packet) error {
			for _, p := range packets {
				next++
				from := netip.MustParseAddrPort(p.Explanation.Replica)
				if p.Number != next || uint64(from.Port()) != next || *p.Queue != 3 || p.Bytes != 54 {
					t.Fatalf("packet %d: %+v", next, p)
				}
			}
			return nil
		},
	}
	summary, file, err := x.Read(captureOf(t, n, snap))
	if err != nil || file.Format != "pcapng" || next != n {
		t.Fatalf("%d packets of a %s: %v", next, file.Format, err)
	}
	if diff := cmp.Diff([]int{batch, batch, 1}, asked); diff != "" {
		t.Errorf("asked about (-want +got):\n%s", diff)
	}
	want := Summary{Packets: n, Cut: n, Reasons: []Reason{{"forwarded", 1501, 1501. / n}, {NotExplained, 500, 500. / n}}}
	if diff := cmp.Diff(want, summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// What is before a damaged place is explained, and the damage named.
func TestDamagedCapture(t *testing.T) {
	x := &Capture{
		Ask:     func(probes []api.Probe) ([]api.Explanation, error) { return make([]api.Explanation, len(probes)), nil },
		Packets: func([]Packet) error { return nil },
	}
	summary, file, err := x.Read(captureOf(t, 3, 60, 6, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0))
	if err != nil || summary.Packets != 3 || file.Damage == "" {
		t.Errorf("%+v, %+v, %v", summary, file, err)
	}
}

func TestCaptureFails(t *testing.T) {
	broken := errors.New("broken")
	answers := func(n int, err error) *Capture {
		return &Capture{
			Ask:     func([]api.Probe) ([]api.Explanation, error) { return make([]api.Explanation, n), err },
			Packets: func([]Packet) error { return broken },
		}
	}
	if _, _, err := answers(0, nil).Read(captureOf(t, 0, 0)); !errors.Is(err, replay.ErrNoPackets) {
		t.Errorf("no packets: %v", err)
	}
	if _, _, err := answers(0, broken).Read(captureOf(t, 1, 60)); !errors.Is(err, broken) {
		t.Errorf("a daemon that fails: %v", err)
	}
	if _, _, err := answers(1, nil).Read(captureOf(t, 2, 60)); err == nil || errors.Is(err, broken) {
		t.Errorf("an answer too few: %v", err)
	}
	if _, _, err := answers(1, nil).Read(captureOf(t, 1, 60)); !errors.Is(err, broken) {
		t.Errorf("output that fails: %v", err)
	}
}
