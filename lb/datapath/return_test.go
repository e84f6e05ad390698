package datapath

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/oracle"
	"lbctl/lb/tables"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// returnPath is a network in which replicas answer, over one link, clients behind a gateway.
type returnPath struct {
	*testing.T
	d    *Datapath
	link netlink.Link
	cpus []int
	// other is a link without hosts.
	other int
}

// newReturnPath puts all clients behind one gateway of their IP version, so that a change of its MAC
// address reports whether a packet was sent by an entry of the FIB cache.
func newReturnPath(t *testing.T, o Options) returnPath {
	inNamespace(t)
	h := returnPath{T: t, cpus: cpus(t), link: testns.Veth(t, "up", "10.1.0.254/24", "2001:db8:2::fe/64"), other: testns.Veth(t, "other").Attrs().Index}
	h.on(0) // each CPU has a FIB cache of its own
	h.gatewayIs(1)
	for _, clients := range []string{"198.18.0.0/15", "2001:db8:1::/48"} {
		to := netip.MustParsePrefix(clients)
		gateway := "10.1.0.1"
		if to.Addr().Is6() {
			gateway = "2001:db8:2::1"
		}
		err := netlink.RouteAdd(&netlink.Route{
			LinkIndex: h.link.Attrs().Index, Gw: netip.MustParseAddr(gateway).AsSlice(),
			Dst: &net.IPNet{IP: to.Addr().AsSlice(), Mask: net.CIDRMask(to.Bits(), to.Addr().BitLen())},
		})
		if err != nil {
			t.Fatal("add route:", err)
		}
	}
	h.d = open(t, o)
	for vip, replica := range map[string]string{
		"192.0.2.1:80": "10.1.0.2:80", "192.0.2.2:80": "10.1.0.3:80",
		"[2001:db8::1]:80": "[2001:db8:2::2]:80", "[2001:db8::2]:80": "[2001:db8:2::3]:80", "[2001:db8:0:1::1]:80": "[2001:db8:2::4]:80",
	} {
		s := web(vip, replica)
		for _, p := range []packet.Protocol{packet.TCP, packet.UDP} {
			s.VIP.Protocol = p
			if err := h.d.SetService(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	return h
}

// gatewayIs gives the gateways a MAC address that ends in last.
func (h returnPath) gatewayIs(last byte) {
	h.Helper()
	for _, gateway := range []string{"10.1.0.1", "2001:db8:2::1"} {
		testns.SetNeighbour(h, h.link.Attrs().Index, netip.MustParseAddr(gateway), lb.MAC{2, 0, 0, 0, 9, last})
	}
}

// question is an answer of a replica, for which a route is needed.
type question struct {
	replica, client string
	protocol        packet.Protocol
	payload         int
	elsewhere       bool // comes in on another interface
}

// goesTo returns the last byte of the MAC address to which the answer goes, 0 if it does not leave.
func (h returnPath) goesTo(q question) byte {
	h.Helper()
	p := contract.Packet{TTL: 64, Flags: 0x10, Payload: make([]byte, q.payload), Flow: packet.Flow{
		Source:      netip.AddrPortFrom(netip.MustParseAddr(q.replica), 80),
		Destination: netip.AddrPortFrom(netip.MustParseAddr(q.client), 1024), Protocol: q.protocol,
	}}
	ingress := h.link.Attrs().Index
	if q.elsewhere {
		ingress = h.other
	}
	v, err := send(h.d.Program(), ingress, p.Frame())
	if err != nil {
		h.Fatal(err)
	}
	if v.Action != oracle.Transmit && v.Action != oracle.Redirect {
		return 0
	}
	return v.Frame[5]
}

// unreachable removes the route to the first client.
func (h returnPath) unreachable() {
	h.Helper()
	to := &net.IPNet{IP: net.IPv4(198, 18, 0, 1).To4(), Mask: net.CIDRMask(32, 32)}
	if err := netlink.RouteAdd(&netlink.Route{Dst: to, Type: unix.RTN_UNREACHABLE}); err != nil {
		h.Fatal("add route:", err)
	}
}

// What a route of one of these types forbids to send is dropped, and for the same reason as explained; what no
// route leads to goes up, as what is to this host does.
func TestAnswersWithoutRoute(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true})
	for i, c := range []struct {
		kind int
		want lb.Reason
	}{{unix.RTN_UNREACHABLE, lb.NoRoute}, {unix.RTN_PROHIBIT, lb.NoRoute}, {unix.RTN_BLACKHOLE, lb.NoRoute}, {0, lb.ForThisHost}} {
		for _, q := range []question{
			{replica: "10.1.0.2", client: fmt.Sprintf("203.0.113.%d", i)}, {replica: "2001:db8:2::2", client: fmt.Sprintf("2001:db8:9::%d", i)},
		} {
			q.protocol = packet.TCP
			client := netip.MustParseAddr(q.client)
			if c.kind != 0 {
				to := &net.IPNet{IP: client.AsSlice(), Mask: net.CIDRMask(client.BitLen(), client.BitLen())}
				if err := netlink.RouteAdd(&netlink.Route{Dst: to, Type: c.kind}); err != nil {
					t.Fatal("add route:", err)
				}
			}
			before, err := h.d.Counters()
			if err != nil {
				t.Fatal(err)
			}
			if at := h.goesTo(q); at != 0 {
				t.Errorf("an answer to %s goes to %d", q.client, at)
			}
			after, err := h.d.Counters()
			if err != nil {
				t.Fatal(err)
			}
			if n := after.Reasons[c.want].Packets - before.Reasons[c.want].Packets; n != 1 {
				t.Errorf("an answer to %s by a route of type %d: %d more packets are %s, want 1", q.client, c.kind, n, c.want)
			}
			flow := packet.Flow{Source: netip.AddrPortFrom(netip.MustParseAddr(q.replica), 80), Destination: netip.AddrPortFrom(client, 1024), Protocol: q.protocol}
			if e, err := h.d.Explain(lb.Probe{Flow: flow}); err != nil || e.Reason != c.want {
				t.Errorf("an answer to %s is explained as %s (%v), want %s", q.client, e.Reason, err, c.want)
			}
		}
	}
}

// shrink makes the link's MTU one byte too small.
func (h returnPath) shrink() {
	h.Helper()
	if err := netlink.LinkSetMTU(h.link, 1499); err != nil {
		h.Fatal("set MTU:", err)
	}
}

// cpus are those that the test's thread may use.
func cpus(t *testing.T) (numbers []int) {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal("read affinity:", err)
	}
	for cpu := range 8 * int(unsafe.Sizeof(set)) {
		if set.IsSet(cpu) {
			numbers = append(numbers, cpu)
		}
	}
	return numbers
}

