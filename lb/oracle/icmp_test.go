package oracle_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// icmp makes an ICMP message of either version.
func (w wire) icmp(source, destination netip.Addr, header [8]byte, body []byte) []byte {
	message, protocol, pseudo := slices.Concat(header[:], body), byte(1), []byte{}
	if !source.Is4() {
		protocol = 58
		length := binary.BigEndian.AppendUint32(nil, uint32(len(message)))
		pseudo = slices.Concat(source.AsSlice(), destination.AsSlice(), length, []byte{0, 0, 0, 58})
	}
	message[2], message[3] = 0, 0
	binary.BigEndian.PutUint16(message[2:], ^sum(pseudo, message))
	return w.carrying(protocol, source, destination, message)
}

// quoting makes an error about the packet of a flow, of which it quotes so many bytes.
func (w wire) quoting(from, to netip.Addr, inner wire, f packet.Flow, quoted int) []byte {
	header := [8]byte{3, 1}
	if !from.Is4() {
		header = [8]byte{1, 0}
	}
	inner.tags = nil
	ip := inner.frame(f)[14:]
	return w.icmp(from, to, header, ip[:min(quoted, len(ip))])
}

// quotes draws the packet that an error quotes, and how much of it: 8 bytes behind its header or more,
// but not half of a checksum, which would stay as it is.
func quotes(t *rapid.T, v4 bool) (inner wire, quoted int) {
	inner = drawWire(t, v4)
	header := 40
	if v4 {
		header = 20 + len(inner.extra)
	} else {
		inner.extra = nil
	}
	const halfOfTCP = 17
	l4 := rapid.IntRange(8, 60).Filter(func(n int) bool { return n != halfOfTCP }).Draw(t, "quoted")
	return inner, header + l4
}

// TestErrorToReplica: an error about what the VIP sent becomes one about what the replica sent.
func TestErrorToReplica(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t, 1500)
		w := drawWire(t, n.client.Addr().Is4())
		inner, quoted := quotes(t, n.client.Addr().Is4())
		router := rapid.SampledFrom([]netip.Addr{n.client.Addr(), n.client.Addr().Next()}).Draw(t, "router")
		v := n.Process(ingress, w.quoting(router, n.vip.Address.Addr(), inner, n.flow().Reverse(), quoted))
		if v.Reason != lb.ErrorForwarded {
			t.Fatalf("%v", v.Reason)
		}
		w.tags = nil
		to, f := n.vip.Address, n.flow()
		if n.mode == lb.NAT {
			to, f.Destination = n.replica, n.replica
		}
		if n.mode != lb.DSR {
			w.ttl--
		}
		want := onward(w.quoting(router, to.Addr(), inner, f.Reverse(), quoted))
		if n.mode == lb.IPIP {
			want = want[14:]
			v.Frame = v.Frame[14+overhead(n):]
		}
		same(t, v.Frame, want)
		counted(t, n, lb.ErrorForwarded)
	})
}

// TestErrorToClient: an error about what was sent to the replica becomes one about what the client sent to
// the VIP. It comes from the VIP if it came from the replica, else from the router that it came from.
func TestErrorToClient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "IPv4")
		n := newNetwork(t, v4, v4, lb.NAT, rapid.SampledFrom([]packet.Protocol{packet.TCP, packet.UDP}).Draw(t, "protocol"), 1500)
		w := drawWire(t, v4)
		inner, quoted := quotes(t, v4)
		rewritten := packet.Flow{Source: n.client, Destination: n.replica, Protocol: n.vip.Protocol}
		from, shown := n.replica.Addr(), n.vip.Address.Addr()
		if rapid.Bool().Draw(t, "from a router") {
			from, shown = from.Next(), from.Next()
		}
		v := n.Process(ingress, w.quoting(from, n.client.Addr(), inner, rewritten, quoted))
		if v.Reason != lb.ErrorReturned {
			t.Fatalf("%v", v.Reason)
		}
		w.tags, w.ttl = nil, w.ttl-1
		same(t, v.Frame, onward(w.quoting(shown, n.client.Addr(), inner, n.flow(), quoted)))
		counted(t, n, lb.ErrorReturned)
	})
}

