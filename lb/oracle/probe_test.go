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

// summed adds up an IP packet without options or extension headers.
func summed(t *testing.T, f packet.Flow, ip []byte) {
	t.Helper()
	header := 40
	if f.Source.Addr().Is4() {
		if header = 20; sum(ip[:header]) != 0xffff {
			t.Errorf("%v: sum of IPv4 %#x", f, sum(ip[:header]))
		}
	}
	l4 := ip[header:]
	pseudo := []byte{0, byte(f.Protocol), 0, byte(len(l4))}
	if got := sum(f.Source.Addr().AsSlice(), f.Destination.Addr().AsSlice(), pseudo, l4); got != 0xffff {
		t.Errorf("%v: sum %#x", f, got)
	}
}

// TestSum has the example of RFC 1071, section 3.
func TestSum(t *testing.T) {
	if got := sum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != 0xddf2 {
		t.Errorf("%#04x, want 0xddf2", got)
	}
}

// sum adds up 16-bit words with end-around carry; a last odd byte counts as a high one, and only
// the last part may have one.
func sum(parts ...[]byte) uint16 {
	var n uint64
	for _, b := range parts {
		for i, c := range b {
			n += uint64(c) << (8 * (1 - i%2))
		}
	}
	if n == 0 {
		return 0
	}
	return uint16((n-1)%0xffff + 1)
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
