package balance

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"lbctl/control/api"
)

// aMode is a way in which packets are brought to replicas that hold the VIP themselves.
type aMode struct {
	name, mode string
	vip        netip.Addr
	replica    string // where N is its number
	outer      string // more settings of the service
}

func modesOfVIPs() []aMode {
	const v4, v6 = "10.N.0.1", "[2001:db8:N::1]"
	return []aMode{
		{"ip4in4", "ipip", netip.MustParseAddr("192.0.2.1"), v4, ""},
		{"ip4in6", "ipip", netip.MustParseAddr("192.0.2.2"), v6, ""},
		{"ip6in6", "ipip", netip.MustParseAddr("2001:db8:f::3"), v6, ""},
		{"dsr4", "dsr", netip.MustParseAddr("192.0.2.4"), v4, ""},
		{"dsr6", "dsr", netip.MustParseAddr("2001:db8:f::5"), v6, ""},
		{"gue4in4", "ipip", netip.MustParseAddr("192.0.2.6"), v4, "encapsulation: gue, "},
		{"gue4in6", "ipip", netip.MustParseAddr("192.0.2.7"), v6, "encapsulation: gue, "},
		{"gue6in6", "ipip", netip.MustParseAddr("2001:db8:f::a"), v6, "encapsulation: gue, "},
		{"fou6in6", "ipip", netip.MustParseAddr("2001:db8:f::8"), v6, "encapsulation: fou, tunnel_port: 5555, tunnel_sources: '2001:db8:9::/64', "},
		{"sources4in4", "ipip", netip.MustParseAddr("192.0.2.9"), v4, "tunnel_sources: 10.9.0.0/24, "},
	}
}

// modesConfig has a TCP service and a UDP service for every mode.
func modesConfig() string {
	text := "interfaces: [{name: eth0}, {name: eth1}, {name: eth2}]\nservices:\n"
	for _, m := range modesOfVIPs() {
		for _, protocol := range []string{"tcp", "udp"} {
			text += fmt.Sprintf("  - {name: %s-%s, protocol: %s, vip: %q, mode: %s, %sreplicas: [", m.name, protocol, protocol, m.at(), m.mode, m.outer)
			for _, n := range []string{"1", "2"} {
				text += fmt.Sprintf("{address: %q}, ", strings.Replace(m.replica, "N", n, 1)+":7")
			}
			text += "]}\n"
		}
	}
	return text
}

// at is the VIP with the port of both its services.
func (m aMode) at() netip.AddrPort { return netip.AddrPortFrom(m.vip, 7) }

// served is what a replica says first: which it is, and who asks.
func served(n int, client net.Addr) string { return fmt.Sprintf("%d %v\n", n, client) }

// echoTCP serves: it says who serves whom, and sends back what comes.
func (b *modesBed) echoTCP(n int, m aMode) {
	l := b.listenTCP(n, m.at())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer c.Close()
				fmt.Fprint(c, served(n, c.RemoteAddr()))
				io.Copy(c, c)
			}()
		}
	}()
}

// digestUDP serves: it answers with who serves whom, and the digest of the datagram.
func (b *modesBed) digestUDP(n int, m aMode) {
	c := b.listenUDP(n, m.at())
	go func() {
		for datagram := make([]byte, 1<<16); ; {
			size, from, err := c.ReadFromUDPAddrPort(datagram)
			if err != nil {
				return // closed
			}
			c.WriteToUDPAddrPort(fmt.Appendf(nil, "%s%x", served(n, net.UDPAddrFromAddrPort(from)), sha256.Sum256(datagram[:size])), from)
		}
	}()
}

// dial opens a connection from a port that is named, so that runs are alike.
func (b *modesBed) dial(network string, m aMode, port int) (c net.Conn) {
	b.T.Helper()
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.UDPAddr{Port: port}}
	if network == "tcp" {
		d.LocalAddr = &net.TCPAddr{Port: port}
	}
	must(b.T, b.client.Do(func() (err error) {
		c, err = d.DialContext(b.T.Context(), network, m.at().String())
		return err
	}))
	must(b.T, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c
}

// exchangeTCP sends a quarter of a megabyte there and back, and returns which replica did it.
func (b *modesBed) exchangeTCP(m aMode, port int, data []byte) (replica int, err error) {
	c := b.dial("tcp", m, port)
	defer c.Close()
	go c.Write(data)
	back := make([]byte, len(served(0, c.LocalAddr()))+len(data))
	if _, err := io.ReadFull(c, back); err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	return servedBy(back, c.LocalAddr(), data)
}

// exchangeUDP sends a datagram of three fragments.
func (b *modesBed) exchangeUDP(m aMode, port int, data []byte) (replica int, err error) {
	c := b.dial("udp", m, port)
	defer c.Close()
	if _, err := c.Write(data); err != nil {
		return 0, err
	}
	answer := make([]byte, 1000)
	size, err := c.Read(answer)
	if err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	return servedBy(answer[:size], c.LocalAddr(), fmt.Appendf(nil, "%x", sha256.Sum256(data)))
}

