package netstate

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/decap"
	"lbctl/lb/doctor"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// newReplica makes the test's thread a replica behind cl, with the VIP on lo, as mode dsr wants it.
func newReplica(t *testing.T) world {
	t.Helper()
	w := newWorld(t)
	w.here("ethtool -K cl gro on && ip address add 192.0.2.1/32 dev lo && ip route add default via 10.0.0.1")
	w.here("sysctl -qw net.ipv4.conf.cl.arp_ignore=1 net.ipv4.conf.cl.arp_announce=2")
	return w
}

func serving(m lb.Mode) Scope {
	return Scope{OnReplica: true, Mode: m, Interfaces: []string{"cl"}, VIPs: []Target{{Address: netip.MustParseAddr("192.0.2.1"), Mode: m}}}
}

func TestReplicaCures(t *testing.T) {
	decapsulate := func(w world) { w.attach(doctor.Decapsulator, "cl", link.XDPDriverMode) }
	advertise := here("ip route replace default via 10.0.0.1 advmss 1420")
	for _, b := range []struct {
		breakage
		mode lb.Mode
		fit  func(world)
	}{
		{breakage{"no VIP", here("ip address del 192.0.2.1/32 dev lo"), []string{"problem 192.0.2.1 vip-held"}, true}, lb.DSR, nil},
		{breakage{"VIP where ARP comes in", here("ip address del 192.0.2.1/32 dev lo && ip address add 192.0.2.1/24 dev cl"), []string{"problem cl arp-ignore"}, true}, lb.DSR, nil},
		{breakage{"answers ARP", here("sysctl -qw net.ipv4.conf.cl.arp_ignore=0"), []string{"problem cl arp-ignore"}, true}, lb.DSR, nil},
		{breakage{"announces", here("sysctl -qw net.ipv4.conf.cl.arp_announce=0"), []string{"problem cl arp-announce"}, true}, lb.DSR, nil},
		{breakage{"strict", here("sysctl -qw net.ipv4.conf.cl.rp_filter=1 && ip route replace default via 10.1.0.1"), []string{"problem cl rp-filter"}, true}, lb.DSR, nil},
		{breakage{"no GRO", here("ethtool -K cl gro off"), []string{"problem cl napi"}, true}, lb.DSR, nil},
		{breakage{"leaves checksums", here("ethtool -K cl tx on"), []string{"problem cl sender-checksums"}, true}, lb.NAT, here("ethtool -K cl tx off")},
		{breakage{"full segments", here("ip route replace default via 10.0.0.1"), []string{"warning cl segment-size"}, true}, lb.IPIP,
			func(w world) { decapsulate(w); advertise(w) }},
		{breakage{"nothing decapsulates", func(world) {}, []string{"problem cl decapsulation"}, false}, lb.IPIP, advertise},
		{breakage{"something else attached", func(w world) { w.attach("other", "cl", link.XDPDriverMode) }, []string{"problem cl decapsulation"}, false}, lb.IPIP, advertise},
		{breakage{"it decapsulates", decapsulate, nil, true}, lb.IPIP, advertise},
	} {
		t.Run(b.mode.String()+", "+b.name, func(t *testing.T) {
			t.Parallel()
			w := newReplica(t)
			if b.fit != nil {
				b.fit(w)
			}
			b.do(w)
			found := w.open(serving(b.mode))
			if diff := cmp.Diff(b.want, labels(found), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("broken (-want +got):\n%s", diff)
			}
			if !b.cured {
				return
			}
			for _, x := range found {
				w.cure(x)
			}
			if left := w.open(serving(b.mode)); len(left) > 0 {
				t.Errorf("after the cures %+v\nare left: %+v", found, left)
			}
		})
	}
}

// TestDecapsulates: the program on a replica is there, and for something else; the cure is the command of its own package.
func TestDecapsulates(t *testing.T) {
	w := newReplica(t)
	w.here("ip route replace default via 10.0.0.1 advmss 1420")
	q := serving(lb.IPIP)
	q.DecapDir = testns.PinDir(t)
	attach := func(vip string) {
		t.Helper()
		o := decap.Options{VIPs: []netip.Addr{netip.MustParseAddr(vip)}}
		if _, err := decap.Attach(t.Context(), q.DecapDir, "cl", o); err != nil {
			t.Fatal(err)
		}
	}
	const want = "problem cl decapsulation"
	for _, step := range []struct {
		name  string
		do    func()
		found []string
	}{
		{"for another VIP", func() { attach("192.0.2.7") }, []string{want}},
		{"for the VIP", func() { attach("192.0.2.1") }, nil},
		{"another address", func() { w.here("ip address add 10.0.0.77/24 dev cl") }, []string{want}},
		{"attached again", func() { attach("192.0.2.1") }, nil},
	} {
		step.do()
		if diff := cmp.Diff(step.found, labels(w.open(q)), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}
