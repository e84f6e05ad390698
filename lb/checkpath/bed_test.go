package checkpath_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/lb"
	"lbctl/lb/checkpath"
	"lbctl/lb/decap"
	"lbctl/lb/testns"
	"lbctl/rss/packet"
	"lbctl/testbed/netns"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// bed is a balancer and two replicas on one switch: a network namespace each.
type bed struct {
	testing.TB
	fabric   *netns.Namespace
	bridge   netns.Link
	balancer *netns.Namespace
	replicas [2]*netns.Namespace
	uplink   netns.Link
	path     *checkpath.Path
}

const port = 8080

func must(t testing.TB, all ...error) {
	t.Helper()
	for _, err := range all {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func newBed(t testing.TB) *bed {
	t.Helper()
	need.Root(t)
	run, err := netns.NewRun()
	must(t, err)
	t.Cleanup(func() { must(t, run.Close()) })
	b := &bed{TB: t}
	b.fabric, err = run.Make("switch")
	must(t, err)
	must(t, b.fabric.Do(func() error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "switch"}})
	}))
	b.bridge, err = b.fabric.Link("switch")
	must(t, err, b.bridge.Up())
	for name, to := range map[string]**netns.Namespace{"balancer": &b.balancer, "replica-1": &b.replicas[0], "replica-2": &b.replicas[1]} {
		n, err := run.Make(name)
		must(t, err, n.AllowIPv6())
		*to = n
	}
	b.uplink = b.plug(b.balancer, "eth0", "port0")
	b.number(b.uplink, 254)
	gateway := netip.MustParseAddr("10.0.0.253")
	must(t, b.uplink.AddNeighbour(gateway, net.HardwareAddr{2, 0, 0, 0, 0, 253}), b.uplink.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), gateway))
	for n, r := range b.replicas {
		b.number(b.plug(r, "eth0", fmt.Sprint("port", n+1)), n+1)
		must(t, r.Sysctl("net/ipv4/conf/all/arp_announce", "2")) // so that no VIP asks for a host that has it, too
	}
	return b
}

// plug links a host to a port of the switch.
func (b *bed) plug(host *netns.Namespace, name, port string) netns.Link {
	b.Helper()
	here, there, err := netns.Veth(netns.End{Namespace: host, Name: name}, netns.End{Namespace: b.fabric, Name: port}, 0)
	must(b.TB, err)
	must(b.TB, b.fabric.Do(func() error {
		return netlink.LinkSetMasterByIndex(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: there.Index}}, b.bridge.Index)
	}))
	return here
}

// number gives a link addresses with a number.
func (b *bed) number(l netns.Link, n int) {
	b.Helper()
	for _, prefix := range []string{"10.0.0.%d/24", "2001:db8::%d/64", "fe80::%d/64"} {
		must(b.TB, l.AddAddress(netip.MustParsePrefix(fmt.Sprintf(prefix, n))))
	}
}

// open opens the path in the balancer's namespace until the test is over.
func (b *bed) open(o checkpath.Options) {
	b.Helper()
	if o.Name == "" {
		o.Name = "test"
	}
	o.Mark = checkpath.DefaultMark
	o.Logger = slog.New(slog.NewTextHandler(b.Output(), nil))
	must(b.TB, b.balancer.Do(func() (err error) {
		b.path, err = checkpath.Open(o)
		return err
	}))
	b.Cleanup(b.close)
}

// close closes the path, once.
func (b *bed) close() {
	b.Helper()
	if b.path != nil {
		must(b.TB, b.path.Close())
	}
	b.path = nil
}

// programs counts the programs attached to the uplink.
func (b *bed) programs() (n int) {
	b.Helper()
	must(b.TB, b.balancer.Do(func() error {
		for _, attach := range []ebpf.AttachType{ebpf.AttachTCXEgress, ebpf.AttachTCXIngress} {
			if found, err := link.QueryPrograms(link.QueryOptions{Target: b.uplink.Index, Attach: attach}); err == nil {
				n += len(found.Programs)
			}
		}
		for _, parent := range []uint32{netlink.HANDLE_MIN_EGRESS, netlink.HANDLE_MIN_INGRESS} {
			found, err := netlink.FilterList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: b.uplink.Index}}, parent)
			if err != nil {
				return err
			}
			n += len(found)
		}
		return nil
	}))
	return n
}

// hold gives replica n the VIP of a service, and has it decapsulate in mode ipip.
func (b *bed) hold(n int, s lb.Service) {
	b.Helper()
	vip := s.VIP.Address.Addr()
	lo, err := b.replicas[n].Link("lo")
	must(b.TB, err, lo.AddAddress(netip.PrefixFrom(vip, vip.BitLen())))
	if s.Mode != lb.IPIP {
		return
	}
	dir := fmt.Sprintf("%s-%d", testns.PinDir(b.TB), n)
	o := decap.Options{Mode: lb.Generic, VIPs: []netip.Addr{vip}, Ephemeral: true}
	if s.TunnelPort != 0 {
		o.Ports = []uint16{s.TunnelPort}
	}
	must(b.TB, b.replicas[n].Do(func() error {
		_, err := decap.Attach(b.Context(), dir, "eth0", o)
		return err
	}))
	b.Cleanup(func() {
		must(b.TB, b.replicas[n].Do(func() error { return decap.Detach(context.Background(), dir, "eth0") }), os.RemoveAll(dir))
	})
}

// drop takes the VIP from replica n.
func (b *bed) drop(n int, s lb.Service) {
	b.Helper()
	vip := s.VIP.Address.Addr()
	must(b.TB, b.replicas[n].Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		mask := net.CIDRMask(vip.BitLen(), vip.BitLen())
		return netlink.AddrDel(lo, &netlink.Addr{IPNet: &net.IPNet{IP: vip.AsSlice(), Mask: mask}})
	}))
}

