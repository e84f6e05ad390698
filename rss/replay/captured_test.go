package replay

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// snapped returns frames as a capture with a snapshot length has them.
func snapped(frames [][]byte, snap int) *capture {
	c := newCapture(pcap.Ethernet)
	for _, b := range frames {
		c.add(0, b[:min(snap, len(b))], len(b))
	}
	return c
}

// A capture with a snapshot length gives the answer of the whole one, less the packets of which it says that they are not
// predicted; with enough bytes for the ports, all of it.
func TestSnapshotLength(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	var frames [][]byte
	for range 400 {
		frames = append(frames, anyFrame(random))
	}
	n := mustNIC(t, 8)
	whole := run(t, snapped(frames, 1<<16), Options{NIC: n, Top: 5})
	for _, snap := range []int{96, 78, 74} {
		got := run(t, snapped(frames, snap), Options{NIC: n, Top: 5})
		if got.Unpredicted != (Load{}) {
			t.Errorf("%d bytes: %+v not predicted", snap, got.Unpredicted)
		}
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Errorf("%d bytes (-whole +cut):\n%s", snap, diff)
		}
	}
	for _, snap := range []int{68, 54, 38, 37, 34, 20, 14} {
		got := run(t, snapped(frames, snap), Options{NIC: n})
		if got.Unpredicted.Packets == 0 || got.Packets+got.Unpredicted.Packets != whole.Packets || got.Bytes+got.Unpredicted.Bytes != whole.Bytes {
			t.Errorf("%d bytes: %+v predicted, %+v not, of %+v", snap, got.Load, got.Unpredicted, whole.Load)
		}
		for q := range got.Queues {
			if got.Queues[q].Packets > whole.Queues[q].Packets {
				t.Errorf("%d bytes: %d packets on queue %d, whole %d", snap, got.Queues[q].Packets, q, whole.Queues[q].Packets)
			}
		}
	}
	reader, err := pcap.Open(bytes.NewReader(snapped(frames, 13).Bytes()))
	must(t, err)
	if _, err := Run(t.Context(), reader, Options{NIC: n}); err == nil || !strings.Contains(err.Error(), ErrUnpredicted.Error()) {
		t.Errorf("13 bytes of each: %v, want %v", err, ErrUnpredicted)
	}
}

// A packet that one of two setups cannot predict is in the figures of neither.
func TestUnpredictedBesideAnother(t *testing.T) {
	config := mustNIC(t, 4).Config()
	config.TCP4 = rss.Addresses
	addresses, err := nic.New(config)
	must(t, err)
	frames := [][]byte{packet.Frame{Flow: flowOf(1)}.Marshal(), packet.Frame{Flow: flowOf(2)}.Marshal()}
	c := snapped(frames, 34)
	if got := run(t, c, Options{NIC: addresses}); got.Packets != 2 || got.Unpredicted.Packets != 0 {
		t.Errorf("addresses alone: %+v, %+v not predicted", got.Load, got.Unpredicted)
	}
	c.add(0, frames[0], len(frames[0]))
	got := run(t, c, Options{NIC: addresses, Others: []Other{{Name: "4-tuple", NIC: mustNIC(t, 4)}}})
	if got.Packets != 1 || got.Unpredicted.Packets != 2 || sumOf(got.Compare[0].Queues).Packets != 1 {
		t.Errorf("beside 4-tuples: %+v, %+v not predicted, other %+v", got.Load, got.Unpredicted, sumOf(got.Compare[0].Queues))
	}
}

func sumOf(queues []Queue) (sum Load) {
	for _, q := range queues {
		sum = Load{sum.Packets + q.Packets, sum.Bytes + q.Bytes, sum.Flows + q.Flows}
	}
	return sum
}

// Super-packets belong to their flow, and are counted apart.
func TestSuperPackets(t *testing.T) {
	n := mustNIC(t, 8)
	c := newCapture(pcap.Ethernet)
	for i := range 4 {
		small := packet.Frame{Flow: flowOf(i), Payload: make([]byte, 200)}.Marshal()
		c.add(0, small, len(small))
		small[16], small[17] = 0, 0 // the length of the IPv4 header
		c.add(0, small, 70000)
	}
	got := run(t, c, Options{NIC: n})
	if got.Super != (Load{Packets: 4, Bytes: 4 * 70000}) || got.Unhashed.Packets != 0 || got.Flows != 4 {
		t.Errorf("super-packets %+v, %+v without a hash, %d flows", got.Super, got.Unhashed, got.Flows)
	}
	for q, load := range got.Queues {
		want := uint64(0)
		for i := range 4 {
			if int(n.ClassifyFlow(flowOf(i)).Queue) == q {
				want += 2
			}
		}
		if load.Packets != want {
			t.Errorf("queue %d: %d packets, want %d", q, load.Packets, want)
		}
	}
}