// on keeps the test's thread on one of the CPUs that it might use.
func (h returnPath) on(i int) {
	h.Helper()
	if i >= len(h.cpus) {
		h.Skip("needs more CPUs")
	}
	var set unix.CPUSet
	set.Set(h.cpus[i])
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		h.Fatal("set affinity:", err)
	}
}

// farEnd is the other end of the link, in a namespace of its own, as a host that answers for the gateways and for clients.
type farEnd struct {
	in   *netlink.Handle
	link netlink.Link
}

// farAddresses are the gateways and clients of farEnd.
var farAddresses = []string{"10.1.0.1", "10.1.0.9", "2001:db8:2::1", "2001:db8:2::9"}

func (h returnPath) newFarEnd() (far farEnd) {
	h.Helper()
	here, err := netns.Get()
	if err != nil {
		h.Fatal(err)
	}
	defer here.Close()
	there, err := netns.New()
	if err != nil {
		h.Fatal(err)
	}
	defer there.Close()
	testns.Sysctl(h, "net/ipv6/conf/default/accept_dad", "0")
	if err := netns.Set(here); err != nil {
		h.Fatal(err)
	}
	end, err := netlink.LinkByName("up-peer")
	if err != nil {
		h.Fatal(err)
	}
	if err := netlink.LinkSetNsFd(end, int(there)); err != nil {
		h.Fatal(err)
	}
	if far.in, err = netlink.NewHandleAt(there); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(far.in.Close)
	if far.link, err = far.in.LinkByName("up-peer"); err != nil {
		h.Fatal(err)
	}
	for _, a := range farAddresses {
		prefix := &net.IPNet{IP: netip.MustParseAddr(a).AsSlice(), Mask: net.CIDRMask(24, 32)}
		if netip.MustParseAddr(a).Is6() {
			prefix.Mask = net.CIDRMask(64, 128)
		}
		if err := far.in.AddrAdd(far.link, &netlink.Addr{IPNet: prefix}); err != nil {
			h.Fatal("add address:", err)
		}
	}
	if err := far.in.LinkSetUp(far.link); err != nil {
		h.Fatal(err)
	}
	return far
}

// setMAC gives the far end a MAC address that ends in last. It tells nobody.
func (h returnPath) setMAC(far farEnd, last byte) {
	h.Helper()
	if err := far.in.LinkSetHardwareAddr(far.link, net.HardwareAddr{2, 0, 0, 0, 9, last}); err != nil {
		h.Fatal(err)
	}
}