// page is longer than what one segment of a check carries.
var page = strings.Repeat("answer ", 200)

// serve has replica n serve until the test is over or the function is called: over HTTP at all its addresses, over UDP at one.
func (b *bed) serve(n int, at netip.Addr) (stop func()) {
	b.Helper()
	var l net.Listener
	var u net.PacketConn
	must(b.TB, b.replicas[n].Do(func() (err error) {
		if l, err = net.Listen("tcp", fmt.Sprint(":", port)); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp", netip.AddrPortFrom(at, port).String())
		return err
	}))
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%d %s", n, page) }))
	go func() {
		for b := make([]byte, 2000); ; {
			size, from, err := u.ReadFrom(b)
			if err != nil {
				return // closed
			}
			u.WriteTo(fmt.Appendf(nil, "%d %s", n, b[:size]), from)
		}
	}()
	stop = func() { l.Close(); u.Close() }
	b.Cleanup(stop)
	return stop
}

// replica is the address of replica n for a service.
func replica(n int, v6 bool) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", n+1)), port)
	}
	return netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", n+1)), port)
}

// How long a check waits for a packet: one that will come, and one that will not.
const (
	patience = 10 * time.Second
	brief    = 300 * time.Millisecond
)

// dial connects as a check of replica n does.
func (b *bed) dial(network string, s lb.Service, n int, wait time.Duration) (c net.Conn, err error) {
	b.Helper()
	to, control, err := b.path.Route(s, s.Replicas[n].Address)
	if err != nil {
		return nil, err
	}
	return b.connect(network, net.Dialer{Control: control, Timeout: wait}, to)
}

// direct connects to an address as it is.
func (b *bed) direct(network string, to netip.AddrPort) (net.Conn, error) {
	b.Helper()
	return b.connect(network, net.Dialer{Timeout: patience}, to)
}

func (b *bed) connect(network string, d net.Dialer, to netip.AddrPort) (c net.Conn, err error) {
	b.Helper()
	err = b.balancer.Do(func() error {
		c, err = d.Dial(network, to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(d.Timeout))
}

// check asks replica n over TCP, HTTP or UDP and returns what it answers.
func (b *bed) check(how string, s lb.Service, n int, wait time.Duration) (answer string, err error) {
	b.Helper()
	network := "tcp"
	if how == "udp" {
		network = how
	}
	c, err := b.dial(network, s, n, wait)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return talk(how, c)
}

func talk(how string, c net.Conn) (answer string, err error) {
	switch how {
	case "udp":
		if _, err := io.WriteString(c, "question"); err != nil {
			return "", err
		}
		answer := make([]byte, 2000)
		n, err := c.Read(answer)
		return string(answer[:n]), err
	case "http":
		if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			return "", err
		}
		all, err := io.ReadAll(c)
		_, body, _ := strings.Cut(string(all), "\r\n\r\n")
		return body, err
	}
	return "", nil // connected
}

// wanted is the answer of replica n.
func wanted(how string, n int) string {
	switch how {
	case "udp":
		return fmt.Sprint(n, " question")
	case "http":
		return fmt.Sprint(n, " ", page)
	}
	return ""
}

// well fails unless replica n answers all kinds of checks.
func (b *bed) well(s lb.Service, n int) {
	b.Helper()
	for _, how := range []string{"tcp", "http", "udp"} {
		if got, err := b.check(how, s, n, patience); err != nil || got != wanted(how, n) {
			b.Errorf("%s to replica %d: %.20q, %v, want %.20q", how, n, got, err, wanted(how, n))
		}
	}
}

// unwell fails if replica n answers a check.
func (b *bed) unwell(s lb.Service, n int) {
	b.Helper()
	for _, how := range []string{"tcp", "http", "udp"} {
		got, err := b.check(how, s, n, brief)
		var timeout net.Error
		if !errors.As(err, &timeout) {
			b.Errorf("%s to replica %d: %.20q, %v, want a network's error", how, n, got, err)
		}
	}
}

// service is one whose replicas are both, with the VIP 192.0.2.10 or 2001:db8:f::10.
func service(mode lb.Mode, e lb.Encapsulation, vip6, replica6 bool) lb.Service {
	vip := netip.MustParseAddrPort("192.0.2.10:8080")
	if vip6 {
		vip = netip.MustParseAddrPort("[2001:db8:f::10]:8080")
	}
	s := lb.Service{VIP: lb.VIP{Address: vip, Protocol: packet.TCP}, Mode: mode, Encapsulation: e, Seed: 7}
	if e != lb.Plain {
		s.TunnelPort = 6080 + uint16(e)
	}
	for n := range 2 {
		s.Replicas = append(s.Replicas, lb.Replica{Address: replica(n, replica6), Weight: 1})
	}
	return s
}

// services are one for each way in which packets get to replicas that hold the VIP.
func services() map[string]lb.Service {
	return map[string]lb.Service{
		"dsr4": service(lb.DSR, lb.Plain, false, false), "dsr6": service(lb.DSR, lb.Plain, true, true),
		"4in4": service(lb.IPIP, lb.Plain, false, false), "4in6": service(lb.IPIP, lb.Plain, false, true), "6in6": service(lb.IPIP, lb.Plain, true, true),
		"gue4in4": service(lb.IPIP, lb.GUE, false, false), "gue4in6": service(lb.IPIP, lb.GUE, false, true), "gue6in6": service(lb.IPIP, lb.GUE, true, true),
		"fou6in6": service(lb.IPIP, lb.FOU, true, true),
	}
}