func servedBy(answer []byte, client net.Addr, want []byte) (replica int, err error) {
	for n := range 2 {
		if bytes.Equal(answer, append([]byte(served(n, client)), want...)) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%.40q for the client %v", answer, client)
}

// TestModesEndToEnd is real traffic through the real daemon to replicas that hold the VIPs and run decap: whole
// connections, with the client's own address. Where links have no room for the outer header their senders are told; where
// they have, fragments get there, too.
func TestModesEndToEnd(t *testing.T) {
	for _, mtu := range []int{1500, 1548} {
		t.Run(fmt.Sprint("mtu ", mtu), func(t *testing.T) {
			b := newModesBed(t, mtu)
			for n := range b.replicas {
				vips := b.prepare(n)
				b.onReplica(n, "decap attach eth0 --mode native --pin-dir "+b.pins+"-decap --udp-port 6080,5555"+vips)
				b.onReplica(n, "doctor --on-replica --mode ipip eth0"+vips)
			}
			b.exchange(mtu, 256<<10)
			b.wantDecapsulated()
		})
	}
}

// TestModesByKernel: Linux itself decapsulates on the replicas. Their kernel needs modules for that; testbed/vm runs the test in
// guests that have them.
func TestModesByKernel(t *testing.T) {
	if os.Getenv("LBCTL_GUEST") == "" {
		t.Skip("needs the modules fou, ipip and ip6_tunnel: testbed/vm runs it in guests")
	}
	const mtu = 1548
	b := newModesBed(t, mtu)
	for n := range b.replicas {
		b.prepare(n)
		b.kernelDecapsulates(n)
	}
	b.exchange(mtu, 4000)
}

// exchange starts the balancer and has the client talk to every service, with so much data over TCP.
func (b *modesBed) exchange(mtu, size int) {
	b.T.Helper()
	b.daemon(modesConfig())
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(data)
	for k, m := range modesOfVIPs() {
		b.everyReplica(m.name+" tcp", 40000+100*k, func(port int) (int, error) { return b.exchangeTCP(m, port, data) })
		if mtu > 1500 {
			b.everyReplica(m.name+" udp", 40000+100*k, func(port int) (int, error) { return b.exchangeUDP(m, port, data[:4000]) })
		}
	}
	b.wantReasons(mtu)
}

// prepare makes replica n hold the VIPs and serve, and returns which are those of mode ipip, as flags.
func (b *modesBed) prepare(n int) (vips string) {
	b.T.Helper()
	lo, err := b.replicas[n].Link("lo")
	must(b.T, err)
	for _, m := range modesOfVIPs() {
		must(b.T, lo.AddAddress(netip.PrefixFrom(m.vip, m.vip.BitLen())))
		b.echoTCP(n, m)
		b.digestUDP(n, m)
		if m.mode == "ipip" {
			vips += " --vip " + m.vip.String()
		}
	}
	return vips
}

// everyReplica exchanges data from 12 ports, and fails unless all goes well and both replicas serve.
func (b *modesBed) everyReplica(what string, first int, exchange func(port int) (replica int, err error)) {
	b.T.Helper()
	var by [2]int
	for port := first; port < first+12; port++ {
		replica, err := exchange(port)
		if err != nil {
			b.T.Fatalf("%s, port %d: %v", what, port, err)
		}
		by[replica]++
	}
	if by[0] == 0 || by[1] == 0 {
		b.T.Errorf("%s: %v connections served by the replicas, want some by each", what, by)
	}
}

// wantReasons looks at what the balancer counted.
func (b *modesBed) wantReasons(mtu int) {
	b.T.Helper()
	var balancer api.Counters
	must(b.T, json.Unmarshal([]byte(b.OK("get", "counters", "-o", "json")), &balancer))
	told := reasonsOf(balancer.Reasons)
	if (told["too_big_answered"] > 0) != (mtu == 1500) || told["too_big"] > 0 || told["fragment_orphan"] > 0 {
		b.T.Errorf("the balancer counted %v", told)
	}
}

// wantDecapsulated looks at what the replicas counted.
func (b *modesBed) wantDecapsulated() {
	b.T.Helper()
	for n := range b.replicas {
		var list decapInterfaces
		must(b.T, json.Unmarshal([]byte(b.onReplica(n, "decap list -o json --pin-dir "+b.pins+"-decap")), &list))
		for _, r := range list.Interfaces[0].Reasons {
			switch r.Reason {
			case "decapsulated":
				if r.Packets == 0 {
					b.T.Errorf("replica %d decapsulated nothing", n+1)
				}
			case "not_tunnel", "not_ip": // dsr, ARP
			default:
				if r.Packets > 0 {
					b.T.Errorf("replica %d counted %d %s", n+1, r.Packets, r.Reason)
				}
			}
		}
	}
}

func reasonsOf(all []api.ReasonCount) map[string]uint64 {
	m := map[string]uint64{}
	for _, r := range all {
		m[r.Reason] = r.Packets
	}
	return m
}
