package replay

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// FuzzReplay checks for any capture that there is no panic, that every packet and flow is on one queue, and that no
// violation is larger than the capture.
func FuzzReplay(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, link := range []pcap.LinkType{pcap.Ethernet, pcap.LinuxSLL2} {
		c := newCapture(link)
		for range 20 {
			c.add(0, anyFrame(random), 60)
		}
		f.Add(c.Bytes())
	}
	inner := packet.Frame{Flow: flowOf(1)}
	f.Add(newCapture(pcap.Ethernet).frames(vxlan(1, inner), vxlan(2, inner), pieceOf(flowOf(2), 1, 0, true), pieceOf(flowOf(2), 1, 72, false)).Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		capture, err := pcap.Open(bytes.NewReader(file))
		if err != nil {
			return
		}
		n := mustNIC(t, 4)
		p, err := Run(t.Context(), capture, Options{
			NIC: n, Top: 3, Window: time.Second, Change: &Change{Packet: 10, Table: rss.Table{1, 0, 5}},
			Others: []Other{{Name: "two", NIC: mustNIC(t, 2)}},
		})
		if err != nil {
			return
		}
		var sum Load
		for _, q := range p.Queues {
			sum = Load{sum.Packets + q.Packets, sum.Bytes + q.Bytes, sum.Flows + q.Flows}
		}
		if sum != p.Load {
			t.Errorf("%+v over queues, %+v in all", sum, p.Load)
		}
		var windows uint64
		for _, w := range p.Windows.List {
			windows += w.Packets
		}
		var causes uint64
		for _, u := range p.UnhashedBy {
			causes += u.Packets
		}
		if causes != p.Unhashed.Packets {
			t.Errorf("%d packets by cause, %d without a hash", causes, p.Unhashed.Packets)
		}
		if windows != p.Packets {
			t.Errorf("%d packets in windows, %d in all", windows, p.Packets)
		}
		for _, v := range p.Affinity {
			if v.Flows == 0 || v.Packets > p.Packets {
				t.Errorf("%v of %d packets", v, p.Packets)
			}
		}
	})
}
