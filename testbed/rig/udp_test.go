package rig_test

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// exchangeUDP sends a datagram on each of a number of flows from the clients to the host and gets it back.
func (b bed) exchangeUDP(t *testing.T, flows int) {
	t.Helper()
	address := netip.AddrPortFrom(hostAddr, 7)
	var server *net.UDPConn
	check(t, b.host.Do(func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
		return err
	}))
	defer server.Close()
	go echoUDP(server)
	for i := range flows {
		var client *net.UDPConn
		check(t, b.clients.Do(func() (err error) {
			from := net.UDPAddrFromAddrPort(netip.AddrPortFrom(clientAddr(i%8), 0))
			client, err = net.DialUDP("udp", from, net.UDPAddrFromAddrPort(address))
			return err
		}))
		check(t, client.SetDeadline(time.Now().Add(10*time.Second)))
		_, err := client.Write([]byte("hello"))
		check(t, err)
		answer := make([]byte, 16)
		n, err := client.Read(answer)
		check(t, err)
		if string(answer[:n]) != "hello" {
			t.Errorf("answer %q", answer[:n])
		}
		_ = client.Close()
	}
}

// echoUDP sends every datagram back until the socket is closed.
func echoUDP(server *net.UDPConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := server.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		_, _ = server.WriteToUDPAddrPort(b[:n], from)
	}
}
