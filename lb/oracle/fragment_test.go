package oracle_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// TestFragments: a packet in fragments, the first one first, is put together again by its replica
// as if it had come whole.
func TestFragments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "IPv4")
		n := newNetwork(t, v4, v4, lb.NAT, rapid.SampledFrom([]packet.Protocol{packet.TCP, packet.UDP}).Draw(t, "protocol"), 1500)
		w := drawWire(t, v4)
		w.extra, w.bits, w.tags, w.id = nil, 0, nil, 77
		cut := 8 * rapid.IntRange(3, 10).Draw(t, "cut")
		w.payload = append(w.payload, make([]byte, cut)...)
		pieces := fragments(w.frame(n.flow()), cut)
		if v := n.Process(ingress, pieces[1]); v.Reason != lb.FragmentOrphan {
			t.Fatalf("the later one first: %v", v.Reason)
		}
		var out [][]byte
		for _, piece := range pieces {
			v := n.Process(ingress, piece)
			if v.Reason != lb.Forwarded {
				t.Fatalf("%v", v.Reason)
			}
			out = append(out, v.Frame)
		}
		f := n.flow()
		f.Destination, w.ttl = n.replica, w.ttl-1
		want := fragments(w.frame(f), cut)
		same(t, out[0], onward(want[0]))
		same(t, out[1], onward(want[1]))
	})
}

// fragments cuts a packet in two.
func fragments(frame []byte, cut int) [2][]byte {
	ip := frame[14:]
	if ip[0]>>4 == 6 {
		return [2][]byte{
			fragmentV6(frame[:54], []byte{ip[6], 0, 0, 1, 0, 0, 0, 77}, ip[40:40+cut]),
			fragmentV6(frame[:54], []byte{ip[6], 0, byte(cut >> 8), byte(cut), 0, 0, 0, 77}, ip[40+cut:]),
		}
	}
	return [2][]byte{
		fragmentV4(frame[:34], 0x2000, ip[20:20+cut]), fragmentV4(frame[:34], uint16(cut/8), ip[20+cut:]),
	}
}

func fragmentV4(header []byte, bits uint16, data []byte) []byte {
	frame := slices.Concat(header, data)
	ip := frame[14:]
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(data)))
	binary.BigEndian.PutUint16(ip[6:], bits)
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:20]))
	return frame
}

func fragmentV6(header, extension, data []byte) []byte {
	frame := slices.Concat(header, extension, data)
	binary.BigEndian.PutUint16(frame[18:], uint16(8+len(data)))
	frame[20] = 44
	return frame
}

// TestFragmentKeys: a later fragment belongs to a first one of the same ends, identification and, in
// IPv4, protocol; and only a first one that is for a service or from a replica counts.
func TestFragmentKeys(t *testing.T) {
	n := newNetwork(t, true, true, lb.NAT, packet.UDP, 1500)
	w := wire{ttl: 9, id: 1, payload: make([]byte, 64)}
	other, answer := n.flow(), packet.Flow{Source: n.replica, Destination: n.client, Protocol: packet.UDP}
	other.Destination = n.replica
	later := func(f packet.Flow) []byte { return fragments(w.frame(f), 24)[1] }
	reasonOf := func(frame []byte) lb.Reason { return n.Process(ingress, frame).Reason }

	w.ttl = 1
	if r := reasonOf(fragments(w.frame(n.flow()), 24)[0]); r != lb.TTLExpired {
		t.Errorf("first: %v", r)
	}
	reasonOf(fragments(w.frame(other), 24)[0])
	reasonOf(fragments(w.frame(answer), 24)[0])
	w.ttl = 9
	elsewhere := n.flow()
	elsewhere.Source = n.replica
	for name, c := range map[string]struct {
		frame []byte
		want  lb.Reason
	}{
		"the same":       {later(n.flow()), lb.Forwarded},
		"another ID":     {poke(14+5, 2)(later(n.flow())), lb.FragmentOrphan},
		"TCP":            {poke(14+9, 6)(later(n.flow())), lb.FragmentOrphan},
		"ICMP":           {poke(14+9, 1)(later(n.flow())), lb.NotTCPUDP},
		"another source": {later(elsewhere), lb.FragmentOrphan},
		"not ours":       {later(other), lb.NotOurs},
		"answer":         {later(answer), lb.Returned},
	} {
		if r := reasonOf(c.frame); r != c.want {
			t.Errorf("%s: %v, want %v", name, r, c.want)
		}
	}
}

// TestFragmentNames: in IPv6 the later fragments of a packet may name another header than the first.
func TestFragmentNames(t *testing.T) {
	n := newNetwork(t, false, false, lb.NAT, packet.TCP, 1500)
	pieces := fragments(wire{ttl: 9, payload: make([]byte, 64)}.frame(n.flow()), 24)
	pieces[1][14+40] = 60
	for _, piece := range pieces {
		if v := n.Process(ingress, piece); v.Reason != lb.Forwarded {
			t.Errorf("%v", v.Reason)
		}
	}
}

// TestLaterFragmentTooBig: nobody is told, as nothing shows what it is of.
func TestLaterFragmentTooBig(t *testing.T) {
	n := newNetwork(t, false, false, lb.DSR, packet.UDP, 1280)
	pieces := fragments(wire{ttl: 9, payload: make([]byte, 1400)}.frame(n.flow()), 24)
	for i, want := range []lb.Reason{lb.Forwarded, lb.TooBig} {
		if v := n.Process(ingress, pieces[i]); v.Reason != want {
			t.Errorf("piece %d: %v, want %v", i, v.Reason, want)
		}
	}
}

// TestLaterFragmentsLeaveNoTrace: they say nothing of whether a flow goes on.
func TestLaterFragmentsLeaveNoTrace(t *testing.T) {
	n := newNetwork(t, true, true, lb.NAT, packet.UDP, 1500)
	pieces := fragments(wire{ttl: 9, payload: make([]byte, 64)}.frame(n.flow()), 24)
	for _, piece := range pieces {
		n.Process(ingress, piece)
	}
	flows, err := n.Flows()
	if err != nil {
		t.Fatal(err)
	}
	if f := flows[n.vip].Replicas[n.replica]; f != (lb.ReplicaFlows{HalfOpen: 1}) {
		t.Errorf("%+v", f)
	}
}