// becomes sends answers until they go to the MAC address that ends in want. What goes up to the kernel has it look for the
// neighbour, as a packet of its own does.
func (h returnPath) becomes(q question, want byte) {
	h.Helper()
	at := h.goesTo(q)
	for deadline := time.Now().Add(30 * time.Second); at != want; at = h.goesTo(q) {
		if time.Now().After(deadline) {
			h.Fatalf("answers to %s still go to %d, want %d", q.client, at, want)
		}
		if err := h.d.hops.confirm(); err != nil {
			h.Fatal(err)
		}
		if at == 0 {
			c, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr(q.client), 9).String())
			if err != nil {
				h.Fatal(err)
			}
			_, _ = c.Write([]byte{0}) // refused: nobody listens
			c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A host that clients are behind, or that is one, changes its MAC address while its neighbour entry is stale. As with
// packets of the kernel's own, the new address is found.
func TestNeighbourChangesMAC(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true})
	for _, family := range []string{"ipv4", "ipv6"} {
		testns.Sysctl(t, "net/"+family+"/neigh/up/delay_first_probe_time", "1")
		testns.Sysctl(t, "net/"+family+"/neigh/up/retrans_time_ms", "100")
	}
	far := h.newFarEnd()
	h.setMAC(far, 2)
	for _, a := range farAddresses {
		testns.StaleNeighbour(t, h.link.Attrs().Index, netip.MustParseAddr(a), lb.MAC{2, 0, 0, 0, 9, 1})
	}
	questions := []question{
		{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}, // behind the gateway
		{replica: "10.1.0.2", client: "10.1.0.9", protocol: packet.TCP},
		{replica: "2001:db8:2::2", client: "2001:db8:1::1", protocol: packet.TCP},
		{replica: "2001:db8:2::2", client: "2001:db8:2::9", protocol: packet.TCP},
	}
	for _, q := range questions {
		if at := h.goesTo(q); at != 1 {
			t.Errorf("answers to %s go to %d at once, want the address that is known, 1", q.client, at)
		}
	}
	for _, q := range questions {
		h.becomes(q, 2)
	}
}

// Explain asks for the route to a client as the program does: as of a packet that comes in on its interface.
func TestExplainAsksByIngress(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true})
	for _, client := range []string{"198.18.0.1", "2001:db8:1::1"} {
		q := question{replica: "10.1.0.2", client: client, protocol: packet.TCP}
		gateway, family, bits := "10.1.0.7", netlink.FAMILY_V4, 32
		if netip.MustParseAddr(client).Is6() {
			q.replica, gateway, family, bits = "2001:db8:2::2", "2001:db8:2::7", netlink.FAMILY_V6, 128
		}
		testns.SetNeighbour(t, h.link.Attrs().Index, netip.MustParseAddr(gateway), lb.MAC{2, 0, 0, 0, 9, 7})
		to := &net.IPNet{IP: netip.MustParseAddr(client).AsSlice(), Mask: net.CIDRMask(bits, bits)}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: h.link.Attrs().Index, Gw: netip.MustParseAddr(gateway).AsSlice(), Dst: to, Table: 100}); err != nil {
			t.Fatal("add route:", err)
		}
		rule := netlink.NewRule()
		rule.IifName, rule.Table, rule.Family = "up", 100, family
		if err := netlink.RuleAdd(rule); err != nil {
			t.Fatal("add rule:", err)
		}
		for _, elsewhere := range []bool{false, true} {
			q.elsewhere = elsewhere
			ingress := h.link.Attrs().Index
			if elsewhere {
				ingress = h.other
			}
			x, err := h.d.Explain(lb.Probe{Ingress: ingress, Flow: packet.Flow{
				Source:      netip.AddrPortFrom(netip.MustParseAddr(q.replica), 80),
				Destination: netip.AddrPortFrom(netip.MustParseAddr(client), 1024), Protocol: packet.TCP,
			}})
			if err != nil {
				t.Fatal(err)
			}
			want := byte(7)
			if elsewhere {
				want = 1
			}
			if at := h.goesTo(q); at != want || x.NextHop.Destination[5] != at {
				t.Errorf("an answer to %s, elsewhere %v: goes to %d, explained as %d, want %d", client, elsewhere, at, x.NextHop.Destination[5], want)
			}
		}
	}
}

// forever keeps entries of the FIB cache valid until the network changes.
func forever(s *ebpf.CollectionSpec) {
	if err := s.Variables[bpf.LbVarFibCacheTicks].Set(uint32(math.MaxInt32)); err != nil {
		panic(err)
	}
}

// entryOf is the index of a client's entry in the FIB cache of a CPU.
func entryOf(client string) uint32 {
	return uint32(tables.EndpointHash(bpf.Endpoint(netip.AddrPortFrom(netip.MustParseAddr(client), 0), 0)) >> 52)
}

// sharing returns a client, of those that the pattern makes of a number, with the same entry.
func sharing(t *testing.T, pattern string, entry uint32) string {
	t.Helper()
	for i := 2; i < 1<<16; i++ {
		client := fmt.Sprintf(pattern, i>>8, i&0xff)
		if entryOf(client) == entry {
			return client
		}
	}
	t.Fatal("no client shares the entry")
	return ""
}

