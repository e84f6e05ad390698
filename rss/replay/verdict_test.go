package replay

import (
	"strings"
	"testing"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// many adds packets of a flow.
func (c *capture) many(n int, f packet.Frame) {
	b := f.Marshal()
	for range n {
		c.add(0, b, len(b))
	}
}

func TestVerdict(t *testing.T) {
	four := mustNIC(t, 4)
	even := newCapture(pcap.Ethernet)
	for q := range 4 {
		even.many(50, packet.Frame{Flow: flowOf(on(four, q, 0))})
	}
	elephant := newCapture(pcap.Ethernet)
	elephant.many(900, packet.Frame{Flow: flowOf(0)})
	table := newCapture(pcap.Ethernet) // flows of one queue, but of different entries
	seen := map[int]bool{}
	for i := 0; len(seen) < 8; i++ {
		if r := four.ClassifyFlow(flowOf(i)); r.Queue == 2 && !seen[r.Index] {
			seen[r.Index] = true
			table.many(10, packet.Frame{Flow: flowOf(i)})
		}
	}
	key := newCapture(pcap.Ethernet) // flows of one entry
	for i, found := 0, 0; found < 8; i++ {
		if four.ClassifyFlow(flowOf(i)).Index == 5 {
			found++
			key.many(10, packet.Frame{Flow: flowOf(i)})
		}
	}
	fields := newCapture(pcap.Ethernet) // many ports between two addresses, and only addresses hashed
	for port := range 8 {
		fields.many(10, packet.Frame{Flow: withPorts(flowOf(1), uint16(port+1), 80)})
	}
	config := four.Config()
	config.TCP4 = rss.Addresses
	addresses, err := nic.New(config)
	must(t, err)
	unhashed := newCapture(pcap.Ethernet)
	for range 90 {
		unhashed.add(0, append(make([]byte, 12), 0x08, 0x06), 60)
	}
	for q := range 4 {
		unhashed.many(1, packet.Frame{Flow: flowOf(on(four, q, 0))})
	}
	for _, c := range []struct {
		kind    string
		capture *capture
		nic     *nic.NIC
		text    string
	}{
		{"even", even, four, "1.00 of the mean"},
		{"one-queue", even, mustNIC(t, 1), "only one queue"},
		{"elephant", elephant, four, "100 % of the packets and cannot be split: it alone causes 4.00"},
		{"table", table, four, "4.00 of the mean, 1.00 is possible"},
		{"key", key, four, "No table of 128 entries helps"},
		{"fields", fields, addresses, "Hashing more fields may: the busiest queue has 4.00 of the mean, 1.00"},
		{"unhashed", unhashed, four, "96 % of the packets are not hashed"},
	} {
		got := run(t, c.capture, Options{NIC: c.nic})
		if got.Verdict.Kind != c.kind || !strings.Contains(got.Verdict.Text, c.text) {
			t.Errorf("%s: %+v, best %+v", c.kind, got.Verdict, got.Best)
		}
	}
}
