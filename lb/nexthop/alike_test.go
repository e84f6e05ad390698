package nexthop

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/lb/testns"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// nested is a namespace with destinations of many kinds within each other, and addresses in and between them.
func nested(t *testing.T) (*Network, []netip.Addr) {
	need.Root(t)
	testns.Enter(t)
	testns.Up(t, "lo")
	links := []netlink.Link{testns.Veth(t, "up", "10.1.0.1/24"), testns.Veth(t, "side", "10.9.0.1/24")}
	network, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	for to, r := range map[string]netlink.Route{
		"10.2.0.0/16":   {Gw: net.ParseIP("10.1.0.2")},
		"10.2.1.0/24":   {Gw: net.ParseIP("10.1.0.3"), MTU: 1300},
		"10.2.1.128/25": {Gw: net.ParseIP("10.9.0.4"), Src: net.ParseIP("10.9.0.1")},
		"10.2.1.131/32": {Gw: net.ParseIP("10.1.0.5")},
		"10.2.2.0/24":   {Type: unix.RTN_UNREACHABLE},
		"10.2.2.64/26":  {Type: unix.RTN_THROW},
		"10.2.2.128/26": {Type: unix.RTN_PROHIBIT},
		"10.2.3.0/24":   {Gw: net.ParseIP("10.9.0.3"), Table: 100},
		"10.2.4.0/25":   {Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL},
	} {
		_, r.Dst, _ = net.ParseCIDR(to)
		switch {
		case r.Type == unix.RTN_LOCAL:
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				t.Fatal(err)
			}
			r.LinkIndex, r.Scope = lo.Attrs().Index, netlink.SCOPE_HOST
		case r.Type == 0:
			r.LinkIndex = links[0].Attrs().Index
			if r.Gw.To4()[1] == 9 {
				r.LinkIndex = links[1].Attrs().Index
			}
		}
		if err := netlink.RouteAdd(&r); err != nil {
			t.Fatalf("%s: %v", to, err)
		}
	}
	var addresses []netip.Addr
	for n := range 64 {
		for _, format := range []string{"10.1.0.%d", "10.2.0.%d", "10.2.1.%d", "10.2.2.%d", "10.2.3.%d", "10.2.4.%d", "10.3.0.%d", "127.0.0.%d", "224.0.0.%d", "2001:db8::%x"} {
			addresses = append(addresses, netip.MustParseAddr(fmt.Sprintf(format, 4*n+3)))
		}
	}
	return network, append(addresses, netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.255"), netip.MustParseAddr("255.255.255.255"))
}

// prepare asks for all routes in the groups of services, compares them with what is asked for one by one, and returns for how many the
// kernel was asked after it had been worth while to read the destinations.
func prepare(t *testing.T, n *Network, addresses []netip.Addr) (asked int) {
	t.Helper()
	s := n.Gather()
	s.arrivals.read.asked = worthDestinations
	before := n.bulk.sequence
	all := map[netip.Addr][]Answer{}
	for len(addresses) > 0 {
		some := addresses[:min(10, len(addresses))]
		addresses = addresses[len(some):]
		s.Prepare(some)
		for _, a := range some {
			if _, is := s.arrivals.prepared[a]; len(some) > 1 && !is {
				t.Errorf("%v was not asked for", a)
			}
			all[a] = s.Routes(a)
		}
	}
	asked = int(n.bulk.sequence - before)
	for a, got := range all {
		want, err := n.netlink.RouteGet(a.AsSlice())
		if (err != nil || len(want) == 0) != (len(got) == 0) {
			t.Errorf("%v: %v; want %v, %v", a, got, want, err)
			continue
		}
		if len(want) == 0 {
			continue
		}
		f, w := got[0].Route, want[0]
		if f.Type != w.Type || f.LinkIndex != w.LinkIndex || !f.Gw.Equal(w.Gw) || !f.Src.Equal(w.Src) || f.MTU != w.MTU {
			t.Errorf("%v: %+v, want %+v", a, f, w)
		}
	}
	return asked
}

