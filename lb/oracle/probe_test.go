package oracle_test

import (
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// TestFrameOf: the frames of probes show their flow, and have the checksums of RFC 9293, section 3.1, and RFC 768.
func TestFrameOf(t *testing.T) {
	for _, f := range probedFlows() {
		for _, syn := range []bool{false, true} {
			frame, err := oracle.FrameOf(lb.Probe{Flow: f, SYN: syn})
			if err != nil {
				t.Fatal(err)
			}
			summed(t, f, frame[14:])
			e, err := oracle.New(oracle.Config{}).Explain(lb.Probe{Frame: frame})
			if err != nil {
				t.Fatal(err)
			}
			if e.Reason != lb.NotOurs || e.Flow != f || !slices.Equal(e.Before, frame) {
				t.Errorf("%v: %+v", f, e)
			}
			const flags = 7 // from the end
			if f.Protocol == packet.TCP && (frame[len(frame)-flags] == 0x02) != syn {
				t.Errorf("%v: flags %#x", f, frame[len(frame)-flags])
			}
		}
	}
}

// summed checks the checksums of an IP packet without options or extension headers.
func summed(t *testing.T, f packet.Flow, ip []byte) {
	t.Helper()
	header := 40
	if f.Source.Addr().Is4() {
		if header = 20; packet.Checksum(ip[:header]) != 0 {
			t.Errorf("%v: the header's checksum is wrong: % x", f, ip)
		}
	}
	if packet.TransportChecksum(f.Source.Addr(), f.Destination.Addr(), f.Protocol, ip[header:]) != 0 {
		t.Errorf("%v: the checksum is wrong: % x", f, ip)
	}
}

// probedFlows are flows of each IP version and protocol.
func probedFlows() (all []packet.Flow) {
	six := packet.Flow{
		Source:      netip.MustParseAddrPort("[2001:db8:1::1]:40000"),
		Destination: netip.MustParseAddrPort("[2001:db8::1]:80"),
	}
	for _, f := range []packet.Flow{flow, six} {
		for _, p := range []packet.Protocol{packet.TCP, packet.UDP} {
			f.Protocol = p
			all = append(all, f)
		}
	}
	return all
}
