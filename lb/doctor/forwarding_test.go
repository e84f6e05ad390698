package doctor

import (
	"net/netip"
	"testing"

	"lbctl/lb"
)

// all6 makes everything IPv6.
func all6(f *Facts) {
	f.VIPs[0].Address = netip.MustParseAddr("2001:db8::1")
	f.Replicas[0].Address = netip.MustParseAddr("2001:db8:1::1")
	f.Replicas[0].Route.Source = netip.MustParseAddr("2001:db8:1::fe")
}

// in sets the mode of everything.
func in(m lb.Mode) func(*Facts) {
	return func(f *Facts) { f.VIPs[0].Mode, f.Replicas[0].Mode = m, m }
}

func healthy6() Facts { f := healthy(); all6(&f); return f }

func healthyDSR() Facts { f := healthy(); in(lb.DSR)(&f); return f }

func nothingKnown() Facts { f := healthy(); f.VIPs, f.Replicas = nil, nil; return f }

func sysctl(name string, value int) func(*Facts) {
	return func(f *Facts) { f.Sysctl[name] = value }
}

func TestForwarding(t *testing.T) {
	const own4, own6 = "net/ipv4/conf/eth1/forwarding", "net/ipv6/conf/eth1/forwarding"
	off4 := func(f *Facts) { f.Sysctl["net/ipv4/ip_forward"], f.Sysctl[own4] = 0, 0 }
	try(t, healthy, []aCase{
		{"off everywhere", off4, []string{"problem eth1 forwarding-ipv4: net.ipv4.conf.eth1.forwarding is 0 | sysctl -w net.ipv4.ip_forward=1"}},
		{"off there", sysctl(own4, 0), []string{
			"problem eth1 forwarding-ipv4: net.ipv4.conf.eth1.forwarding is 0 | sysctl -w net.ipv4.conf.eth1.forwarding=1",
		}},
		{"not readable", func(f *Facts) { delete(f.Sysctl, own4) }, []string{
			"unknown eth1 forwarding-ipv4: net.ipv4.conf.eth1.forwarding cannot be read | sysctl net.ipv4.conf.eth1.forwarding",
		}},
		{"IPv6 off and not needed", sysctl(own6, 0), []string{"ok eth1 forwarding-ipv6: off; no service needs it, unless replicas in mode dsr or ipip answer through this machine"}},
		{"no IPv6 and none needed", func(f *Facts) { delete(f.Sysctl, own6) }, nil},
		{"a name with a dot", func(f *Facts) {
			f.Interfaces[1].Name = "eth1.5"
			f.Replicas[0].Route.Interface = "eth1.5"
			f.Sysctl[Conf("ipv4", "eth1.5", "forwarding")] = 0
			f.Interfaces = f.Interfaces[1:]
		}, []string{
			"problem eth1.5 forwarding-ipv4: net/ipv4/conf/eth1.5/forwarding is 0 | sysctl -w net/ipv4/conf/eth1.5/forwarding=1",
			"unknown eth1.5 rp-filter: cannot be read | sysctl net/ipv4/conf/eth1.5/rp_filter",
			"ok eth1.5 up: up", "ok eth1.5 carrier: there", "ok eth1.5 ethernet: Ethernet", "ok eth1.5 stacking: not made of others",
			"ok eth1.5 driver: i40e has native XDP", "ok eth1.5 attached: nothing yet", "ok eth1.5 transmit: the driver takes redirected frames",
			"ok eth1.5 mtu: 1500", "ok eth1.5 lro: off", "ok eth1.5 gro-hw: off", "ok eth1.5 vlan-offload: off",
			"ok eth1.5 queues: 4, for 4 CPUs; RSS: lbctl rss show eth1.5",
			"ok 10.1.0.1 route: by eth1.5, on the link", "ok 10.1.0.1 egress: eth1.5",
		}},
	})
	try(t, healthyDSR, []aCase{{"dsr needs none", sysctl(own4, 0), []string{"ok eth1 forwarding-ipv4: off; no service needs it, unless replicas in mode dsr or ipip answer through this machine"}}})
	try(t, nothingKnown, []aCase{{"perhaps needed", sysctl(own4, 0), []string{
		"warning eth1 forwarding-ipv4: net.ipv4.conf.eth1.forwarding is 0; services in mode nat need it | sysctl -w net.ipv4.conf.eth1.forwarding=1",
	}}})
	try(t, healthy6, []aCase{
		{"IPv6 off there", sysctl(own6, 0), []string{
			"problem eth1 forwarding-ipv6: net.ipv6.conf.eth1.forwarding is 0 | sysctl -w net.ipv6.conf.eth1.forwarding=1",
		}},
		{"a router that must go on listening to routers", func(f *Facts) {
			f.Sysctl[own6], f.Sysctl["net/ipv6/conf/all/forwarding"], f.Sysctl["net/ipv6/conf/eth1/accept_ra"] = 0, 0, 1
		}, []string{
			"problem eth1 forwarding-ipv6: net.ipv6.conf.eth1.forwarding is 0 | sysctl -w net.ipv6.conf.eth1.accept_ra=2 && sysctl -w net.ipv6.conf.all.forwarding=1",
		}},
		{"no IPv6 at all", sysctl("net/ipv6/conf/eth1/disable_ipv6", 1), []string{
			"problem eth1 forwarding-ipv6: IPv6 is off on the interface | sysctl -w net.ipv6.conf.eth1.disable_ipv6=0",
		}},
		{"IPv4 off and not needed", sysctl(own4, 0), []string{"ok eth1 forwarding-ipv4: off; no service needs it, unless replicas in mode dsr or ipip answer through this machine"}},
	})
}

func TestReversePath(t *testing.T) {
	const own, all = "net/ipv4/conf/eth1/rp_filter", "net/ipv4/conf/all/rp_filter"
	const cure = "warning eth1 rp-filter: strict | sysctl -w net.ipv4.conf.eth1.rp_filter=2"
	try(t, healthy, []aCase{
		{"strict", sysctl(own, 1), []string{cure}},
		{"strict everywhere, loose on eth0", sysctl(all, 1), []string{cure}},
		{"loose everywhere", sysctl(all, 2), []string{"ok eth1 rp-filter: 2"}},
		{"not readable", func(f *Facts) { delete(f.Sysctl, own) }, []string{
			"unknown eth1 rp-filter: cannot be read | sysctl net.ipv4.conf.eth1.rp_filter",
		}},
	})
	try(t, healthyDSR, []aCase{{"strict in dsr", sysctl(own, 1), []string{"ok eth1 rp-filter: strict; no service needs more"}}})
	try(t, nothingKnown, []aCase{{"strict, perhaps wrongly", sysctl(own, 1), []string{cure}}})
}
