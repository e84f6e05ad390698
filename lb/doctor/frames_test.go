package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/lb"
)

func TestMTU(t *testing.T) {
	mtu := func(n int) func(*Facts) { return func(f *Facts) { f.Interfaces[0].MTU = n } }
	wide := func() Facts { f := healthy(); f.Replicas[0].Route.MTU = 9000; return f }
	try(t, wide, []aCase{
		{"the largest", mtu(3498), []string{"ok eth0 mtu: 3498", "ok 10.1.0.1 path-mtu: 3498 of 9000 bytes"}},
		{"one more", mtu(3499), []string{
			"warning eth0 mtu: 3499, native XDP has room for 3498 | ip link set dev eth0 mtu 3498", "ok 10.1.0.1 path-mtu: 3499 of 9000 bytes",
		}},
		{"large, and the driver takes it", func(f *Facts) {
			mtu(9000)(f)
			f.Interfaces[0].XDP, f.Interfaces[0].Ours = mine(Native), true
		}, []string{
			"ok eth0 driver: native XDP, in use", "ok eth0 attached: the balancer, in mode native", "ok eth0 mtu: 9000", "ok 10.1.0.1 path-mtu: 9000 of 9000 bytes",
		}},
		{"large pages", func(f *Facts) { mtu(9000)(f); f.Host.Page = 65536 }, []string{"ok eth0 mtu: 9000", "ok 10.1.0.1 path-mtu: 9000 of 9000 bytes"}},
	})
	const tail, elsewhere = "ip link set dev PEER mtu 3506", "in the namespace of the peer of eth0, which is interface 7 there"
	try(t, func() Facts { f := wide(); veth(&f.Interfaces[0]); return f }, []aCase{
		{"the largest of a veth", mtu(3506), []string{"ok eth0 mtu: 3506", "ok 10.1.0.1 path-mtu: 3506 of 9000 bytes"}},
		{"the peer counts", func(f *Facts) { f.Interfaces[0].Peer.MTU = 3507 }, []string{
			"warning eth0 mtu: 3507, native XDP has room for 3506 | ip link set dev eth0 mtu 3506 && ip link set dev eth0-peer mtu 3506",
			"ok eth0 sender-checksums: not needed in mode generic",
		}},
	})
	try(t, func() Facts { f := wide(); away(&f.Interfaces[0]); return f }, []aCase{
		{"the peer is elsewhere", mtu(4000), []string{
			"warning eth0 mtu: 4000, native XDP has room for 3506 | ip link set dev eth0 mtu 3506   # and " + elsewhere + ": " + tail,
			"ok eth0 sender-checksums: not needed in mode generic",
			"ok 10.1.0.1 path-mtu: 4000 of 9000 bytes",
		}},
	})
}

