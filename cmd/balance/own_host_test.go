package balance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/control/api"
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

// A port of a VIP at which no service is refuses connections and datagrams as that of a host does, where that is asked for:
// in both families, in native mode and in generic.
func TestNoServiceIsRejected(t *testing.T) {
	for _, mode := range []string{"native", "generic"} {
		t.Run(mode, func(t *testing.T) {
			b := newModesBed(t, 1500)
			uplink, err := b.balancer.Link("eth0")
			must(t, err)
			route(t, uplink, "192.0.2.0/24", "198.51.100.1") // so that what nobody takes would go back
			route(t, uplink, "2001:db8:f::/64", "2001:db8:c::1")
			b.daemon(`datapath: {vip_no_service: reject}
interfaces: [{name: eth0, mode: ` + mode + `}]
services:
  - {name: v4, vip: "192.0.2.1:7", replicas: [{address: "10.1.0.1:7"}]}
  - {name: v6, vip: "[2001:db8:f::1]:7", replicas: [{address: "[2001:db8:1::1]:7"}]}
`)
			for _, to := range []string{"192.0.2.1:8", "[2001:db8:f::1]:8"} {
				for _, network := range []string{"tcp", "udp"} {
					if err := b.askFromClient(network, to); !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("%s to %s: %v, want it refused", network, to, err)
					}
				}
			}
			var counters api.Counters
			must(t, json.Unmarshal([]byte(b.OK("get", "counters", "-o", "json")), &counters))
			if r := reasonsOf(counters.Reasons); r["rejected"] != 4 || r["vip_no_service"] > 0 {
				t.Errorf("the balancer counted %v, want 4 rejected", r)
			}
		})
	}
}

// askFromClient sends something and waits for what comes back.
func (b *modesBed) askFromClient(network, to string) error {
	return b.client.Do(func() error {
		d := net.Dialer{Timeout: 10 * time.Second}
		c, err := d.DialContext(b.T.Context(), network, to)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := c.Write(make([]byte, 1400)); err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 1))
		return err
	})
}
