package balance

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/xdp"
)

// Where every flow is recorded, two VIPs have one replica, clients reach it by its own address too, and a replica begins
// flows from the port of its service. By way of the balancer, in both families, over TCP and UDP.
func TestRecordsTellAnswers(t *testing.T) {
	b := newModesBed(t, 1500)
	config := "interfaces: [{name: eth0}, {name: eth1}, {name: eth2}]\nservices:\n"
	families := [][4]string{
		{"192.0.2.1", "192.0.2.9", "10.1.0.1", "10.2.0.1"},
		{"2001:db8:f::1", "2001:db8:f::9", "2001:db8:1::1", "2001:db8:2::1"},
	}
	var at [2][4]aMode
	for i, addresses := range families {
		for k, a := range addresses {
			at[i][k] = aMode{vip: netip.MustParseAddr(a)}
		}
		b.echoTCP(0, at[i][2])
		b.digestUDP(0, at[i][2])
		for _, protocol := range []string{"tcp", "udp"} {
			for vip := range 2 {
				config += fmt.Sprintf("  - {name: %s-%d-%d, protocol: %s, vip: %q, tracking: always, replicas: [{address: %q}]}\n",
					protocol, i, vip, protocol, at[i][vip].at(), at[i][2].at())
			}
			config += fmt.Sprintf("  - {name: %s-%d-own, protocol: %s, vip: \"%v:99\", tracking: always, replicas: [{address: %q}]}\n",
				protocol, i, protocol, bracketed(at[i][0].vip), at[i][3].at())
		}
	}
	outer, err := b.client.Link("eth0")
	must(t, err)
	route(t, outer, "10.0.0.0/8", "198.51.100.254")
	route(t, outer, "2001:db8::/32", "2001:db8:c::fe")
	for _, r := range b.replicas {
		link, err := r.Link("eth0")
		must(t, err)
		receiving, err := xdp.Receive(link)
		must(t, err)
		defer receiving.Close()
	}
	b.daemon(config)
	for i := range families {
		for k, to := range []string{"one vip", "the other vip", "the replica itself"} {
			t.Run(fmt.Sprintf("%s, family %d", to, i), func(t *testing.T) {
				for round := range 3 {
					port := 41000 + 100*i + 10*k + round
					if _, err := b.exchangeTCP(at[i][k], port, make([]byte, 100_000)); err != nil {
						t.Errorf("tcp: %v", err)
					}
					if _, err := b.exchangeUDP(at[i][k], port, make([]byte, 4000)); err != nil { // in fragments
						t.Errorf("udp: %v", err)
					}
				}
			})
		}
		for _, p := range []packet.Protocol{packet.TCP, packet.UDP} {
			t.Run(fmt.Sprintf("from the replica, family %d, %v", i, p), func(t *testing.T) {
				client := netip.MustParseAddr([]string{"198.51.100.1", "2001:db8:c::1"}[i])
				if err := b.callsClient(t, p, at[i][3].at(), netip.AddrPortFrom(client, 5353)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// callsClient has the second replica begin a flow from an address and port of its own to a client, which must see it
// come from there, and whose answer must arrive.
func (b *modesBed) callsClient(t *testing.T, p packet.Protocol, from, to netip.AddrPort) error {
	heard := make(chan string, 1)
	must(t, b.client.Do(func() error { return answerCall(t, p, to, heard) }))
	var answer string
	err := b.replicas[1].Do(func() error {
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: net.UDPAddrFromAddrPort(from)}
		if p == packet.TCP {
			d.LocalAddr = net.TCPAddrFromAddrPort(from)
		}
		c, err := d.DialContext(t.Context(), p.String(), to.String())
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write([]byte("call")); err != nil {
			return err
		}
		buffer := make([]byte, 100)
		n, err := c.Read(buffer)
		answer = string(buffer[:n])
		return err
	})
	if err != nil {
		return err
	}
	if got := <-heard; got != from.String() || answer != "answer" {
		return fmt.Errorf("the client is called by %s, want %v; it answered %q", got, from, answer)
	}
	return nil
}

// answerCall listens for one call, answers it, and tells who called.
func answerCall(t *testing.T, p packet.Protocol, at netip.AddrPort, heard chan<- string) error {
	if p == packet.UDP {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			if _, from, err := c.ReadFromUDPAddrPort(make([]byte, 100)); err == nil {
				heard <- netip.AddrPortFrom(from.Addr().Unmap(), from.Port()).String()
				c.WriteToUDPAddrPort([]byte("answer"), from)
			}
		}()
		return nil
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", at.String())
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		heard <- c.RemoteAddr().String()
		c.Read(make([]byte, 100))
		c.Write([]byte("answer"))
	}()
	return nil
}
