package doctor

import (
	"net/netip"
	"testing"

	"lbctl/lb"

	"github.com/google/go-cmp/cmp"
)

func TestVIP(t *testing.T) {
	held := func(on string) func(*Facts) {
		return func(f *Facts) {
			f.VIPs[0].Held = []Held{{on, netip.PrefixFrom(f.VIPs[0].Address, f.VIPs[0].Address.BitLen())}}
		}
	}
	near := func(f *Facts) { f.VIPs[0].OnLink = "eth0" }
	try(t, healthy, []aCase{
		{"held", held("lo"), []string{
			"warning 192.0.2.1 vip: an address of lo, and eth0 does not take packets from own addresses | sysctl -w net.ipv4.conf.all.accept_local=1",
		}},
		{"held, and taken", func(f *Facts) { held("lo")(f); f.Sysctl["net/ipv4/conf/all/accept_local"] = 1 }, []string{
			"ok 192.0.2.1 vip: an address of lo, and packets from it are taken",
		}},
		{"near, and nobody answers", near, []string{
			"warning 192.0.2.1 vip: in the network of eth0, and nobody answers for it there | ip address add 192.0.2.1/32 dev lo && sysctl -w net.ipv4.conf.all.accept_local=1",
		}},
	})
	try(t, healthyDSR, []aCase{
		{"held in dsr", held("lo"), []string{"ok 192.0.2.1 vip: an address of lo"}},
		{"near in dsr", near, []string{
			"warning 192.0.2.1 vip: in the network of eth0, and nobody answers for it there | ip address add 192.0.2.1/32 dev lo",
		}},
	})
	try(t, healthy6, []aCase{{"held, IPv6", held("lo"), []string{"ok 2001:db8::1 vip: an address of lo"}}})
}

func TestReplicaAddress(t *testing.T) {
	route := func(change func(*Route)) func(*Facts) { return func(f *Facts) { change(&f.Replicas[0].Route) } }
	const wrong = "10.1.0.1 return-path: not visible from here: the replica's route to clients must lead here | ip route get CLIENT @ on the replica 10.1.0.1"
	try(t, healthy, []aCase{
		{"no route", route(func(r *Route) { *r = Route{} }), []string{"problem 10.1.0.1 route: none | ip route add 10.1.0.1/32 via GATEWAY dev IFACE"}},
		{"local", route(func(r *Route) { *r = Route{Kind: Local} }), []string{
			"problem 10.1.0.1 address: it is an address of this machine | # run the replica on another machine, or in another network namespace",
		}},
		{"the VIP", func(f *Facts) { f.VIPs[0].Address = f.Replicas[0].Address }, []string{
			"problem 10.1.0.1 address: it is a VIP: packets to it come back here | lbctl get services",
			"ok 10.1.0.1 vip: not an address here: routers must send it here",
		}},
		{"behind a router", route(func(r *Route) { r.Gateway = netip.MustParseAddr("10.1.0.9") }), []string{
			"unknown " + wrong, "ok 10.1.0.1 route: by eth1, via 10.1.0.9", "ok 10.1.0.1 neighbour: 10.1.0.9 is reachable",
		}},
		{"does not answer", route(func(r *Route) { r.Neighbour = "failed" }), []string{
			"problem 10.1.0.1 neighbour: 10.1.0.1 does not answer on eth1 | ping -c 1 -w 3 -I eth1 10.1.0.1",
		}},
		{"nobody asked", route(func(r *Route) { r.Neighbour = "" }), []string{
			"unknown 10.1.0.1 neighbour: nobody has asked for 10.1.0.1 on eth1 yet; a running daemon does | ping -c 1 -w 3 -I eth1 10.1.0.1",
		}},
		{"being asked", route(func(r *Route) { r.Neighbour = "incomplete" }), []string{
			"unknown 10.1.0.1 neighbour: nobody has asked for 10.1.0.1 on eth1 yet; a running daemon does | ping -c 1 -w 3 -I eth1 10.1.0.1",
		}},
		{"not read", route(func(r *Route) { r.Interface = "eth7" }), []string{
			"unknown 10.1.0.1 egress: eth7 cannot be read | ip link show dev eth7", "ok 10.1.0.1 route: by eth7, on the link",
		}},
		{"not attached", func(f *Facts) { f.Interfaces[1].Named = false }, []string{
			"problem 10.1.0.1 egress: answers come in by eth1, which is not attached | lbctl attach eth1",
		}},
		{"attached, not named", func(f *Facts) { f.Interfaces[1].Named, f.Interfaces[1].Ours = false, true }, nil},
	})
	try(t, healthyDSR, []aCase{
		{"not attached in dsr", func(f *Facts) { f.Interfaces[1].Named = false }, nil},
		{"behind a router in dsr", route(func(r *Route) { r.Gateway = netip.MustParseAddr("10.1.0.9") }), []string{
			"problem 10.1.0.1 on-link: behind the router 10.1.0.9 | # set mode: ipip for the service",
			"ok 10.1.0.1 route: by eth1, via 10.1.0.9", "ok 10.1.0.1 neighbour: 10.1.0.9 is reachable",
		}},
		{"without VIPs", func(f *Facts) { f.VIPs = nil }, []string{"ok host services: VIPs: 0, replicas: 1"}},
	})
}

