package balance

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// modesBed is a client, a balancer with the real daemon in it, and replicas behind a link each: a network
// namespace each. The balancer is the replicas' router, too.
type modesBed struct {
	*clitest.World
	client, balancer *netns.Namespace
	replicas         [2]*netns.Namespace
	pins             string
}

// newModesBed makes the network. mtu is that of the replicas' links, that of the client's is 1500.
func newModesBed(t *testing.T, mtu int) *modesBed {
	t.Helper()
	b, outer := newHosts(t, mtu)
	receiving, err := xdp.Receive(outer)
	must(t, err)
	t.Cleanup(func() { receiving.Close() })
	return b
}

// newHosts is newModesBed, and returns the client's link, which receives what the balancer sends in mode generic alone.
func newHosts(t *testing.T, mtu int) (*modesBed, netns.Link) {
	t.Helper()
	need.Root(t)
	run, err := netns.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	b := &modesBed{World: newWorld(t), pins: fmt.Sprintf("/sys/fs/bpf/lbctl-test-modes-%d", os.Getpid())}
	t.Cleanup(func() {
		must(t, run.Close(), os.RemoveAll(b.pins+"-decap"))
		purge(t, b.pins)
	})
	for name, to := range map[string]**netns.Namespace{
		"client": &b.client, "balancer": &b.balancer, "replica-1": &b.replicas[0], "replica-2": &b.replicas[1],
	} {
		n, err := run.Make(name)
		must(t, err)
		must(t, n.AllowIPv6())
		*to = n
	}
	must(t, b.balancer.Sysctl("net/ipv4/ip_forward", "1"), b.balancer.Sysctl("net/ipv6/conf/all/forwarding", "1"))
	outer := b.link(b.client, "eth0", "198.51.100", "2001:db8:c::", 0)
	route(t, outer, "192.0.2.0/24", "198.51.100.254")
	route(t, outer, "2001:db8:f::/64", "2001:db8:c::fe")
	for n, r := range b.replicas {
		net4, net6 := fmt.Sprintf("10.%d.0", n+1), fmt.Sprintf("2001:db8:%d::", n+1)
		inner := b.link(r, fmt.Sprintf("eth%d", n+1), net4, net6, mtu)
		route(t, inner, "198.51.100.0/24", net4+".254")
		route(t, inner, "2001:db8:c::/64", net6+"fe")
	}
	return b, outer
}

// link makes a link to the balancer's interface of that name, with the host 1 at this end and the balancer
// at the other, in two networks.
func (b *modesBed) link(from *netns.Namespace, name, net4, net6 string, mtu int) netns.Link {
	b.T.Helper()
	here, there, err := netns.Veth(netns.End{Namespace: from, Name: "eth0"}, netns.End{Namespace: b.balancer, Name: name}, mtu)
	must(b.T, err,
		here.AddAddress(netip.MustParsePrefix(net4+".1/24")), there.AddAddress(netip.MustParsePrefix(net4+".254/24")),
		here.AddAddress(netip.MustParsePrefix(net6+"1/64")), there.AddAddress(netip.MustParsePrefix(net6+"fe/64")),
		// From which the kernel asks for neighbours (ndisc_send_ns).
		here.AddAddress(netip.MustParsePrefix("fe80::1/64")), there.AddAddress(netip.MustParsePrefix("fe80::fe/64")))
	return here
}

func route(t *testing.T, l netns.Link, to, via string) {
	t.Helper()
	must(t, l.AddRoute(netip.MustParsePrefix(to), netip.MustParseAddr(via)))
}

func must(t *testing.T, all ...error) {
	t.Helper()
	for _, err := range all {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// daemon starts `lbctl serve` as a process in the balancer's namespace, until the test is over.
func (b *modesBed) daemon(config string) {
	b.T.Helper()
	d := b.ProcessBy(b.balancer.Start, "serve", "--state-dir", b.Path("state"), "--pin-dir", b.pins, "-f", b.Write("modes.yaml", config))
	b.T.Cleanup(func() {
		d.Process.Signal(syscall.SIGTERM)
		if err := d.Wait(); err != nil {
			b.T.Errorf("serve: %v", err)
		}
	})
}

// onReplica runs a command in the namespace of a replica; it must succeed.
func (b *modesBed) onReplica(n int, line string) (stdout string) {
	b.T.Helper()
	must(b.T, b.replicas[n].Do(func() error {
		code, out, stderr := b.Run(strings.Fields(line)...)
		if stdout = out; code != cli.ExitDone {
			return fmt.Errorf("lbctl %s: exit %d: %s%s", line, code, out, stderr)
		}
		return nil
	}))
	return stdout
}

// listenTCP and listenUDP make a socket of a replica, closed with the test.
func (b *modesBed) listenTCP(n int, at netip.AddrPort) (l *net.TCPListener) {
	b.T.Helper()
	must(b.T, b.replicas[n].Do(func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		return err
	}))
	b.T.Cleanup(func() { l.Close() })
	return l
}

func (b *modesBed) listenUDP(n int, at netip.AddrPort) (c *net.UDPConn) {
	b.T.Helper()
	must(b.T, b.replicas[n].Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	}))
	b.T.Cleanup(func() { c.Close() })
	return c
}

// kernelDecapsulates makes the kernel of replica n decapsulate what comes in mode ipip.
func (b *modesBed) kernelDecapsulates(n int) {
	b.T.Helper()
	eth0, err := b.replicas[n].Link("eth0")
	must(b.T, err)
	receiving, err := xdp.Receive(eth0)
	must(b.T, err)
	b.T.Cleanup(func() { receiving.Close() })
	for _, line := range []string{
		"ip fou add port 6080 gue",
		"ip -6 fou add port 6080 gue",
		"ip -6 fou add port 5555 ipproto 41",
		fmt.Sprintf("ip link add tunnel4 type ipip local 10.%d.0.1", n+1),
		fmt.Sprintf("ip link add tunnel6 type ip6tnl mode any local 2001:db8:%d::1", n+1),
		"ip link set tunnel4 up",
		"ip link set tunnel6 up",
	} {
		words := strings.Fields(line)
		c := exec.CommandContext(b.T.Context(), words[0], words[1:]...)
		c.Stderr = b.T.Output()
		must(b.T, b.replicas[n].Start(c), c.Wait())
	}
}
