package checkpath_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/checkpath"
	"lbctl/testbed/netns"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// someServices are services whose replicas are reached by MAC address, and by an outer packet of another family.
func someServices() map[string]lb.Service {
	all := services()
	return map[string]lb.Service{"dsr4": all["dsr4"], "gue6in6": all["gue6in6"], "4in6": all["4in6"]}
}

// bothAttached runs a test with programs attached as on new kernels, and as on old ones.
func bothAttached(t *testing.T, test func(t *testing.T, o checkpath.Options)) {
	for name, with := range map[string]func(checkpath.Options) checkpath.Options{
		"tcx": func(o checkpath.Options) checkpath.Options { return o }, "filter": checkpath.WithFilters,
	} {
		t.Run(name, func(t *testing.T) { test(t, with(checkpath.Options{})) })
	}
}

// A VIP that is an address of the balancer's own, as where it answers ARP for it, or a routing daemon announces it.
func TestVIPOfThisHost(t *testing.T) {
	for name, s := range someServices() {
		for _, at := range []string{"lo", "eth0"} {
			t.Run(name+" on "+at, func(t *testing.T) {
				b := newBed(t)
				b.open(checkpath.Options{})
				b.hold(0, s)
				b.hold(1, s)
				b.serve(0, s.VIP.Address.Addr())
				vip := s.VIP.Address.Addr()
				l, err := b.balancer.Link(at)
				must(t, err, l.AddAddress(netip.PrefixFrom(vip, vip.BitLen())))
				b.well(s, 0)
				for _, how := range []string{"tcp", "udp"} {
					if _, err := b.check(how, s, 1, patience); !errors.Is(err, unix.ECONNREFUSED) {
						t.Errorf("%s to a closed port: %v", how, err)
					}
				}
			})
		}
	}
}

// The answers come in by another interface than the checks leave, and the kernel drops what does not come by the best route
// to its source.
func TestAnswersByAnotherInterface(t *testing.T) {
	bothAttached(t, func(t *testing.T, o checkpath.Options) {
		b := newBed(t)
		other := b.plug(b.balancer, "eth1", "port9")
		o.Attached = func() []int { return []int{other.Index} }
		b.open(o)
		for _, name := range []string{"all", "eth0", "eth1"} {
			must(t, b.balancer.Sysctl("net/ipv4/conf/"+name+"/rp_filter", "1"))
		}
		s := service(lb.DSR, lb.Plain, false, false)
		b.hold(0, s)
		b.serve(0, s.VIP.Address.Addr())
		b.well(s, 0)
		replica, err := b.replicas[0].Link("eth0")
		must(t, err)
		must(t, b.balancer.Do(func() error {
			l, err := netlink.LinkByIndex(other.Index)
			if err == nil {
				err = replica.AddNeighbour(netip.MustParseAddr("10.0.0.254"), l.Attrs().HardwareAddr)
			}
			return err
		}))
		b.path.Look()
		b.well(s, 0)
	})
}

// until repeats what depends on news of the network.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			t.Fatal("not in time:", what)
		}
	}
}

// by is the address from which a check of replica 0 is sent, or why there is none.
func (b *bed) by(s lb.Service) string {
	b.Helper()
	c, err := b.dial("tcp", s, 0, patience)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	return c.LocalAddr().(*net.TCPAddr).IP.String()
}

// Checks follow the route to the replica, and are answered all the time.
func TestRouteChanges(t *testing.T) {
	b := newBed(t)
	b.open(checkpath.Options{})
	s := service(lb.DSR, lb.Plain, false, false)
	b.hold(0, s)
	b.serve(0, s.VIP.Address.Addr())
	b.well(s, 0)
	other := b.plug(b.balancer, "eth1", "port9")
	must(t, other.AddAddress(netip.MustParsePrefix("10.0.0.252/32")))
	must(t, other.AddRoute(netip.MustParsePrefix("10.0.0.1/32"), netip.Addr{}))
	until(t, "checks leave by eth1", func() bool {
		switch by := b.by(s); by {
		case "10.0.0.252":
			return true
		case "10.0.0.254":
		default:
			t.Fatal(by)
		}
		return false
	})
	b.well(s, 0)
}

