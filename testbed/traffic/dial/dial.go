// Package dial connects clients, each from one of many source addresses, so that there can be more connections than
// one address has ports.
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

// From connects from a source address over TCP, as FromPort does with port 0.
func From(ctx context.Context, source netip.Addr, to netip.AddrPort) (*net.TCPConn, error) {
	return FromPort(ctx, netip.AddrPortFrom(source, 0), to)
}

// FromPort connects from a source address and port over TCP. Port 0 is left to the kernel until it connects
// (IP_BIND_ADDRESS_NO_PORT, ip(7)): so it is chosen per 4-tuple, as for any client, and
// there can be more connections than ports.
func FromPort(ctx context.Context, source, to netip.AddrPort) (*net.TCPConn, error) {
	d := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(source),
		KeepAlive: -1, // probes would be packets that no request explains
	}
	if source.Port() == 0 {
		d.Control = bindWithoutPort
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
	err := with(conn, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	if err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

// Segments returns how many segments the client has sent (tcpi_segs_out of TCP_INFO, tcp(7)), those that the
// kernel sent by itself included. It can be asked of a connection that was reset.
func Segments(conn *net.TCPConn) (n uint32, err error) {
	err = with(conn, func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			n = info.Segs_out
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count segments: %w", err)
	}
	return n, nil
}

func with(conn *net.TCPConn, f func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, f)
}

func control(raw syscall.RawConn, f func(fd int) error) error {
	var result error
	err := raw.Control(func(fd uintptr) { result = f(int(fd)) })
	return errors.Join(err, result)
}

func bindWithoutPort(_, _ string, raw syscall.RawConn) error {
	return control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) })
}