// What comes before the damage is kept, and the damage is named.
func TestDamagedCapture(t *testing.T) {
	for name, spoil := range map[string]func(c *capture){
		"absurd length at byte 164": func(c *capture) { c.Bytes()[164+8+3] = 0x7f },
		"not a capture":             nil,
	} {
		frames := []packet.Frame{{Flow: flowOf(1)}, {Flow: flowOf(2)}, {Flow: flowOf(3)}}
		c := newCapture(pcap.Ethernet).frames(frames...)
		file := c.Bytes()
		if spoil != nil {
			spoil(c)
		} else {
			file = gzipped(t, file)
			file[len(file)-6] ^= 1 // the checksum
		}
		reader, err := pcap.Open(bytes.NewReader(file))
		must(t, err)
		got, err := Run(t.Context(), reader, Options{NIC: mustNIC(t, 4)})
		if err != nil || got.Packets < 2 || !strings.Contains(got.File.Damage, name) || got.File.Cut != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	c := newCapture(pcap.Ethernet).frames(packet.Frame{Flow: flowOf(1)})
	c.Bytes()[24+8+3] = 0x7f
	reader, err := pcap.Open(bytes.NewReader(c.Bytes()))
	must(t, err)
	if got, err := Run(t.Context(), reader, Options{NIC: mustNIC(t, 4)}); err == nil {
		t.Errorf("damaged from the first record on: %+v, want an error", got)
	}
}

// The load without a hash goes with entry 0 where the NIC does so, in the figures and in what is planned from them.
func TestUnhashedWithEntryZero(t *testing.T) {
	config := mustNIC(t, 4).Config()
	config.DefaultQueue.FirstEntry, config.Table[0] = true, 2
	n, err := nic.New(config)
	must(t, err)
	c := newCapture(pcap.Ethernet)
	for range 5 {
		c.add(0, append(make([]byte, 12), 0x08, 0x06), 60)
	}
	lldp := append(make([]byte, 12), 0x88, 0xcc)
	c.add(0, lldp, 60)
	c.frames(packet.Frame{Flow: flowOf(1)})
	got := run(t, c, Options{NIC: n, Others: []Other{{Name: "the same", NIC: n}}})
	want := []Unhashed{{"arp", Load{Packets: 5, Bytes: 300}, ""}, {"other-ethertype", Load{Packets: 1, Bytes: 60}, "ethertype-0x88cc"}}
	if diff := cmp.Diff(want, got.UnhashedBy); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
	for _, buckets := range [][]Bucket{got.Buckets, got.Compare[0].Buckets} {
		if buckets[0].Packets != 6 {
			t.Errorf("entry 0 has %d packets, want 6", buckets[0].Packets)
		}
	}
	if got.Queues[2].Packets < 6 || got.DefaultQueue != "entry-0" || got.Verdict.Kind != "unhashed" || !strings.Contains(got.Verdict.Text, "queue 2, which entry 0") {
		t.Errorf("queue 2: %+v, default queue %s, verdict %+v", got.Queues[2], got.DefaultQueue, got.Verdict)
	}
	observed := got.Observed()
	if sum := observed.Fixed(Packets); sum[0]+sum[1]+sum[2]+sum[3] != 0 {
		t.Errorf("load that no table moves: %v, want none", sum)
	}
}

// A default queue that is not queue 0 has the load, in the figures and in what is planned from them.
func TestUnhashedOnQueue(t *testing.T) {
	config := mustNIC(t, 2).Config()
	config.DefaultQueue.Queue = 5
	n, err := nic.New(config)
	must(t, err)
	c := newCapture(pcap.Ethernet).frames(packet.Frame{Flow: flowOf(1)})
	c.add(0, append(make([]byte, 12), 0x08, 0x06), 60)
	got := run(t, c, Options{NIC: n})
	observed := got.Observed()
	if len(got.Queues) != 6 || got.Queues[5].Packets != 1 || observed.Fixed(Packets)[5] != 1 {
		t.Errorf("queues %+v, fixed %v", got.Queues, observed.Fixed(Packets))
	}
}
