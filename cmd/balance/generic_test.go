package balance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"

	"lbctl/control/api"
)

// TestSuperPackets is TCP in mode generic between hosts that leave segmentation and checksums to hardware, as every veth
// does by default: whole megabytes get through both ways, nobody is told that segments are too big that will be cut, and
// what the balancer's kernel cuts itself has right checksums, which its receivers verify.
func TestSuperPackets(t *testing.T) {
	data := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for _, cuts := range []string{"by the receiver's link", "in the balancer's kernel"} {
		t.Run("cut "+cuts, func(t *testing.T) {
			b, outer := newHosts(t, 0)
			must(t, outer.OffloadsOn())
			for n, r := range b.replicas {
				inner, err := r.Link("eth0")
				must(t, err, inner.OffloadsOn())
				for _, address := range []string{"10.%d.0.1", "[2001:db8:%d::1]"} {
					b.echoTCP(n, aMode{vip: netip.MustParseAddrPort(fmt.Sprintf(address+":7", n+1)).Addr()})
				}
			}
			if cuts == "by the receiver's link" {
				for n := range 3 {
					l, err := b.balancer.Link(fmt.Sprint("eth", n))
					must(t, err, l.OffloadsOn())
				}
			}
			b.daemon(`interfaces: [{name: eth0, mode: generic}, {name: eth1, mode: generic}, {name: eth2, mode: generic}]
services:
  - {name: v4, vip: "192.0.2.1:7", replicas: [{address: "10.1.0.1:7"}, {address: "10.2.0.1:7"}]}
  - {name: v6, vip: "[2001:db8:f::1]:7", replicas: [{address: "[2001:db8:1::1]:7"}, {address: "[2001:db8:2::1]:7"}]}
`)
			for k, vip := range []string{"192.0.2.1", "2001:db8:f::1"} {
				b.echoes(aMode{vip: netip.MustParseAddr(vip)}, 41000+k, data)
			}
			var counters api.Counters
			must(t, json.Unmarshal([]byte(b.OK("get", "counters", "-o", "json")), &counters))
			r := reasonsOf(counters.Reasons)
			if r["super_packet_passed"] == 0 || r["too_big_answered"] > 0 || r["too_big"] > 0 || r["super_packet"] > 0 {
				t.Errorf("the balancer counted %v", r)
			}
		})
	}
}

// echoes sends data to a VIP and wants the same back.
func (b *modesBed) echoes(m aMode, port int, data []byte) {
	b.T.Helper()
	c := b.dial("tcp", m, port)
	defer c.Close()
	go c.Write(data)
	first := make([]byte, len(served(0, c.LocalAddr())))
	back := make([]byte, len(data))
	if _, err := io.ReadFull(c, first); err != nil {
		b.T.Fatalf("%v: read who serves: %v", m.vip, err)
	}
	if n, err := io.ReadFull(c, back); err != nil || !bytes.Equal(back, data) {
		b.T.Errorf("%v: %d of %d bytes came back, %v", m.vip, n, len(data), err)
	}
}