// An interface is deleted, and made again.
func TestInterfaceMadeAgain(t *testing.T) {
	bothAttached(t, func(t *testing.T, o checkpath.Options) {
		b := newBed(t)
		b.open(o)
		s := service(lb.IPIP, lb.Plain, true, true)
		b.hold(0, s)
		b.serve(0, s.VIP.Address.Addr())
		b.well(s, 0)
		must(t, b.balancer.Do(func() error {
			return netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: b.uplink.Index}})
		}))
		until(t, "it is said that there is no route", func() bool { return strings.Contains(b.by(s), "there is no route to 2001:db8::1") })
		b.uplink = b.plug(b.balancer, "eth0", "port0")
		b.number(b.uplink, 254)
		until(t, "checks are answered", func() bool { return b.by(s) == "2001:db8::254" })
		b.well(s, 0)
	})
}

// Two balancers of one machine check the same replica, each for a VIP of its own and both for one, and neither minds that the
// other ends.
func TestTwoBalancers(t *testing.T) {
	bothAttached(t, func(t *testing.T, o checkpath.Options) {
		b := newBed(t)
		s := service(lb.DSR, lb.Plain, false, false)
		b.hold(0, s)
		b.serve(0, s.VIP.Address.Addr())
		none := s
		none.VIP.Address = netip.MustParseAddrPort("192.0.2.99:8080")
		o.Name = "one"
		b.open(o)
		one := b.path
		b.well(s, 0)
		o.Name = "two"
		b.path = nil
		b.open(o)
		for range 3 {
			b.unwell(none, 0)
			b.well(s, 0)
			b.path, one = one, b.path
		}
		b.close()
		b.path = one
		b.well(s, 0)
		b.unwell(none, 0)
	})
}

// What a process has left that was killed is removed by the next one of its name: filters, before Linux 6.6.
func TestAfterAKill(t *testing.T) {
	b := newBed(t)
	s := service(lb.DSR, lb.Plain, false, false)
	b.hold(0, s)
	b.serve(0, s.VIP.Address.Addr())
	b.open(checkpath.WithFilters(checkpath.Options{}))
	b.well(s, 0)
	killed := b.path
	b.path = nil
	if n := b.programs(); n != 2 {
		t.Errorf("%d programs are attached, want 2", n)
	}
	b.open(checkpath.WithFilters(checkpath.Options{}))
	if n := b.programs(); n != 0 {
		t.Errorf("%d programs are left", n)
	}
	b.well(s, 0)
	must(t, killed.Close())
}

// A program that somebody detaches is missed by Verify, and attached again by it, or by the next look.
func TestDetachedByAnother(t *testing.T) {
	bothAttached(t, func(t *testing.T, o checkpath.Options) {
		b := newBed(t)
		s := service(lb.IPIP, lb.Plain, false, false)
		b.hold(0, s)
		b.serve(0, s.VIP.Address.Addr())
		b.open(o)
		b.well(s, 0)
		if v := b.path.Verify(false); v.Found > 0 {
			t.Errorf("nothing was detached: %+v", v)
		}
		b.detachAll()
		if v := b.path.Verify(false); v.Found != 2 || v.Repaired > 0 || !strings.Contains(v.Drifts[0].Key, "the program at "+b.uplink.Name) {
			t.Errorf("what was detached: %+v", v)
		}
		if v := b.path.Verify(true); v.Found != 2 || v.Repaired != 2 || b.path.Verify(false).Found > 0 {
			t.Errorf("repaired: %+v, then %+v", v, b.path.Verify(false))
		}
		b.well(s, 0)
		b.detachAll()
		b.path.Look()
		b.well(s, 0)
	})
}

// detachAll takes the programs off the uplink.
func (b *bed) detachAll() {
	b.Helper()
	must(b.TB, b.balancer.Do(func() error {
		for _, attach := range []ebpf.AttachType{ebpf.AttachTCXEgress, ebpf.AttachTCXIngress} {
			found, err := link.QueryPrograms(link.QueryOptions{Target: b.uplink.Index, Attach: attach})
			if err != nil {
				return err
			}
			for _, p := range found.Programs {
				number, _ := p.LinkID()
				l, err := link.NewFromID(number)
				if err != nil {
					return err
				}
				if err := errors.Join(l.Detach(), l.Close()); err != nil {
					return err
				}
			}
		}
		err := netlink.QdiscDel(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: b.uplink.Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}})
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // there is none where the programs had links
			return nil
		}
		return err
	}))
}

