package doctor

import "testing"

// mine attaches the balancer.
func mine(mode XDPMode) XDP { return XDP{Mode: mode, Program: "lb", ID: 9, Link: 3} }

// having makes features.
func having(f Features) *Features { return &f }

func TestDriver(t *testing.T) {
	const elsewhere = " @ in the namespace of the peer of eth0, which is interface 7 there"
	one := func(change func(*Interface)) func(*Facts) { return func(f *Facts) { change(&f.Interfaces[0]) } }
	try(t, healthy, []aCase{
		{"old kernel does not tell", one(func(i *Interface) { i.Features = nil }), []string{
			"unknown eth0 driver: the kernel does not tell what drivers can do (Linux 6.3 does) | lbctl attach eth0 --mode native",
			"unknown eth0 transmit: the kernel does not tell whether i40e takes redirected frames (Linux 6.3 does) | lbctl get counters",
		}},
		{"no native XDP", one(func(i *Interface) { i.Features = having(Transmit) }), []string{
			"warning eth0 driver: i40e has no native XDP | lbctl attach eth0 --mode generic",
		}},
		{"a veth that receives on too few queues", one(func(i *Interface) { away(i); i.Features = having(0) }), []string{
			"problem eth0 transmit: no native XDP: its peer sends on more queues than the 1 that it receives on | ethtool -L PEER tx 1" + elsewhere,
			"warning eth0 driver: no native XDP: its peer sends on more queues than the 1 that it receives on | ethtool -L PEER tx 1" + elsewhere,
			"ok eth0 sender-checksums: not needed in mode generic",
			"ok eth0 queues: 1, for 4 CPUs",
		}},
		{"a driver without a name", one(func(i *Interface) { i.Driver = "" }), []string{"ok eth0 driver: its driver has native XDP"}},
		{"native", one(func(i *Interface) { i.XDP, i.Ours = mine(Native), true }), []string{
			"ok eth0 driver: native XDP, in use", "ok eth0 attached: the balancer, in mode native",
		}},
		{"generic", one(func(i *Interface) { i.XDP, i.Ours = mine(Generic), true }), []string{
			"warning eth0 attached: the balancer, in mode generic; i40e has native XDP | lbctl attach eth0 --mode native",
		}},
		{"generic, and the peer has no program", one(func(i *Interface) { veth(i); i.XDP, i.Ours = mine(Generic), true }), []string{
			"ok eth0 driver: veth has native XDP", "ok eth0 attached: the balancer, in mode generic; native, its peer would need an XDP program",
			"ok eth0 send-back: not needed in mode generic", "ok eth0 sender-checksums: not needed in mode generic", "ok eth0 queues: 1, for 4 CPUs",
		}},
		{"generic, and the peer has a program", one(func(i *Interface) { veth(i); i.Peer.XDP, i.XDP, i.Ours = mine(Native), mine(Generic), true }), []string{
			"warning eth0 attached: the balancer, in mode generic; veth has native XDP | lbctl attach eth0 --mode native",
			"ok eth0 driver: veth has native XDP", "ok eth0 send-back: not needed in mode generic", "ok eth0 sender-checksums: not needed in mode generic", "ok eth0 queues: 1, for 4 CPUs",
		}},
		{"generic, where there is nothing else", one(func(i *Interface) {
			i.XDP, i.Ours, i.Features = mine(Generic), true, having(Transmit)
		}), []string{
			"warning eth0 driver: i40e has no native XDP | lbctl attach eth0 --mode generic", "ok eth0 attached: the balancer, in mode generic",
		}},
		{"another program, by a link", one(func(i *Interface) { i.XDP = XDP{Mode: Generic, Program: "filter", ID: 9, Link: 3} }), []string{
			`problem eth0 attached: held by the program "filter" (9) in mode generic | bpftool link detach id 3`,
		}},
		{"another program, by netlink", one(func(i *Interface) { i.XDP = XDP{Mode: Native, Program: "filter", ID: 9} }), []string{
			`problem eth0 attached: held by the program "filter" (9) in mode native | ip link set dev eth0 xdpdrv off`, "ok eth0 driver: native XDP, in use",
		}},
		{"other programs, in both modes", one(func(i *Interface) { i.XDP = XDP{Mode: SeveralXDP, Program: "filter", ID: 9} }), []string{
			`problem eth0 attached: held by the program "filter" (9) in mode several | ip link set dev eth0 xdpgeneric off && ip link set dev eth0 xdpdrv off`,
		}},
		{"a program that is not visible", one(func(i *Interface) { i.XDP = XDP{Mode: Native, ID: 9} }), []string{
			"unknown eth0 attached: program 9 in mode native; this user may not see whose it is | sudo lbctl doctor eth0", "ok eth0 driver: native XDP, in use",
		}},
	})
}

