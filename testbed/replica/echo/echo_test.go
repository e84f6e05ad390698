package echo_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/testbed/replica/echo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// free returns an address that nobody listens at.
func free(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// start starts a server until the test ends.
func start(t *testing.T, c echo.Config) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- echo.Run(ctx, c, func() error { close(ready); return nil }) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
}

// send sends bytes and reads so many.
func send(t *testing.T, to netip.AddrPort, b []byte, answer int) ([]byte, error) {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, answer)
	_, err = io.ReadFull(conn, got)
	return got, err
}

func TestAnswerNamesTheReplica(t *testing.T) {
	a, b := free(t), free(t)
	start(t, echo.Config{Index: 0x0102, Listen: []netip.AddrPort{a, b}})
	for _, to := range []netip.AddrPort{a, b} {
		got, err := send(t, to, []byte("\x00\x02hi\x00\x01!"), 2+4+2+3)
		if want := "\x01\x02\x00\x02hi\x01\x02\x00\x01!"; err != nil || string(got) != want {
			t.Errorf("answer %q, %v; want %q", got, err, want)
		}
	}
}

func TestTooLongAMessageEndsTheConnection(t *testing.T) {
	a := free(t)
	start(t, echo.Config{Listen: []netip.AddrPort{a}})
	if got, err := send(t, a, binary.BigEndian.AppendUint16(nil, echo.MaxMessage+1), 1); err == nil {
		t.Errorf("answer %q", got)
	}
}

func TestAddressInUseIsAnError(t *testing.T) {
	a := free(t)
	start(t, echo.Config{Listen: []netip.AddrPort{a}})
	if err := echo.Run(t.Context(), echo.Config{Listen: []netip.AddrPort{a}}, func() error { return nil }); err == nil {
		t.Error("two servers at one address")
	}
}

// The connection of a client that is silent for too long is closed, and not before.
func TestSilentClientsAreLetGo(t *testing.T) {
	a := free(t)
	const patience = 300 * time.Millisecond
	start(t, echo.Config{Listen: []netip.AddrPort{a}, Patience: patience})
	began := time.Now()
	if got, err := send(t, a, []byte("\x00\x02hi"), 2+4+1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("answer %q, %v; want the end of the connection", got, err)
	}
	if took := time.Since(began); took < patience {
		t.Errorf("let go after %v, want %v at least", took, patience)
	}
}
