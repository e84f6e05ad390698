package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"lbctl/control/intent"
)

// cannotCheck: the check cannot be made, which says nothing of the replica.
type cannotCheck struct{ why error }

func (e *cannotCheck) Error() string { return e.why.Error() }

// probe makes a check within the deadline of ctx. The error says what is not as it should be, in a line.
func probe(ctx context.Context, way Way, t target) error {
	check := t.service.Health
	if check.Type == intent.CheckExec {
		return probeExec(ctx, t)
	}
	to, control, err := way(t.service.Service, t.Replica)
	if err != nil {
		return &cannotCheck{err}
	}
	if check.Port != 0 {
		to = netip.AddrPortFrom(to.Addr(), check.Port)
	}
	d := &net.Dialer{Control: local(control), KeepAlive: -1}
	d.SetMultipathTCP(false)
	switch check.Type {
	case intent.CheckTCP:
		err = probeTCP(ctx, d, to)
	case intent.CheckUDP:
		err = probeUDP(ctx, d, to, check)
	default:
		err = probeHTTP(ctx, d, to, check)
	}
	return brief(err, check.Timeout)
}

// local has an error in the preparation of a socket say nothing of the replica.
func local(control func(network, address string, c syscall.RawConn) error) func(network, address string, c syscall.RawConn) error {
	if control == nil {
		return nil
	}
	return func(network, address string, c syscall.RawConn) error {
		if err := control(network, address, c); err != nil {
			return &cannotCheck{err}
		}
		return nil
	}
}

// connect opens a connection whose end leaves nothing behind: it is reset, so that no port waits.
func connect(ctx context.Context, d *net.Dialer, to netip.AddrPort) (*net.TCPConn, error) {
	conn, err := d.DialContext(ctx, "tcp", to.String()) // DialTCP would bind the socket, which is bound on the way
	if err != nil {
		return nil, &during{"connect", err}
	}
	c := conn.(*net.TCPConn)
	if err := c.SetLinger(0); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// within has what waits for a connection end when ctx does. The caller calls stop before it closes the connection.
func within(ctx context.Context, c net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // of a closed one it fails
}

func probeTCP(ctx context.Context, d *net.Dialer, to netip.AddrPort) error {
	c, err := connect(ctx, d, to)
	if err != nil {
		return err
	}
	return c.Close()
}

// maxDatagram is the size of the longest answer that is looked at.
const maxDatagram = 64 << 10

func probeUDP(ctx context.Context, d *net.Dialer, to netip.AddrPort, check intent.Check) error {
	send, err := check.Send.Bytes()
	if err != nil {
		return err
	}
	expect, err := check.Expect.Bytes()
	if err != nil {
		return err
	}
	c, err := d.DialContext(ctx, "udp", to.String())
	if err != nil {
		return &during{"connect", err}
	}
	defer c.Close()
	defer within(ctx, c)()
	if _, err := c.Write(send); err != nil {
		return &during{"send", err}
	}
	answer := make([]byte, maxDatagram)
	n, err := c.Read(answer)
	if err != nil {
		return &during{"wait for an answer", err}
	}
	if !strings.Contains(string(answer[:n]), string(expect)) {
		return fmt.Errorf("an answer of %d bytes without what is expected", n)
	}
	return nil
}

// during is an error of a step.
type during struct {
	step string
	error
}

// Unwrap returns the error.
func (d *during) Unwrap() error { return d.error }

// brief makes a line of an error: what was being done, and the kernel's words without addresses.
func brief(err error, timeout time.Duration) error {
	if err == nil {
		return nil
	}
	var cannot *cannotCheck
	if errors.As(err, &cannot) {
		return cannot
	}
	step := ""
	var in *during
	if errors.As(err, &in) {
		step = in.step + ": "
	}
	var errno syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%stimed out after %v", step, timeout)
	case errors.As(err, &errno):
		return fmt.Errorf("%s%s", step, errno)
	}
	return errors.New(line(err.Error()))
}

// maxReason is the length of the longest reason.
const maxReason = 200

// line makes one short line of printable characters of a text that others have written.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "..."
	}
	return strings.TrimSpace(text)
}
