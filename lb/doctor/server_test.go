package doctor

import (
	"net/netip"
	"testing"

	"lbctl/lb"
)

// serving are the facts of a replica that eth0 leads to, in a mode, with the VIP on lo.
func serving(m lb.Mode) func() Facts {
	return func() Facts {
		vip := netip.MustParsePrefix("192.0.2.1/32")
		f := Facts{
			OnReplica: true, Mode: m, Interfaces: []Interface{nic("eth0")},
			VIPs:     []VIP{{Address: vip.Addr(), Mode: m, Held: []Held{{"lo", vip}}}},
			Default4: Default{Interface: "eth0", Gateway: netip.MustParseAddr("10.1.0.254"), AdvMSS: 1420},
			Default6: Default{Interface: "eth0", Gateway: netip.MustParseAddr("fe80::1")},
			Sysctl: Sysctls{
				"net/ipv4/conf/all/rp_filter": 1, "net/ipv4/conf/eth0/rp_filter": 0, "net/ipv4/conf/tunl0/rp_filter": 2,
				"net/ipv4/conf/all/arp_ignore": 1, "net/ipv4/conf/eth0/arp_ignore": 0,
				"net/ipv4/conf/all/arp_announce": 0, "net/ipv4/conf/eth0/arp_announce": 2,
			},
		}
		if m == lb.IPIP {
			f.Interfaces[0].XDP = XDP{Mode: Native, Program: Decapsulator, ID: 5}
		}
		return f
	}
}

func TestServingIsHealthy(t *testing.T) {
	for _, m := range []lb.Mode{lb.NAT, lb.DSR, lb.IPIP} {
		for _, x := range Examine(serving(m)()) {
			if x.Severity != OK {
				t.Errorf("mode %v: %s", m, line(x))
			}
		}
	}
}

func TestDSRReplica(t *testing.T) {
	try(t, serving(lb.DSR), []aCase{
		{"no VIP", func(f *Facts) { f.VIPs[0].Held = nil }, []string{"problem 192.0.2.1 vip-held: no interface has it | ip address add 192.0.2.1/32 dev lo"}},
		{"answers ARP", sysctl("net/ipv4/conf/all/arp_ignore", 0), []string{
			"problem eth0 arp-ignore: net.ipv4.conf.eth0.arp_ignore is 0 | sysctl -w net.ipv4.conf.eth0.arp_ignore=1",
		}},
		{"announces", sysctl("net/ipv4/conf/eth0/arp_announce", 1), []string{
			"problem eth0 arp-announce: net.ipv4.conf.eth0.arp_announce is 1 | sysctl -w net.ipv4.conf.eth0.arp_announce=2",
		}},
		{"not readable", func(f *Facts) { delete(f.Sysctl, "net/ipv4/conf/eth0/arp_ignore") }, []string{
			"unknown eth0 arp-ignore: net.ipv4.conf.eth0.arp_ignore cannot be read | sysctl net.ipv4.conf.eth0.arp_ignore",
		}},
		{"the VIP where ARP comes in", func(f *Facts) { f.VIPs[0].Held[0] = Held{"eth0", netip.MustParsePrefix("192.0.2.1/24")} }, []string{
			"problem eth0 arp-ignore: 192.0.2.1 is on eth0 itself, which answers for it | ip address del 192.0.2.1/24 dev eth0 && ip address add 192.0.2.1/32 dev lo",
			"ok 192.0.2.1 vip-held: on eth0",
		}},
		{"IPv6 on lo needs no more", func(f *Facts) {
			f.VIPs[0].Address = netip.MustParseAddr("2001:db8::1")
			f.Sysctl["net/ipv4/conf/all/arp_ignore"], f.Sysctl["net/ipv4/conf/eth0/arp_announce"] = 0, 0
		}, []string{"ok eth0 arp-ignore: only IPv6", "ok eth0 arp-announce: only IPv6", "ok 2001:db8::1 vip-held: on lo"}},
		{"clients by another interface", func(f *Facts) { f.Default4.Interface = "eth9" }, []string{
			"problem eth0 rp-filter: strict, and the default route is not by eth0 | sysctl -w net.ipv4.conf.eth0.rp_filter=2",
		}},
		{"rp_filter not readable", func(f *Facts) { delete(f.Sysctl, "net/ipv4/conf/eth0/rp_filter") }, []string{
			"unknown eth0 rp-filter: cannot be read | sysctl net.ipv4.conf.eth0.rp_filter",
		}},
	})
}