// TestAlike: of addresses that are in the same destinations one is asked for, and the routes to all are what the kernel says.
func TestAlike(t *testing.T) {
	n, addresses := nested(t)
	if asked := prepare(t, n, addresses); asked > len(addresses)/2 {
		t.Errorf("%d questions about %d addresses", asked, len(addresses))
	}
	// Table 100 is looked into for one source, that is not ours; it splits the addresses all the same.
	rule := netlink.NewRule()
	rule.Family, rule.Table, rule.Mark = unix.AF_INET, 100, 7
	if err := netlink.RuleAdd(rule); err != nil {
		t.Fatal(err)
	}
	if asked := prepare(t, n, addresses); asked > len(addresses)/2 {
		t.Errorf("with a rule: %d questions about %d addresses", asked, len(addresses))
	}
}

// TestUnlike: where routes depend on more than destinations, each is asked for.
func TestUnlike(t *testing.T) {
	for name, change := range map[string]func(links []int) error{
		"a rule for a destination": func([]int) error {
			rule := netlink.NewRule()
			rule.Family, rule.Table = unix.AF_INET, 100
			_, rule.Dst, _ = net.ParseCIDR("10.2.3.0/28")
			return netlink.RuleAdd(rule)
		},
		"several ways": func(links []int) error {
			_, to, _ := net.ParseCIDR("10.8.0.0/16")
			return netlink.RouteAdd(&netlink.Route{Dst: to, MultiPath: []*netlink.NexthopInfo{
				{LinkIndex: links[0], Gw: net.ParseIP("10.1.0.7")}, {LinkIndex: links[1], Gw: net.ParseIP("10.9.0.7")},
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, addresses := nested(t)
			var links []int
			for _, name := range []string{"up", "side"} {
				link, err := netlink.LinkByName(name)
				if err != nil {
					t.Fatal(err)
				}
				links = append(links, link.Attrs().Index)
			}
			if err := change(links); err != nil {
				t.Fatal(err)
			}
			for i := range 64 {
				addresses = append(addresses, netip.AddrFrom4([4]byte{10, 8, 0, byte(i)}))
			}
			if asked := prepare(t, n, addresses); asked < len(addresses) {
				t.Errorf("%d questions about %d addresses", asked, len(addresses))
			}
		})
	}
}

// TestAlikeButForAnException: a path MTU that the kernel has learnt of one host is that of no other.
func TestAlikeButForAnException(t *testing.T) {
	n, addresses := nested(t)
	to := netip.MustParseAddr("10.2.0.7") // one of them
	tooBig(t, "up", netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.1"), to, 1200)
	for wait := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if routes, err := n.netlink.RouteGet(to.AsSlice()); err == nil && routes[0].MTU == 1200 {
			break
		} else if time.Now().After(wait) {
			t.Fatalf("no path MTU was learnt: %+v, %v", routes, err)
		}
	}
	if asked := prepare(t, n, addresses); asked > len(addresses)/2 {
		t.Errorf("%d questions about %d addresses", asked, len(addresses))
	}
}

// tooBig has a router tell this host, by a packet that comes in on a link, that its answers to a host's echo requests are too big.
func tooBig(t *testing.T, name string, router, host, to netip.Addr, mtu uint16) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := netlink.LinkByIndex(link.Attrs().ParentIndex)
	if err != nil {
		t.Fatal(err)
	}
	quoted := append(ipv4(20+8, host, to), icmp(0, 0, 0, nil)...)
	frame := slices.Concat(link.Attrs().HardwareAddr, peer.Attrs().HardwareAddr, []byte{8, 0},
		ipv4(20+8+len(quoted), router, host), icmp(3, 4, mtu, quoted))
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	if err := unix.Sendto(socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: peer.Attrs().Index}); err != nil {
		t.Fatal(err)
	}
}

// ipv4 returns the header of an ICMP packet of a length.
func ipv4(length int, from, to netip.Addr) []byte {
	header := slices.Concat([]byte{0x45, 0, byte(length >> 8), byte(length), 0, 0, 0, 0, 64, unix.IPPROTO_ICMP, 0, 0}, from.AsSlice(), to.AsSlice())
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return header
}

// icmp returns a message whose last field is mtu.
func icmp(kind, code byte, mtu uint16, quoted []byte) []byte {
	message := append([]byte{kind, code, 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, quoted...)
	binary.BigEndian.PutUint16(message[2:], checksum(message))
	return message
}

// checksum is that of RFC 1071, of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 0; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}
