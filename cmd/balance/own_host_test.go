package balance

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbctl/testbed/xdp"
)

// The balancer's own host reaches the replicas of its services directly, as a health check does: what they
// answer is neither rewritten nor dropped. In both families, over TCP and UDP, also from a VIP that is an address
// of the host; and clients are balanced meanwhile.
func TestOwnHostReachesReplicas(t *testing.T) {
	b := newModesBed(t, 1500)
	vips := []aMode{
		{name: "v4", vip: netip.MustParseAddr("192.0.2.1"), replica: "10.1.0.1"},
		{name: "v6", vip: netip.MustParseAddr("2001:db8:f::1"), replica: "[2001:db8:1::1]"},
	}
	config := "interfaces: [{name: eth0}, {name: eth1}, {name: eth2}]\nservices:\n"
	for _, m := range vips {
		own := aMode{vip: netip.MustParseAddr(strings.Trim(m.replica, "[]"))}
		b.echoTCP(0, own)
		b.digestUDP(0, own)
		for _, protocol := range []string{"tcp", "udp"} {
			config += fmt.Sprintf("  - {name: %s-%s, protocol: %s, vip: %q, replicas: [{address: %q}]}\n", m.name, protocol, protocol, m.at(), own.at())
		}
	}
	uplink, err := b.balancer.Link("eth0")
	must(t, err)
	link, err := b.replicas[0].Link("eth0")
	must(t, err)
	receiving, err := xdp.Receive(link)
	must(t, err)
	defer receiving.Close()
	route(t, link, "192.0.2.0/24", "10.1.0.254")
	route(t, link, "2001:db8:f::/64", "2001:db8:1::fe")
	b.daemon(config)
	for i, m := range vips {
		replica := aMode{vip: netip.MustParseAddr(strings.Trim(m.replica, "[]"))}
		must(t, uplink.AddAddress(netip.PrefixFrom(m.vip, m.vip.BitLen())))
		for from, a := range map[string]netip.Addr{"its address": {}, "the vip": m.vip} {
			t.Run(m.name+" from "+from, func(t *testing.T) {
				for _, network := range []string{"tcp", "udp"} {
					if err := b.askFromBalancer(network, a, replica, 5000); err != nil {
						t.Errorf("%s: %v", network, err)
					}
				}
			})
		}
		if _, err := b.exchangeTCP(m, 41000+i, []byte("balanced")); err != nil {
			t.Errorf("%s from a client: %v", m.name, err)
		}
	}
}

// askFromBalancer sends bytes from the balancer's host to a server of a replica, and reads its answer.
func (b *modesBed) askFromBalancer(network string, from netip.Addr, to aMode, bytes int) error {
	return b.balancer.Do(func() error {
		d := net.Dialer{Timeout: 2 * time.Second}
		if from.IsValid() && network == "tcp" {
			d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
		} else if from.IsValid() {
			d.LocalAddr = &net.UDPAddr{IP: from.AsSlice()}
		}
		c, err := d.DialContext(b.T.Context(), network, to.at().String())
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		if _, err := c.Write(make([]byte, bytes)); err != nil {
			return err
		}
		answer := make([]byte, 1000)
		n, err := c.Read(answer)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if !strings.HasPrefix(string(answer[:n]), served(0, c.LocalAddr())) {
			return fmt.Errorf("answered %q, want %q first", answer[:n], served(0, c.LocalAddr()))
		}
		return nil
	})
}