// decapsulating makes eth0, which has the address 10.1.0.1, decapsulate what comes to another, for VIPs.
func decapsulating(local string, vips ...string) func(*Facts) {
	return func(f *Facts) {
		u := &Decapsulation{Locals: []netip.Addr{netip.MustParseAddr(local)}, Own: []netip.Addr{netip.MustParseAddr("10.1.0.1")}}
		for _, v := range vips {
			u.VIPs = append(u.VIPs, netip.MustParseAddr(v))
		}
		f.Interfaces[0].Decapsulation = u
	}
}

// inUDP makes eth0, with that MTU, decapsulate UDP, too.
func inUDP(mtu, advMSS int) func(*Facts) {
	return func(f *Facts) {
		decapsulating("10.1.0.1")(f)
		f.Interfaces[0].Decapsulation.Ports = []uint16{6080}
		f.Interfaces[0].MTU, f.Default4.MTU, f.Default4.AdvMSS = mtu, 1500, advMSS
	}
}

func TestIPIPReplica(t *testing.T) {
	bare := func(f *Facts) { f.Interfaces[0].XDP = XDP{} }
	tunnel := func(up bool) func(*Facts) {
		return func(f *Facts) { bare(f); f.Tunnels = []Tunnel{{Name: "tunl0", Kind: "ipip", Up: up}} }
	}
	try(t, serving(lb.IPIP), []aCase{
		{"nothing decapsulates", bare, []string{
			"problem eth0 decapsulation: neither the program lb_decap nor a tunnel | lbctl decap attach eth0 --vip 192.0.2.1", "ok eth0 tunnel-rp-filter: not strict",
		}},
		{"a program that is not visible", func(f *Facts) { f.Interfaces[0].XDP.Program = "" }, []string{
			"unknown eth0 decapsulation: this user may not see what is attached | sudo lbctl doctor --on-replica --mode ipip eth0 --vip 192.0.2.1", "ok eth0 tunnel-rp-filter: not strict",
		}},
		{"another VIP", decapsulating("10.1.0.1", "192.0.2.7"), []string{
			"problem eth0 decapsulation: lb_decap is attached, but not for 192.0.2.1 | lbctl decap attach eth0 --vip 192.0.2.7 --vip 192.0.2.1",
		}},
		{"another address since", decapsulating("10.1.0.9", "192.0.2.1"), []string{
			"problem eth0 decapsulation: lb_decap was attached before the interface had 10.1.0.1, and does not decapsulate what comes there | lbctl decap attach eth0 --local 10.1.0.9 --vip 192.0.2.1",
		}},
		{"another address since, for any VIP", decapsulating("10.1.0.9"), []string{
			"problem eth0 decapsulation: lb_decap was attached before the interface had 10.1.0.1, and does not decapsulate what comes there | lbctl decap attach eth0 --local 10.1.0.9",
		}},
		{"that VIP", decapsulating("10.1.0.1", "192.0.2.7", "192.0.2.1"), nil},
		{"any VIP", decapsulating("10.1.0.1"), nil},
		{"a tunnel", tunnel(true), []string{"ok eth0 decapsulation: by the kernel's tunl0", "ok eth0 tunnel-rp-filter: not strict"}},
		{"a tunnel that is down", tunnel(false), []string{
			"problem eth0 decapsulation: tunl0 is down | ip link set dev tunl0 up", "ok eth0 tunnel-rp-filter: not strict",
		}},
		{"a strict tunnel", func(f *Facts) { tunnel(true)(f); f.Sysctl["net/ipv4/conf/tunl0/rp_filter"] = 0 }, []string{
			"problem eth0 tunnel-rp-filter: strict on tunl0 | sysctl -w net.ipv4.conf.tunl0.rp_filter=2", "ok eth0 decapsulation: by the kernel's tunl0",
		}},
		{"full segments", func(f *Facts) { f.Default4.AdvMSS = 0 }, []string{
			"warning eth0 segment-size: segments larger than 1420 bytes do not fit | ip route replace default via 10.1.0.254 dev eth0 advmss 1420",
		}},
		{"segments too large by one", func(f *Facts) { f.Default4.AdvMSS = 1421 }, []string{
			"warning eth0 segment-size: segments larger than 1420 bytes do not fit | ip route replace default via 10.1.0.254 dev eth0 advmss 1420",
		}},
		{"no default route", func(f *Facts) { f.Default4 = Default{Interface: "eth0"} }, []string{
			"warning eth0 segment-size: segments larger than 1420 bytes do not fit, and there is no default route to say so | ip route change ROUTE advmss 1420",
		}},
		{"IPv6", func(f *Facts) { f.VIPs[0].Address = netip.MustParseAddr("2001:db8::1") }, []string{
			"warning eth0 segment-size: segments larger than 1400 bytes do not fit | ip route replace default via fe80::1 dev eth0 advmss 1400",
			"ok 2001:db8::1 vip-held: on lo",
		}},
		{"room enough", func(f *Facts) { f.Interfaces[0].MTU, f.Default4.MTU = 1540, 1500 }, []string{
			"ok eth0 segment-size: full packets fit into an MTU of 1540", "ok eth0 answer-size: the MTU of the default route is at most 1500",
		}},
		{"answers as long as the link", func(f *Facts) { f.Interfaces[0].MTU = 1540 }, []string{
			"warning eth0 answer-size: answers from 192.0.2.1 have up to 1540 bytes: the default route has no MTU of its own | ip route replace default via 10.1.0.254 dev eth0 mtu 1500 advmss 1420",
			"ok eth0 segment-size: full packets fit into an MTU of 1540",
		}},
		{"answers of IPv6 as long as the link", func(f *Facts) {
			f.Interfaces[0].MTU, f.Default4.MTU, f.VIPs[0].Address = 1540, 1500, netip.MustParseAddr("2001:db8::1")
		}, []string{
			"warning eth0 answer-size: answers from 2001:db8::1 have up to 1540 bytes: the default route has no MTU of its own | ip route replace default via fe80::1 dev eth0 mtu 1500",
			"ok eth0 segment-size: full packets fit into an MTU of 1540", "ok 2001:db8::1 vip-held: on lo",
		}},
		{"no room for UDP", inUDP(1540, 0), []string{
			"warning eth0 segment-size: segments larger than 1452 bytes do not fit | ip route replace default via 10.1.0.254 dev eth0 mtu 1500 advmss 1452",
			"ok eth0 answer-size: the MTU of the default route is at most 1500",
		}},
		{"room for UDP", inUDP(1548, 0), []string{
			"ok eth0 segment-size: full packets fit into an MTU of 1548", "ok eth0 answer-size: the MTU of the default route is at most 1500",
		}},
		{"another address since, in UDP", func(f *Facts) {
			decapsulating("10.1.0.9")(f)
			f.Interfaces[0].Decapsulation.Ports = []uint16{6080, 7}
			f.Default4.AdvMSS = 1412
		}, []string{
			"problem eth0 decapsulation: lb_decap was attached before the interface had 10.1.0.1, and does not decapsulate what comes there | lbctl decap attach eth0 --local 10.1.0.9 --udp-port 6080 --udp-port 7",
			"ok eth0 segment-size: segments of 1412 bytes are announced",
		}},
	})
}

