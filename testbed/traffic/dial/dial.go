// Package dial connects clients: from one of many source addresses, so that there can be more
// connections than one address has ports.
package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// From connects from a source address over TCP. The port is left to the kernel until it connects
// (IP_BIND_ADDRESS_NO_PORT, ip(7)): so it is chosen per 4-tuple, as for any client, and
// there can be more connections than ports.
func From(ctx context.Context, source netip.Addr, to netip.AddrPort) (*net.TCPConn, error) {
	d := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)),
		Control:   bindWithoutPort,
		KeepAlive: -1, // probes would be packets that no request explains
	}
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// Local returns the address and port that a connection came to have.
func Local(conn *net.TCPConn) netip.AddrPort {
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
}

// Acknowledge acknowledges what was received now and not some 40 ms later (TCP_QUICKACK, tcp(7)): from then on
// the client is silent.
func Acknowledge(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	var result error
	err = raw.Control(func(fd uintptr) {
		result = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
	if err = errors.Join(err, result); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

func bindWithoutPort(_, _ string, raw syscall.RawConn) error {
	var result error
	err := raw.Control(func(fd uintptr) {
		result = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	if err != nil {
		return err
	}
	return result
}
