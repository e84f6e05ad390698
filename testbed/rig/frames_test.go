package rig_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"lbctl/rss/packet"
	"lbctl/rss/verify"
	"lbctl/testbed/netns"
)

// kinds are frames of each class that the verifier tells apart, of random flows.
func kinds(random *rand.Rand) map[verify.Class][]byte {
	four := func(p packet.Protocol) packet.Flow { return flowOf(random, p, true) }
	six := func(p packet.Protocol) packet.Flow { return flowOf(random, p, false) }
	other := four(packet.ICMP)
	other.Source, other.Destination = netip.AddrPortFrom(other.Source.Addr(), 0), netip.AddrPortFrom(other.Destination.Addr(), 0)
	payload := make([]byte, 16)
	later := four(packet.UDP)
	arp := make([]byte, 60)
	arp[12], arp[13] = 0x08, 0x06
	return map[verify.Class][]byte{
		verify.TCP4:          packet.Frame{Flow: four(packet.TCP)}.Marshal(),
		verify.UDP4:          packet.Frame{Flow: four(packet.UDP), Payload: payload}.Marshal(),
		verify.TCP6:          packet.Frame{Flow: six(packet.TCP)}.Marshal(),
		verify.UDP6:          packet.Frame{Flow: six(packet.UDP), Payload: payload}.Marshal(),
		verify.OtherIP:       packet.Frame{Flow: other, Payload: payload}.Marshal(),
		verify.FragmentFirst: packet.Frame{Flow: four(packet.UDP), Fragment: &packet.Fragment{More: true}, Payload: payload}.Marshal(),
		verify.FragmentLater: packet.Frame{Flow: later, Fragment: &packet.Fragment{Offset: 16}, Payload: payload}.Marshal(),
		verify.Options:       packet.Frame{Flow: four(packet.TCP), Options: []byte{1, 1, 1, 0}}.Marshal(),
		verify.Extensions:    packet.Frame{Flow: six(packet.TCP), Extensions: []packet.Extension{{Kind: packet.HopByHop}}}.Marshal(),
		verify.VLAN:          packet.Frame{Flow: four(packet.TCP), Tags: []packet.Tag{{ID: 7}}}.Marshal(),
		verify.NonIP:         arp,
	}
}

// flowOf returns a random flow.
func flowOf(random *rand.Rand, p packet.Protocol, v4 bool) packet.Flow {
	end := func() netip.AddrPort {
		var b [16]byte
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		b[0] = 0x20 // unicast in both families
		address := netip.AddrFrom16(b)
		if v4 {
			address = netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrPortFrom(address, uint16(1+random.UintN(65535)))
	}
	return packet.Flow{Source: end(), Destination: end(), Protocol: p}
}

// mixture returns frames of every class, rounds of each.
func mixture(t *testing.T, rounds int) [][]byte {
	t.Helper()
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	var frames [][]byte
	for range rounds {
		all := kinds(random)
		for _, class := range verify.Classes() { // in an order that the seed decides
			if frame, ok := all[class]; ok {
				if got := verify.ClassOf(frame); got != class {
					t.Fatalf("a frame made as %s is %s", class, got)
				}
				frames = append(frames, frame)
			}
		}
	}
	return frames
}

// send sends frames out of a link as they are.
func send(tb testing.TB, l netns.Link, frames [][]byte) {
	tb.Helper()
	check(tb, l.Namespace().Do(func() error {
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		for _, frame := range frames {
			if err := unix.Sendto(socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
				return err
			}
		}
		return nil
	}))
}
