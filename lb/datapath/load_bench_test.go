package datapath

import (
	"net"
	"net/netip"
	"testing"

	"lbctl/lb"

	"github.com/vishvananda/netlink"
)

// BenchmarkLoad loads 1,000 services of 100 replicas each, all behind a gateway, into
// empty tables.
func BenchmarkLoad(b *testing.B) {
	inNamespace(b)
	l := veth(b, "up", "10.255.0.1/24")
	neighbourAt(b, l, "10.255.0.9")
	route := netlink.Route{Dst: &net.IPNet{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, Gw: net.IPv4(10, 255, 0, 9)}
	if err := netlink.RouteAdd(&route); err != nil {
		b.Fatal(err)
	}
	d := open(b, Options{Limits: lb.Limits{Services: 1 << 10, Replicas: 1 << 17, Slots: 1 << 20}})
	services := many(1000, 100)
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
		s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 80), Protocol: 6}}
		for r := range replicas {
			n := i*replicas + r
			a := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
			s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(a, 80)})
		}
		all = append(all, s.WithDefaults())
	}
	return all
}