// counted: errors are counted by reason only, and leave no record.
func counted(t failer, n network, r lb.Reason) {
	c, err := n.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if c.Reasons[r].Packets != 1 || c.Services[n.vip].Packets != 0 {
		t.Fatalf("%+v", c)
	}
	flows, err := n.Flows()
	if err != nil {
		t.Fatal(err)
	}
	if f := flows[n.vip].Replicas[n.replica]; !f.None() {
		t.Fatalf("%+v", f)
	}
}

// TestNotAboutAFlow has errors that are left to the kernel.
func TestNotAboutAFlow(t *testing.T) {
	n := newNetwork(t, true, true, lb.NAT, packet.TCP, 1500)
	client, vip := n.client.Addr(), n.vip.Address.Addr()
	const l3, quote = 14, 14 + 28
	right := wire{ttl: 9}.quoting(client, vip, wire{ttl: 9}, n.flow().Reverse(), 28)
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   lb.Reason
	}{
		"right":                  {func(b []byte) []byte { return b }, lb.ErrorForwarded},
		"type 5":                 {poke(l3+20, 5), lb.NotTCPUDP},
		"type 12":                {poke(l3+20, 12), lb.ErrorForwarded},
		"quoted version":         {poke(quote, 0x65), lb.NotTCPUDP},
		"quoted IHL 4":           {poke(quote, 0x44), lb.NotTCPUDP},
		"quoted IHL 6":           {poke(quote, 0x46), lb.NotTCPUDP}, // 4 bytes of ports only
		"quoted first fragment":  {poke(quote+6, 0x20), lb.ErrorForwarded},
		"quoted later fragment":  {poke(quote+7, 0x01), lb.NotTCPUDP},
		"quoted ICMP":            {poke(quote+9, 1), lb.NotTCPUDP},
		"quoted source":          {poke(quote+15, 9), lb.NotTCPUDP},
		"quoted port":            {poke(quote+20+1, 81), lb.NotOurs},
		"cut short in the ports": {func(b []byte) []byte { return poke(l3+3, 20+8+27)(b) }, lb.NotTCPUDP},
		"cut short in the IP":    {func(b []byte) []byte { return poke(l3+3, 20+8+19)(b) }, lb.NotTCPUDP},
		"cut short in ICMP":      {func(b []byte) []byte { return poke(l3+3, 20+7)(b) }, lb.MalformedL4},
		"TTL 1":                  {poke(l3+8, 1), lb.TTLExpired},
		"fragment":               {poke(l3+6, 0x20), lb.NotTCPUDP},
	} {
		if v := n.Process(ingress, c.change(slices.Clone(right))); v.Reason != c.want {
			t.Errorf("%s: %v, want %v", name, v.Reason, c.want)
		}
	}
}

// poke writes one byte.
func poke(at int, b byte) func([]byte) []byte {
	return func(frame []byte) []byte { frame[at] = b; return frame }
}

// TestEcho: the answer is what the VIP would send.
func TestEcho(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t, 1500)
		client, vip := n.client.Addr(), n.vip.Address.Addr()
		w := drawWire(t, client.Is4())
		w.extra = nil
		request, reply := [8]byte{8, 0, 0, 0, 1, 2, 3, 4}, [8]byte{0, 0, 0, 0, 1, 2, 3, 4}
		if !client.Is4() {
			request[0], reply[0] = 128, 129
		}
		v := n.Process(ingress, w.icmp(client, vip, request, w.payload))
		w.ttl = 64
		same(t, v.Frame, swapped(w.icmp(vip, client, reply, w.payload)))
		if v.Action != oracle.Transmit || v.Reason != lb.EchoAnswered || v.Egress != ingress {
			t.Fatalf("%v %v by %d", v.Action, v.Reason, v.Egress)
		}
	})
}

// swapped makes a frame go back where it came from.
func swapped(frame []byte) []byte {
	return slices.Concat(frame[6:12], frame[:6], frame[12:])
}