func TestPathMTU(t *testing.T) {
	tunnelled := func() Facts { f := healthy(); in(lb.IPIP)(&f); f.Replicas[0].Route.MTU = 1520; return f }
	mtu := func(n int) func(*Facts) { return func(f *Facts) { f.Replicas[0].Route.MTU = n } }
	try(t, healthy, []aCase{
		{"narrow", func(f *Facts) { mtu(1400)(f); f.Interfaces[1].MTU = 1400 }, []string{
			"warning 10.1.0.1 path-mtu: packets of 1500 bytes come, 1400 fit | ip link set dev eth1 mtu 1500   # after all others on that link, 10.1.0.1 first: ip link set dev IFACE mtu 1500", "ok eth1 mtu: 1400",
		}},
		{"a narrow route", mtu(1400), []string{
			"warning 10.1.0.1 path-mtu: packets of 1500 bytes come, 1400 fit: the route's own mtu is the limit | ip route get 10.1.0.1",
		}},
		{"a narrow route, one arm", func(f *Facts) { mtu(1400)(f); f.Interfaces = f.Interfaces[1:] }, []string{
			"warning 10.1.0.1 path-mtu: packets of 1500 bytes come, 1400 fit: the route's own mtu is the limit | ip route get 10.1.0.1",
		}},
	})
	try(t, tunnelled, []aCase{
		{"one byte short", mtu(1519), []string{
			"warning 10.1.0.1 path-mtu: packets of 1500 bytes come, 1499 fit | ip link set dev eth1 mtu 1520   # after all others on that link, 10.1.0.1 first: ip link set dev IFACE mtu 1520",
		}},
		{"UDP outside", func(f *Facts) { f.Replicas[0].UDP = true }, []string{
			"warning 10.1.0.1 path-mtu: packets of 1500 bytes come, 1492 fit | ip link set dev eth1 mtu 1528   # after all others on that link, 10.1.0.1 first: ip link set dev IFACE mtu 1528",
		}},
		{"IPv6 outside", func(f *Facts) { f.Replicas[0].Address = netip.MustParseAddr("2001:db8:1::1") }, []string{
			"warning 2001:db8:1::1 path-mtu: packets of 1500 bytes come, 1480 fit | ip link set dev eth1 mtu 1540   # after all others on that link, 2001:db8:1::1 first: ip link set dev IFACE mtu 1540",
			"ok 2001:db8:1::1 address: another machine's", "ok 2001:db8:1::1 route: by eth1, on the link", "ok 2001:db8:1::1 egress: eth1",
			"ok 2001:db8:1::1 neighbour: 2001:db8:1::1 is reachable",
		}},
		{"IPv6 outside for another one", func(f *Facts) {
			mtu(1500)(f)
			f.Replicas = append(f.Replicas, Replica{Address: netip.MustParseAddr("2001:db8:1::1"), Mode: lb.IPIP, Route: Route{Kind: Routed, Interface: "eth1", MTU: 1540, Neighbour: "reachable"}})
		}, []string{
			"warning 10.1.0.1 path-mtu: packets of 1500 bytes come, 1480 fit | ip link set dev eth1 mtu 1540   # after all others on that link, 10.1.0.1 first: ip link set dev IFACE mtu 1540",
			"ok host services: VIPs: 1, replicas: 2", "ok 2001:db8:1::1 address: another machine's", "ok 2001:db8:1::1 route: by eth1, on the link",
			"ok 2001:db8:1::1 egress: eth1", "ok 2001:db8:1::1 neighbour: 2001:db8:1::1 is reachable", "ok 2001:db8:1::1 path-mtu: 1540 of 1540 bytes",
		}},
		{"a veth whose peer is here", func(f *Facts) { mtu(1500)(f); veth(&f.Interfaces[1]); f.Interfaces[1].Peer.XDP = mine(Native) }, []string{
			"warning 10.1.0.1 path-mtu: packets of 1500 bytes come, 1480 fit | ip link set dev eth1-peer mtu 1520 && ip link set dev eth1 mtu 1520",
			"ok eth1 driver: veth has native XDP", "ok eth1 send-back: its peer eth1-peer has an XDP program",
			"ok eth1 sender-checksums: eth1-peer: off", "ok eth1 queues: 1, for 4 CPUs",
		}},
		{"one arm", func(f *Facts) { f.Interfaces = f.Interfaces[1:]; mtu(1500)(f) }, []string{
			"warning 10.1.0.1 path-mtu: packets of 1500 bytes come, 1480 fit | lbctl doctor --on-replica --mode ipip --vip VIP IFACE @ on the replica 10.1.0.1",
		}},
	})
}

// Links to replicas are wider than that of clients: what fits one of them is not what clients send by another.
func TestPathMTUOfTwoLinks(t *testing.T) {
	f := healthy()
	in(lb.IPIP)(&f)
	f.Interfaces = append(f.Interfaces, nic("eth2"))
	f.Replicas = append(f.Replicas, f.Replicas[0])
	f.Replicas[1].Address, f.Replicas[1].Route.Interface = netip.MustParseAddr("10.2.0.1"), "eth2"
	for n := range 2 {
		f.Interfaces[n+1].MTU, f.Replicas[n].Route.MTU = 1520, 1520
	}
	var found []string
	for _, x := range Examine(f) {
		if x.Name == "path-mtu" {
			found = append(found, line(x))
		}
	}
	want := []string{"ok 10.1.0.1 path-mtu: 1520 of 1520 bytes", "ok 10.2.0.1 path-mtu: 1520 of 1520 bytes"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("path-mtu (-want +got):\n%s", diff)
	}
}