// An entry answers the same question only, and another question does not replace it while it is valid.
func TestFIBCacheKey(t *testing.T) {
	v4 := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}
	v6 := question{replica: "2001:db8:2::2", client: "2001:db8:1::1", protocol: packet.TCP}
	for name, c := range map[string]struct {
		q      question
		change func(q *question)
	}{
		"another client":           {v4, func(q *question) { q.client = sharing(t, "198.19.%d.%d", entryOf(q.client)) }},
		"another IPv6 client":      {v6, func(q *question) { q.client = sharing(t, "2001:db8:1::%x:%x", entryOf(q.client)) }},
		"another network":          {v6, func(q *question) { q.client = sharing(t, "2001:db8:1:%x%02x::1", entryOf(q.client)) }},
		"another VIP":              {v4, func(q *question) { q.replica = "10.1.0.3" }},
		"another IPv6 VIP":         {v6, func(q *question) { q.replica = "2001:db8:2::3" }},
		"a VIP of another network": {v6, func(q *question) { q.replica = "2001:db8:2::4" }},
		"another protocol":         {v4, func(q *question) { q.protocol = packet.UDP }},
		"another interface":        {v4, func(q *question) { q.elsewhere = true }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newReturnPath(t, Options{manualClock: true, edit: forever})
			first, other := c.q, c.q
			c.change(&other)
			if at := h.goesTo(first); at != 1 {
				t.Fatalf("the first answer goes to %d, want 1", at)
			}
			h.gatewayIs(2)
			if at := h.goesTo(other); at != 2 {
				t.Errorf("another one goes to %d, want 2: it is not in the cache", at)
			}
			if at := h.goesTo(first); at != 1 {
				t.Errorf("the first one goes to %d, want 1: it is in the cache", at)
			}
			h.d.registry.tables.InvalidateFIBCache()
			if at := h.goesTo(first); at != 2 {
				t.Errorf("the first one goes to %d, want 2: the cache was invalidated", at)
			}
		})
	}
}

// An entry made by a short packet does not serve one that is longer than the MTU.
func TestFIBCacheMTU(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true, edit: forever})
	q := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}
	for bytes, want := range map[int]byte{0: 1, 1460: 1, 1461: 0} {
		q.payload = 0
		h.goesTo(q)
		if q.payload = bytes; h.goesTo(q) != want {
			t.Errorf("%d bytes of payload, MTU 1500: goes to %d, want %d", bytes, h.goesTo(q), want)
		}
	}
}

// Each CPU has entries of its own.
func TestFIBCachePerCPU(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true, edit: forever})
	q := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}
	h.goesTo(q)
	h.gatewayIs(2)
	h.on(1)
	if at := h.goesTo(q); at != 2 {
		t.Errorf("another CPU sends to %d, want 2", at)
	}
	h.on(0)
	if at := h.goesTo(q); at != 1 {
		t.Errorf("the first CPU sends to %d, want 1", at)
	}
}

// A missing neighbour is not kept in the cache.
func TestFIBCacheWithoutNeighbour(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true, edit: forever})
	q := question{replica: "10.1.0.2", client: "10.1.0.9", protocol: packet.TCP}
	if at := h.goesTo(q); at != 0 {
		t.Fatalf("without a neighbour: goes to %d", at)
	}
	mac := testns.Neighbour(t, h.link, q.client)
	if at := h.goesTo(q); at != mac[5] {
		t.Errorf("with a neighbour: goes to %d, want %d", at, mac[5])
	}
}

// An entry expires after some ticks, and whenever the network changes.
func TestFIBCacheExpires(t *testing.T) {
	moved := func(h returnPath) { h.gatewayIs(2) }
	for name, c := range map[string]struct {
		options Options
		change  func(h returnPath)
		want    byte
	}{
		"ticks":         {Options{manualClock: true}, moved, 2},
		"a neighbour":   {Options{edit: forever}, moved, 2},
		"a route":       {Options{edit: forever}, returnPath.unreachable, 0},
		"a link's size": {Options{edit: forever}, returnPath.shrink, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newReturnPath(t, c.options)
			q := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP, payload: 1460}
			if at := h.goesTo(q); at != 1 {
				t.Fatalf("the first answer goes to %d, want 1", at)
			}
			c.change(h)
			for deadline := time.Now().Add(10 * time.Second); h.goesTo(q) != c.want; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("still goes to %d", h.goesTo(q))
				}
			}
		})
	}
}

// Every message about neighbours, routes or links invalidates the cache.
func TestNewsInvalidateFIBCache(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true, edit: forever})
	q := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}
	h.goesTo(q)
	h.gatewayIs(2)
	follower{h.d}.Changed()
	if at := h.goesTo(q); at != 2 {
		t.Errorf("goes to %d after a message, want 2", at)
	}
}
