package netstate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/cilium/ebpf/link"

	"lbctl/lb/doctor"
)

// breakage is one thing broken, and the findings that it brings.
type breakage struct {
	name string
	do   func(world)
	want []string
	// cured is whether the cures can run here and take all of them away.
	cured bool
}

// here and there make a breakage of a command.
func here(command string) func(world)  { return func(w world) { w.here(command) } }
func there(command string) func(world) { return func(w world) { w.there(command) } }

func breakages() []breakage {
	return []breakage{
		{"down", here("ip link set dev cl down"), []string{"problem cl up"}, true},
		{"peer down", here("ip link set dev cl-p down"), []string{"problem cl carrier"}, true},
		{"peer elsewhere down", there("ip link set dev rp-p down"), []string{"problem rp carrier"}, true},
		{"peer without GRO", here("ethtool -K cl-p gro off"), []string{"problem cl transmit"}, true},
		{"peer elsewhere without GRO", there("ethtool -K rp-p gro off"), []string{"problem rp transmit"}, true},
		{"sender leaves checksums", here("ethtool -K cl-p tx on"), []string{"problem cl sender-checksums"}, true},
		{"too few queues", here("ethtool -L cl-p tx 2"), []string{"problem cl transmit", "warning cl driver"}, true},
		{"jumbo", here("ip link set dev rp mtu 4000"), []string{"warning rp mtu"}, true},
		{"no forwarding", here("sysctl -qw net.ipv4.ip_forward=0"), []string{"problem cl forwarding-ipv4", "problem rp forwarding-ipv4"}, true},
		{"no forwarding there", here("sysctl -qw net.ipv4.conf.rp.forwarding=0"), []string{"problem rp forwarding-ipv4"}, true},
		{"strict", here("sysctl -qw net.ipv4.conf.cl.rp_filter=1"), []string{"warning cl rp-filter"}, true},
		{"strict everywhere", here("sysctl -qw net.ipv4.conf.all.rp_filter=1"), []string{"warning cl rp-filter", "warning rp rp-filter"}, true},
		{"VIP here", here("ip address add 192.0.2.1/32 dev lo"), []string{"warning 192.0.2.1 vip"}, true},
		{"VIP here by a route", here("ip route add local 192.0.2.0/24 dev lo"), []string{"warning 192.0.2.1 vip"}, true},
		{"VIP near", here("ip address add 192.0.2.2/24 dev cl"), []string{"warning 192.0.2.1 vip"}, true},
		{"no route", here("ip route del 10.1.0.0/24"), []string{"problem 10.1.0.1 route"}, true},
		{"a route that refuses", here("ip route add unreachable 10.1.0.1/32"), []string{"problem 10.1.0.1 route"}, false},
		{"a narrow route", here("ip route add 10.1.0.1/32 dev rp mtu 1400"), []string{"warning 10.1.0.1 path-mtu"}, false},
		{"local", here("ip address add 10.1.0.1/32 dev lo"), []string{"problem 10.1.0.1 address"}, false},
		{"nobody asked", here("ip neighbour del 10.1.0.1 dev rp"), []string{"unknown 10.1.0.1 neighbour"}, true},
		{"did not answer", here("ip neighbour replace 10.1.0.1 dev rp nud failed"), []string{"problem 10.1.0.1 neighbour"}, true},
		{"port of a bridge", here("ip link add name br0 type bridge && ip link set dev cl master br0"), []string{"warning cl stacking"}, true},
		{"held by another, generic", func(w world) { w.holdByNetlink("cl", 1<<1) }, []string{"problem cl attached"}, true},
		{"held by another, native", func(w world) { w.holdByNetlink("cl", 1<<2) }, []string{"problem cl attached"}, true},
		{"held by another's link", func(w world) { w.attach("filter", "rp", link.XDPGenericMode) }, []string{"problem rp attached"}, false},
		{"generic by mistake", func(w world) {
			w.attach("other", "cl-p", link.XDPDriverMode)
			w.attach(program, "cl", link.XDPGenericMode)
		}, []string{"warning cl attached"}, false},
		{"generic, where the peer has no program", func(w world) { w.attach(program, "cl", link.XDPGenericMode) }, nil, true},
		{"native, as it should be", func(w world) { w.attach(program, "rp", link.XDPDriverMode) }, nil, true},
		{"XDP instead of GRO", func(w world) { w.here("ethtool -K cl-p gro off"); w.attach("other", "cl-p", link.XDPDriverMode) }, nil, true},
	}
}

// TestCures breaks one thing after the other: exactly its finding appears, and goes by its own cure.
func TestCures(t *testing.T) {
	for _, b := range breakages() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := labels(w.open(scope()))
			b.do(w)
			found := added(before, w.open(scope()))
			if diff := cmp.Diff(b.want, labels(found), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("broken (-want +got):\n%s", diff)
			}
			if !b.cured {
				return
			}
			for _, x := range found {
				w.cure(x)
			}
			if left := added(before, w.open(scope())); len(left) > 0 {
				t.Errorf("after the cures %+v\nare left: %+v", found, left)
			}
		})
	}
}

// added returns the findings that were not there before.
func added(before []string, now []doctor.Finding) []doctor.Finding {
	var more []doctor.Finding
	for _, x := range now {
		if i, there := indexOf(before, label(x)); there {
			before = append(append([]string{}, before[:i]...), before[i+1:]...)
			continue
		}
		more = append(more, x)
	}
	return more
}

func indexOf(all []string, s string) (int, bool) {
	for i, t := range all {
		if s == t {
			return i, true
		}
	}
	return 0, false
}

// holdByNetlink attaches a program without a link, as ip does; flags are XDP_FLAGS_* of include/uapi/linux/if_link.h.
func (w world) holdByNetlink(device string, flags int) {
	w.Helper()
	l, err := netlink.LinkByName(device)
	if err != nil {
		w.Fatal(err)
	}
	if err := netlink.LinkSetXdpFdWithFlags(l, w.program("filter").FD(), flags); err != nil {
		w.Fatal("attach:", err)
	}
}