func TestOffloads(t *testing.T) {
	on := func(fixed bool, names ...string) func(*Facts) {
		return func(f *Facts) {
			for _, n := range names {
				f.Interfaces[0].Offloads[n] = Offload{On: true, Fixed: fixed}
			}
		}
	}
	try(t, healthy, []aCase{
		{"lro", on(false, "rx-lro"), []string{"problem eth0 lro: rx-lro on | ethtool -K eth0 lro off"}},
		{"lro, fixed", on(true, "rx-lro"), []string{
			"problem eth0 lro: rx-lro on, and fixed | # the driver cannot switch it off: use another interface",
		}},
		{"gro in hardware", on(false, "rx-gro-hw"), []string{"warning eth0 gro-hw: rx-gro-hw on | ethtool -K eth0 rx-gro-hw off"}},
		{"the host merges", func(f *Facts) {
			on(true, "rx-gro-hw")(f)
			f.Interfaces[0].Driver, f.Interfaces[0].Queues, f.Interfaces[0].XDP, f.Interfaces[0].Ours = "virtio_net", 4, mine(Generic), true
		}, []string{
			"warning eth0 driver: the host merges frames, and virtio_net then refuses native XDP | " + unmerged,
			"warning eth0 gro-hw: rx-gro-hw on, and fixed | " + unmerged,
			"ok eth0 attached: the balancer, in mode generic",
		}},
		{"gro in software does no harm", on(false, "rx-gro"), nil},
		{"tags", on(false, "rx-vlan-hw-parse"), []string{"warning eth0 vlan-offload: rx-vlan-hw-parse on | ethtool -K eth0 rxvlan off"}},
		{"both kinds of tags", on(false, "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"), []string{
			"warning eth0 vlan-offload: rx-vlan-hw-parse, rx-vlan-stag-hw-parse on | ethtool -K eth0 rxvlan off rx-vlan-stag-hw-parse off",
		}},
		{"a NIC's own sending does no harm", on(false, "tx-checksum-ip-generic", "tx-tcp-segmentation"), nil},
		{"not readable", func(f *Facts) { f.Interfaces[0].Offloads = nil }, []string{
			"unknown eth0 lro: its offloads cannot be read | ethtool -k eth0",
			"unknown eth0 gro-hw: its offloads cannot be read | ethtool -k eth0",
			"unknown eth0 vlan-offload: its offloads cannot be read | ethtool -k eth0",
		}},
	})
	try(t, func() Facts { f := healthy(); veth(&f.Interfaces[0]); return f }, []aCase{
		{"the peer leaves checksums", func(f *Facts) { f.Interfaces[0].Peer.Offloads["tx-checksum-ip-generic"] = Offload{On: true} }, []string{
			"problem eth0 sender-checksums: eth0-peer: tx-checksum-ip-generic on | ethtool -K eth0-peer tx off",
		}},
		{"the peer may leave tags, and has none", func(f *Facts) { f.Interfaces[0].Peer.Offloads["tx-vlan-hw-insert"] = Offload{On: true} }, nil},
		{"the peer leaves tags", func(f *Facts) {
			f.Interfaces[0].Peer.Above, f.Interfaces[0].Peer.Offloads["tx-vlan-hw-insert"] = "eth0-peer.5", Offload{On: true}
		}, []string{
			"warning eth0 vlan-offload: eth0-peer, which has the VLAN eth0-peer.5: tx-vlan-hw-insert on | ethtool -K eth0-peer txvlan off tx-vlan-stag-hw-insert off",
		}},
		{"what the near end takes off", func(f *Facts) { f.Interfaces[0].Offloads["rx-vlan-hw-parse"] = Offload{On: true} }, nil},
		{"the peer leaves segmentation", func(f *Facts) { f.Interfaces[0].Peer.Offloads["tx-tcp-segmentation"] = Offload{On: true} }, []string{
			"problem eth0 sender-checksums: eth0-peer: tx-tcp-segmentation on | ethtool -K eth0-peer tx off",
		}},
		{"the peer is elsewhere", func(f *Facts) { away(&f.Interfaces[0]) }, []string{
			"unknown eth0 send-back: its peer needs an XDP program, and is in another namespace | lbctl attach eth0 --mode generic   # unless its peer has a program: ip link show dev PEER",
			"unknown eth0 sender-checksums: its peer is in another namespace | ethtool -K PEER tx off @ in the namespace of the peer of eth0, which is interface 7 there",
		}},
	})
}

func TestQueues(t *testing.T) {
	with := func(driver string, now, most int) func(*Facts) {
		return func(f *Facts) {
			i := &f.Interfaces[0]
			i.Driver, i.Channels, i.MaxChannels, i.Queues, i.RSS = driver, now, most, now, false
		}
	}
	only := func(finding string, driver string) []string {
		return []string{finding, "ok eth0 driver: " + driver + " has native XDP"}
	}
	try(t, healthy, []aCase{
		{"fewer than CPUs", with("i40e", 2, 8), []string{"warning eth0 queues: 2 of 8 channels for 4 CPUs | ethtool -L eth0 combined 4"}},
		{"fewer than CPUs, all there are", with("i40e", 2, 2), []string{"ok eth0 queues: 2, for 4 CPUs"}},
		{"more than CPUs", with("i40e", 8, 8), []string{"ok eth0 queues: 8, for 4 CPUs"}},
		{"ena wants half", with("ena", 8, 8), only("warning eth0 queues: 8 of 8 channels: ena wants half of them free for XDP | ethtool -L eth0 combined 4", "ena")},
		{"ena has half", with("ena", 4, 8), []string{"ok eth0 driver: ena has native XDP", "ok eth0 queues: 4, for 4 CPUs"}},
		{"virtio shares", with("virtio_net", 4, 7), only("warning eth0 queues: 4 of 7 channels and 4 CPUs: XDP shares send queues | ethtool -L eth0 combined 3", "virtio_net")},
		{"virtio has too few", with("virtio_net", 4, 4), only("warning eth0 queues: 4 channels at most and 4 CPUs: XDP shares send queues | # give the virtual machine 8 queues", "virtio_net")},
		{"virtio has enough", with("virtio_net", 4, 8), []string{"ok eth0 driver: virtio_net has native XDP", "ok eth0 queues: 4, for 4 CPUs"}},
	})
}