func TestTransmit(t *testing.T) {
	const elsewhere = " @ in the namespace of the peer of eth1, which is interface 7 there"
	// transiting leaves the other checks of eth1 out: it leads to the replica, and is attached.
	transiting := func() Facts { f := healthy(); f.Interfaces[1].Named, f.Interfaces[1].Ours = false, true; return f }
	one := func(change func(*Interface)) func(*Facts) { return func(f *Facts) { change(&f.Interfaces[1]) } }
	try(t, transiting, []aCase{
		{"a driver without it", one(func(i *Interface) { i.Features = having(0) }), []string{
			"problem eth1 transmit: i40e takes no redirected frames: the others must be generic, too | lbctl attach eth1 --mode generic",
		}},
		{"not yet", one(func(i *Interface) { i.Features = having(Basic | Redirect) }), []string{
			"warning eth1 transmit: i40e takes no redirected frames now; most drivers do once XDP is attached | lbctl attach eth1",
		}},
		{"no queue left", one(func(i *Interface) { i.Features, i.XDP = having(Basic), mine(Native) }), []string{
			"problem eth1 transmit: i40e takes no redirected frames: it has no queue left for them | ethtool -L eth1 combined 1",
		}},
		{"veth", one(func(i *Interface) { veth(i); i.Features = having(Basic | Redirect) }), []string{
			"problem eth1 transmit: its peer has neither GRO nor XDP | ethtool -K eth1-peer gro on",
		}},
		{"veth that receives on too few queues", one(func(i *Interface) { veth(i); i.Features = having(0) }), []string{
			"problem eth1 transmit: no native XDP: its peer sends on more queues than the 1 that it receives on | ethtool -L eth1-peer tx 1",
		}},
		{"veth whose peer is elsewhere", one(func(i *Interface) { away(i); i.Features = having(Basic | Redirect) }), []string{
			"problem eth1 transmit: its peer has neither GRO nor XDP | ethtool -K PEER gro on" + elsewhere,
		}},
		{"old kernel, peer here", one(func(i *Interface) { veth(i); i.Features = nil }), []string{"ok eth1 transmit: its peer eth1-peer has GRO or XDP"}},
		{"old kernel, peer without", one(func(i *Interface) { veth(i); i.Features, i.Peer.Offloads = nil, Offloads{} }), []string{
			"problem eth1 transmit: its peer has neither GRO nor XDP | ethtool -K eth1-peer gro on",
		}},
		{"old kernel, peer with XDP", one(func(i *Interface) { veth(i); i.Features, i.Peer.Offloads, i.Peer.XDP = nil, nil, mine(Native) }), []string{
			"ok eth1 transmit: its peer eth1-peer has GRO or XDP",
		}},
		{"old kernel, peer not readable", one(func(i *Interface) { veth(i); i.Features, i.Peer.Offloads = nil, nil }), []string{
			"unknown eth1 transmit: its peer needs GRO or XDP, and its offloads cannot be read | ethtool -K eth1-peer gro on",
		}},
		{"old kernel, peer elsewhere", one(func(i *Interface) { away(i); i.Features = nil }), []string{
			"unknown eth1 transmit: its peer needs GRO or XDP, and is in another namespace | ethtool -K PEER gro on" + elsewhere,
		}},
		{"generic programs need nothing", func(f *Facts) {
			f.Interfaces[0].XDP, f.Interfaces[0].Ours = mine(Generic), true
			f.Interfaces[1].Features = having(0)
		}, []string{
			"warning eth0 attached: the balancer, in mode generic; i40e has native XDP | lbctl attach eth0 --mode native",
			"ok eth0 transmit: not needed: nothing runs in native mode", "ok eth1 transmit: not needed: nothing runs in native mode",
		}},
	})
}

func TestSendBack(t *testing.T) {
	fit := func() Facts {
		f := healthy()
		veth(&f.Interfaces[0])
		f.Interfaces[0].Peer.XDP = mine(Native)
		return f
	}
	alone := func(f *Facts) { f.Interfaces, f.Replicas[0].Route.Interface = f.Interfaces[:1], "eth0" }
	peer := func(change func(*Interface)) func(*Facts) { return func(f *Facts) { change(f.Interfaces[0].Peer) } }
	try(t, fit, []aCase{
		{"GRO is not enough", peer(func(p *Interface) { p.XDP = XDP{} }), []string{
			"warning eth0 send-back: its peer eth0-peer has no XDP program | lbctl attach eth0 --mode generic",
		}},
		{"nor is a generic program", peer(func(p *Interface) { p.XDP = mine(Generic) }), []string{
			"warning eth0 send-back: its peer eth0-peer has no XDP program | lbctl attach eth0 --mode generic",
		}},
		{"elsewhere", func(f *Facts) { away(&f.Interfaces[0]) }, []string{
			"unknown eth0 send-back: its peer needs an XDP program, and is in another namespace | lbctl attach eth0 --mode generic   # unless its peer has a program: ip link show dev PEER",
			"unknown eth0 sender-checksums: its peer is in another namespace | ethtool -K PEER tx off @ in the namespace of the peer of eth0, which is interface 7 there",
		}},
		{"a NIC sends back by itself", func(f *Facts) { f.Interfaces[0] = nic("eth0") }, []string{
			"ok eth0 driver: i40e has native XDP", "ok eth0 vlan-offload: off", "ok eth0 queues: 4, for 4 CPUs; RSS: lbctl rss show eth0",
		}},
	})
	try(t, func() Facts { f := fit(); alone(&f); return f }, []aCase{
		{"one arm", peer(func(p *Interface) { p.XDP = XDP{} }), []string{
			"problem eth0 send-back: its peer eth0-peer has no XDP program, and there are replicas on this link | lbctl attach eth0 --mode generic",
		}},
	})
}
