package doctor

import (
	"testing"
)

func TestLink(t *testing.T) {
	try(t, healthy, []aCase{
		{"down", func(f *Facts) { f.Interfaces[0].Up, f.Interfaces[0].Carrier = false, false }, []string{
			"problem eth0 up: down | ip link set dev eth0 up",
		}},
		{"no carrier", func(f *Facts) { f.Interfaces[0].Carrier = false }, []string{
			"problem eth0 carrier: none: a cable, or the switch's port | ethtool eth0",
		}},
		{"peer down", func(f *Facts) {
			veth(&f.Interfaces[0])
			f.Interfaces[0].Carrier = false
		}, []string{
			"problem eth0 carrier: none: its peer is down | ip link set dev eth0-peer up",
			"warning eth0 send-back: its peer eth0-peer has no XDP program | lbctl attach eth0 --mode generic",
			"ok eth0 driver: veth has native XDP", "ok eth0 sender-checksums: eth0-peer: off", "ok eth0 queues: 1, for 4 CPUs",
		}},
		{"peer elsewhere down", func(f *Facts) {
			away(&f.Interfaces[0])
			f.Interfaces[0].Carrier = false
		}, []string{
			"problem eth0 carrier: none: its peer is down | ip link set dev PEER up @ in the namespace of the peer of eth0, which is interface 7 there",
			"unknown eth0 send-back: its peer needs an XDP program, and is in another namespace | lbctl attach eth0 --mode generic   # unless its peer has a program: ip link show dev PEER",
			"unknown eth0 sender-checksums: its peer is in another namespace | ethtool -K PEER tx off @ in the namespace of the peer of eth0, which is interface 7 there",
			"ok eth0 driver: veth has native XDP", "ok eth0 queues: 1, for 4 CPUs",
		}},
		{"not Ethernet", func(f *Facts) { f.Interfaces[0].Ethernet = false }, []string{
			"problem eth0 ethernet: not an Ethernet interface | ip -brief link",
		}},
	})
}

func TestStacking(t *testing.T) {
	kind := func(kind, parent string) func(*Facts) {
		return func(f *Facts) {
			i := &f.Interfaces[0]
			i.Kind, i.Driver, i.Parent, i.Channels, i.MaxChannels, i.Queues, i.RSS = kind, "", parent, 0, 0, 1, false
		}
	}
	part := func(of, name string) func(*Facts) {
		return func(f *Facts) { f.Interfaces[0].MasterKind, f.Interfaces[0].Master = of, name }
	}
	bond := func(mode string) func(*Facts) {
		return func(f *Facts) { f.Interfaces[0].Kind, f.Interfaces[0].BondMode = "bond", mode }
	}
	try(t, healthy, []aCase{
		{"vlan", kind("vlan", "eth9"), []string{
			"warning eth0 stacking: a vlan above eth9: attach to that, the program reads VLAN tags | lbctl attach eth9",
		}},
		{"macvlan of another namespace", kind("macvlan", ""), []string{
			"warning eth0 stacking: a macvlan, whose parent is in another namespace | lbctl attach PARENT @ in the parent's namespace",
		}},
		{"bridge", kind("bridge", ""), []string{
			"warning eth0 stacking: a bridge: frames between its ports do not pass it; attach to the ports | lbctl attach PORT",
		}},
		{"team", kind("team", ""), []string{"warning eth0 stacking: a team: it has no native XDP | # make it a bond: that has native XDP"}},
		{"bond", bond("802.3ad"), nil},
		{"bond that cannot", bond("balance-alb"), []string{
			"problem eth0 stacking: a bond in mode balance-alb, which has no XDP | ip link set dev eth0 type bond mode active-backup",
		}},
		{"part of a bond", part("bond", "bond0"), []string{
			"warning eth0 stacking: a part of the bond bond0: addresses and routes are there | lbctl attach bond0",
		}},
		{"port of a bridge", part("bridge", "br0"), []string{
			"warning eth0 stacking: a port of the bridge br0: addresses and routes are there | ip link set dev eth0 nomaster",
		}},
	})
}

func TestHost(t *testing.T) {
	try(t, healthy, []aCase{
		{"old kernel", func(f *Facts) { f.Host.Release = "5.14.0-503.el9" }, []string{
			"problem host kernel: Linux 5.14.0-503.el9 | # boot Linux 6.1 or later",
		}},
		{"very old kernel", func(f *Facts) { f.Host.Release = "4.19.0" }, []string{
			"problem host kernel: Linux 4.19.0 | # boot Linux 6.1 or later",
		}},
		{"kernel of 2022", func(f *Facts) { f.Host.Release = "5.15.0-91-generic" }, []string{
			"problem host kernel: Linux 5.15.0-91-generic | # boot Linux 6.1 or later",
		}},
		{"oldest kernel", func(f *Facts) { f.Host.Release = "6.1.0-57-cloud-amd64" }, []string{"ok host kernel: Linux 6.1.0-57-cloud-amd64"}},
		{"odd kernel", func(f *Facts) { f.Host.Release = "mine" }, []string{`unknown host kernel: Linux "mine" | uname -r`}},
		{"no bpffs", func(f *Facts) { f.Host.BPFFS = false }, []string{
			"warning host bpffs: no BPF file system at /sys/fs/bpf | mount -t bpf bpffs /sys/fs/bpf",
		}},
		{"own mounts", func(f *Facts) { f.Host.OwnMounts = true }, []string{
			"warning host bpffs: the mount namespace is not the machine's, as in ip netns exec | nsenter --net=/run/netns/NAME lbctl serve",
		}},
		{"no jit", func(f *Facts) { f.Sysctl[jitKey] = 0 }, []string{"warning host jit: off | sysctl -w net.core.bpf_jit_enable=1"}},
		{"jit unknown", func(f *Facts) { delete(f.Sysctl, jitKey) }, []string{
			"unknown host jit: not visible in this network namespace | nsenter --net=/proc/1/ns/net sysctl net.core.bpf_jit_enable",
		}},
		{"no capabilities", func(f *Facts) { f.Host.Missing = []string{"CAP_BPF", "CAP_NET_ADMIN"} }, []string{
			"warning host capabilities: this user lacks CAP_BPF and CAP_NET_ADMIN | sudo lbctl serve",
		}},
		{"no capabilities, and none needed", func(f *Facts) { f.Host.Missing, f.Daemon = []string{"CAP_BPF"}, DaemonAnswers }, nil},
	})
}

func TestServices(t *testing.T) {
	const flags = " | lbctl doctor IFACE --vip ADDRESS --replica ADDRESS --mode MODE"
	none := func() Facts { f := healthy(); f.VIPs, f.Replicas = nil, nil; return f }
	try(t, healthy, []aCase{
		{"no daemon, no flags", func(f *Facts) { *f = none() }, []string{
			"unknown host services: no daemon answers, and neither --vip nor --replica is given" + flags,
		}},
	})
	try(t, none, []aCase{
		{"denied", func(f *Facts) { f.Daemon = DaemonDenied }, []string{
			"unknown host services: the daemon's socket is denied to this user | sudo lbctl doctor IFACE",
		}},
		{"empty", func(f *Facts) { f.Daemon = DaemonAnswers }, []string{"unknown host services: the daemon has no services" + flags}},
	})
}
