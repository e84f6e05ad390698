package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"lbctl/lb"

	"github.com/vishvananda/netlink"
)

// BenchmarkLoad loads services that track flows, all behind a gateway, into empty tables: 1,000 of 100
// replicas each and 10,000 of 10.
func BenchmarkLoad(b *testing.B) {
	for _, n := range [][2]int{{1000, 100}, {10_000, 10}} {
		b.Run(fmt.Sprintf("%dx%d", n[0], n[1]), func(b *testing.B) { load(b, many(n[0], n[1])) })
	}
}

func load(b *testing.B, services []lb.Service) {
	inNamespace(b)
	l := veth(b, "up", "10.255.0.1/24")
	neighbourAt(b, l, "10.255.0.9")
	route := netlink.Route{Dst: &net.IPNet{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, Gw: net.IPv4(10, 255, 0, 9)}
	if err := netlink.RouteAdd(&route); err != nil {
		b.Fatal(err)
	}
	d := open(b, Options{Limits: lb.Limits{Services: 1 << 14, Replicas: 1 << 17, Slots: 1 << 20}})
	for b.Loop() {
		for _, s := range services {
			if err := d.SetService(b.Context(), s); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		for _, s := range services {
			if err := d.RemoveService(b.Context(), s.VIP); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
}

// many returns services with replicas of their own.
func many(services, replicas int) (all []lb.Service) {
	for i := range services {
		s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 80), Protocol: 6}, Tracking: lb.TrackChanges}
		for r := range replicas {
			n := i*replicas + r
			a := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
			s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(a, 80)})
		}
		all = append(all, s.WithDefaults())
	}
	return all
}
