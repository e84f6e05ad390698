package checkpath_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/checkpath"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"

	"golang.org/x/sys/unix"
)

// wire reads what the balancer sends, at its port of the switch.
type wire struct{ socket int }

func (b *bed) wire() wire {
	b.Helper()
	var w wire
	l, err := b.fabric.Link("port0")
	must(b.TB, err)
	must(b.TB, b.fabric.Do(func() (err error) {
		all := binary.BigEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
		all = all<<8 | all>>8
		if w.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return unix.Bind(w.socket, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Index})
	}))
	b.Cleanup(func() { unix.Close(w.socket) })
	return w
}

// sent returns the frames that came from the balancer so far and are to a unicast MAC address.
func (w wire) sent(t *testing.T) (all [][]byte) {
	t.Helper()
	for b := make([]byte, 1<<16); ; {
		n, from, err := unix.Recvfrom(w.socket, b, 0)
		if errors.Is(err, unix.EAGAIN) {
			return all
		}
		must(t, err)
		if l := from.(*unix.SockaddrLinklayer); l.Pkttype != unix.PACKET_OUTGOING && b[0]&1 == 0 {
			all = append(all, slices.Clone(b[:n]))
		}
	}
}

// oneRoute is that of every address.
type oneRoute struct{ to oracle.Route }

func (r oneRoute) Route(netip.Addr) (oracle.Route, bool) { return r.to, true }

// forwarded is the frame that the balancer sends of a client's frame with such a packet, to the first replica by a route.
func forwarded(t *testing.T, s lb.Service, ip []byte, r oracle.Route) []byte {
	t.Helper()
	s.Replicas, s.TableSize, s.VIP.Protocol = s.Replicas[:1], 1, packet.Protocol(ip[9])
	if ip[0]>>4 == 6 {
		s.VIP.Protocol = packet.Protocol(ip[6])
	}
	d := oracle.New(oracle.Config{Routes: oneRoute{r}, Interfaces: map[string]int{"eth0": 1}, MTUs: map[int]int{1: 1500}})
	must(t, d.SetService(t.Context(), s))
	frame := append(make([]byte, 12), 8, 0)
	if ip[0]>>4 == 6 {
		frame = append(make([]byte, 12), 0x86, 0xdd)
	}
	v := d.Process(1, append(frame, ip...))
	if v.Reason != lb.Forwarded {
		t.Fatalf("a client's packet is %v", v.Reason)
	}
	return v.Frame
}

// carried is the packet that a frame of the service brings to its replica, as a client's comes in.
func carried(s lb.Service, f []byte) []byte {
	bytes := 14
	if s.Mode == lb.IPIP {
		bytes += s.Overhead(s.Replicas[0].Address.Addr())
	}
	ip := slices.Clone(f[bytes:])
	if s.Mode == lb.IPIP {
		oneHopLess(ip)
	}
	return ip
}

// oneHopLess makes a packet one that has not been routed yet by the balancer.
func oneHopLess(ip []byte) {
	if ip[0]>>4 == 6 {
		ip[7]++
		return
	}
	ip[8]++
	sum := uint32(^binary.BigEndian.Uint16(ip[10:])) + 0x100 // RFC 1624
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
}

// What a check sends is byte for byte what the balancer would make of a client's packets with the same flow.
func TestFramesAreThoseOfClients(t *testing.T) {
	sources := service(lb.IPIP, lb.GUE, false, false)
	sources.TunnelSources = netip.MustParsePrefix("10.9.0.0/24")
	all := services()
	all["sources"] = sources
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.open(checkpath.Options{})
			b.hold(0, s)
			b.serve(0, s.VIP.Address.Addr())
			b.well(s, 0) // the neighbour is known
			w := b.wire()
			w.sent(t)
			b.well(s, 0)
			own := netip.MustParseAddr("10.0.0.254")
			if s.Replicas[0].Address.Addr().Is6() {
				own = netip.MustParseAddr("2001:db8::254")
			}
			compared := 0
			for _, f := range w.sent(t) {
				if etherType := binary.BigEndian.Uint16(f[12:]); etherType != 0x800 && etherType != 0x86dd || len(f) < 14+28 || isNeighbourDiscovery(f) {
					continue
				}
				r := oracle.Route{Interface: "eth0", Index: 1, MTU: 1500, Source: lb.MAC(f[6:12]), Neighbour: lb.MAC(f[:6]), Preferred: own}
				if want := forwarded(t, s, carried(s, f), r); !bytes.Equal(f, want) {
					t.Errorf("sent\n%x, want\n%x", f, want)
				}
				compared++
			}
			if compared < 8 { // handshakes, requests, ends
				t.Errorf("compared %d frames", compared)
			}
		})
	}
}

func isNeighbourDiscovery(f []byte) bool { return f[12] == 0x86 && f[14+6] == unix.IPPROTO_ICMPV6 }