// Segments and checksums are left to the NIC, and what it merges is taken apart again.
func TestOffloads(t *testing.T) {
	for name, s := range services() {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			must(t, b.uplink.OffloadsOn())
			l, err := b.replicas[0].Link("eth0")
			must(t, err, l.OffloadsOn())
			b.open(checkpath.Options{})
			b.hold(0, s)
			b.serve(0, s.VIP.Address.Addr())
			b.well(s, 0)
		})
	}
}

// The replicas are in a VLAN, and in a VRF.
func TestStackedInterfaces(t *testing.T) {
	vlan := func(t *testing.T, l netns.Link, number int) {
		t.Helper()
		must(t, l.Namespace().Do(func() error {
			v := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "vlan7", ParentIndex: l.Index}, VlanId: 7}
			if err := netlink.LinkAdd(v); errors.Is(err, unix.EOPNOTSUPP) {
				t.Skip("this kernel has no VLANs")
			}
			return netlink.LinkSetUp(v)
		}))
		v, err := l.Namespace().Link("vlan7")
		must(t, err, v.AddAddress(netip.MustParsePrefix(fmt.Sprintf("10.7.0.%d/24", number))))
	}
	s := service(lb.DSR, lb.Plain, false, false)
	s.Replicas = []lb.Replica{{Address: netip.MustParseAddrPort("10.7.0.1:8080")}}
	t.Run("VLAN", func(t *testing.T) {
		b := newBed(t)
		b.open(checkpath.Options{})
		l, err := b.replicas[0].Link("eth0")
		must(t, err)
		vlan(t, l, 1)
		vlan(t, b.uplink, 254)
		b.hold(0, s)
		b.serve(0, s.VIP.Address.Addr())
		b.well(s, 0)
	})
	t.Run("VRF", func(t *testing.T) {
		b := newBed(t)
		s := service(lb.DSR, lb.Plain, false, false)
		must(t, b.balancer.Sysctl("net/ipv4/ip_forward", "1"))
		must(t, b.balancer.Do(func() error {
			v := &netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "vrf10"}, Table: 10}
			if err := netlink.LinkAdd(v); errors.Is(err, unix.EOPNOTSUPP) {
				t.Skip("this kernel has no VRF")
			}
			must(t, netlink.LinkSetUp(v))
			return netlink.LinkSetMaster(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: b.uplink.Index}}, v)
		}))
		b.open(checkpath.Options{Attached: func() []int { return []int{b.uplink.Index} }})
		b.hold(0, s)
		b.serve(0, s.VIP.Address.Addr())
		b.well(s, 0)
	})
}

// Why no check can be sent is said.
func TestImpossible(t *testing.T) {
	b := newBed(t)
	b.open(checkpath.Options{})
	none := service(lb.DSR, lb.Plain, true, true)
	none.Replicas[0].Address = netip.MustParseAddrPort("[2001:db8:9::1]:8080")
	own := service(lb.IPIP, lb.Plain, false, false)
	own.Replicas[0].Address = netip.MustParseAddrPort("10.0.0.254:8080")
	itself := service(lb.DSR, lb.Plain, false, false)
	itself.VIP.Address = netip.MustParseAddrPort("10.0.0.254:8080")
	for _, c := range []struct {
		s    lb.Service
		want string
	}{
		{none, "send a check to [2001:db8:f::10]:8080 at 2001:db8:9::1: there is no route to 2001:db8:9::1"},
		{own, "10.0.0.254 is the balancer's own"},
		{itself, "the VIP is this host's address towards it: give eth0 another one, before the VIP"},
	} {
		if _, _, err := b.path.Route(c.s, c.s.Replicas[0].Address); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	nat := service(lb.NAT, lb.Plain, false, false)
	if to, control, err := b.path.Route(nat, nat.Replicas[0].Address); err != nil || control != nil || to != nat.Replicas[0].Address {
		t.Errorf("nat: to %v, %v", to, err)
	}
	if n := b.programs(); n != 0 {
		t.Errorf("%d programs are attached though no check can be sent", n)
	}
}