func TestVethReplica(t *testing.T) {
	fit := func() Facts {
		f := serving(lb.NAT)()
		away(&f.Interfaces[0])
		f.Interfaces[0].Offloads["rx-gro"] = Offload{On: true}
		return f
	}
	const noGRO = "problem eth0 napi: GRO is off, and no XDP program attached | ethtool -K eth0 gro on"
	try(t, fit, []aCase{
		{"no GRO", func(f *Facts) { f.Interfaces[0].Offloads = Offloads{} }, []string{noGRO}},
		{"XDP in its place", func(f *Facts) { f.Interfaces[0].Offloads, f.Interfaces[0].XDP = Offloads{}, mine(Native) }, []string{"ok eth0 napi: XDP is attached"}},
		{"generic XDP is none", func(f *Facts) { f.Interfaces[0].Offloads, f.Interfaces[0].XDP = Offloads{}, mine(Generic) }, []string{noGRO}},
		{"not readable", func(f *Facts) { f.Interfaces[0].Offloads = nil }, []string{
			"unknown eth0 napi: its offloads cannot be read | ethtool -K eth0 gro on",
			"unknown eth0 sender-checksums: eth0: its offloads cannot be read | ethtool -k eth0",
		}},
		{"leaves checksums", func(f *Facts) { f.Interfaces[0].Offloads["tx-checksum-ip-generic"] = Offload{On: true} }, []string{
			"problem eth0 sender-checksums: eth0: tx-checksum-ip-generic on | ethtool -K eth0 tx off",
		}},
		{"leaves checksums, and answers go past the balancer", func(f *Facts) {
			f.Mode = lb.DSR
			f.Interfaces[0].Offloads["tx-checksum-ip-generic"] = Offload{On: true}
		}, []string{"ok eth0 arp-ignore: arp_ignore is 1", "ok eth0 arp-announce: arp_announce is 2", "ok 192.0.2.1 vip-held: on lo"}},
	})
}