// Mode generic is not proposed without what keeps super-packets away, and where it is in use they are a problem, for the
// services that cannot send them.
func TestSuperPackets(t *testing.T) {
	merging := func(mode lb.Mode, i func(*Interface)) func() Facts {
		return func() Facts {
			f := healthy()
			f.VIPs[0].Mode, f.Replicas[0].Mode = mode, mode
			f.Interfaces[0].Offloads = Offloads{"rx-gro": {On: true}}
			i(&f.Interfaces[0])
			return f
		}
	}
	leaving := func(i *Interface) {
		veth(i)
		i.Offloads = Offloads{}
		i.Peer.Offloads["tx-tcp-segmentation"] = Offload{On: true}
	}
	attach := func(f *Facts) { f.Interfaces[0].XDP, f.Interfaces[0].Ours = mine(Generic), true }
	cannot := func(f *Facts) { f.Interfaces[0].Features = having(0) }
	const seen = "problem eth0 super-packets: mode generic, and segments come several in one packet | "
	nic := func(*Interface) {}
	has := func(f Facts, name string) (found []string) {
		for _, x := range Examine(f) {
			if x.Subject == "eth0" && x.Name == name && x.Severity != OK {
				found = append(found, line(x))
			}
		}
		return found
	}
	for _, c := range []struct {
		name  string
		fit   func() Facts
		do    func(*Facts)
		check string
		want  []string
	}{
		{"nat, GRO", merging(lb.NAT, nic), attach, "super-packets", nil},
		{"dsr, native", merging(lb.DSR, nic), func(*Facts) {}, "super-packets", nil},
		{"dsr, GRO", merging(lb.DSR, nic), attach, "super-packets", []string{seen + "ethtool -K eth0 gro off"}},
		{"ipip, a sender", merging(lb.IPIP, leaving), attach, "super-packets", []string{seen + "ethtool -K eth0-peer tso off tx-udp-segmentation off"}},
		{"ipip, a sender elsewhere", merging(lb.IPIP, away), func(f *Facts) { attach(f); f.Interfaces[0].Offloads = nil }, "super-packets", []string{
			"unknown eth0 super-packets: mode generic, and its peer is in another namespace | ethtool -K PEER tso off tx-udp-segmentation off" +
				" @ in the namespace of the peer of eth0, which is interface 7 there",
		}},
		{"dsr, no native XDP", merging(lb.DSR, nic), cannot, "driver", []string{
			"warning eth0 driver: i40e has no native XDP | ethtool -K eth0 gro off && lbctl attach eth0 --mode generic",
		}},
		{"nat, no native XDP", merging(lb.NAT, nic), cannot, "driver", []string{
			"warning eth0 driver: i40e has no native XDP | lbctl attach eth0 --mode generic",
		}},
		{"dsr, a sender without a program", merging(lb.DSR, leaving), func(*Facts) {}, "send-back", []string{
			"warning eth0 send-back: its peer eth0-peer has no XDP program | ethtool -K eth0-peer tso off tx-udp-segmentation off && lbctl attach eth0 --mode generic",
		}},
		{"a sender leaves checksums, generic", merging(lb.NAT, leaving), attach, "sender-checksums", nil},
	} {
		f := c.fit()
		c.do(&f)
		if diff := cmp.Diff(c.want, has(f, c.check), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// What is fatal names checks that there are, and is told once for all that have it.
func TestFatal(t *testing.T) {
	var names []string
	for _, c := range interfaceChecks() {
		names = append(names, c.name)
	}
	for _, c := range vipChecks() {
		names = append(names, c.name)
	}
	for _, c := range replicaChecks() {
		names = append(names, c.name)
	}
	for _, name := range fatal() {
		if !slices.Contains(names, name) {
			t.Errorf("there is no check %s", name)
		}
	}
	f := healthy()
	if kinds, _ := Fatal(Examine(f)); len(kinds) > 0 {
		t.Errorf("nothing is wrong: %+v", kinds)
	}
	f.Sysctl["net/ipv4/ip_forward"], f.Sysctl["net/ipv4/conf/eth0/forwarding"], f.Sysctl["net/ipv4/conf/eth1/forwarding"] = 0, 0, 0
	for n := range 3 {
		r := f.Replicas[0]
		r.Address, r.Route = netip.AddrFrom4([4]byte{10, 9, 0, byte(n)}), Route{Kind: Nowhere}
		f.Replicas = append(f.Replicas, r)
	}
	f.Interfaces[0].Offloads["rx-gro-hw"] = Offload{On: true} // slower, and no more
	var got []string
	kinds, others := Fatal(Examine(f))
	for n, k := range kinds {
		got = append(got, fmt.Sprint(k.Name, " ", k.Subject, " ", others[n]))
	}
	want := []string{"forwarding-ipv4 eth0 0", "forwarding-ipv4 eth1 0", "route 10.9.0.0 2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fatal (-want +got):\n%s", diff)
	}
}
