package hold_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic/hold"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clients are running clients.
type clients struct {
	t      *testing.T
	orders *json.Encoder
	report *json.Decoder
}

// begin starts clients until the test ends.
func begin(t *testing.T, timeout time.Duration) clients {
	t.Helper()
	stdin, orders := io.Pipe()
	reports, stdout := io.Pipe()
	ended := make(chan error, 1)
	c := hold.Config{Sources: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}, Timeout: timeout, Seed: 1}
	go func() { ended <- hold.Run(t.Context(), c, stdin, stdout) }()
	t.Cleanup(func() {
		_ = orders.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return clients{t: t, orders: json.NewEncoder(orders), report: json.NewDecoder(reports)}
}

// order gives an order and returns the report.
func (c clients) order(o hold.Order) (r hold.Report) {
	c.t.Helper()
	if err := c.orders.Encode(o); err != nil {
		c.t.Fatal(err)
	}
	if err := c.report.Decode(&r); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// open opens n connections, of which none may be refused.
func (c clients) open(vip netip.AddrPort, n int) hold.Report {
	c.t.Helper()
	r := c.order(hold.Order{Open: []hold.OpenRequest{{VIP: vip, Count: n}}})
	if len(r.Opened) != n || len(r.Refused) != 0 {
		c.t.Fatalf("opened %d, refused %v; want %d", len(r.Opened), r.Refused, n)
	}
	return r
}

// server is an echo server that can be stopped.
func server(t *testing.T, at netip.AddrPort, index int) (stop func()) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- echo.Run(ctx, echo.Config{Index: index, Listen: []netip.AddrPort{at}}, func() error { close(ready); return nil })
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	return func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

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

// TestSources: where an order says from where connections come, they come from there in turn.
func TestSources(t *testing.T) {
	at := free(t)
	defer server(t, at, 4)()
	want := []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.4"), free(t).Port()), netip.MustParseAddrPort("127.0.0.5:0")}
	r := begin(t, 0).order(hold.Order{Open: []hold.OpenRequest{{VIP: at, Count: 3, Sources: want}}})
	if len(r.Opened) != 3 {
		t.Fatalf("opened %v, refused %v", r.Opened, r.Refused)
	}
	if first := r.Opened[0].Flow.Source; first != want[0] {
		t.Errorf("from %v, want %v", first, want[0])
	}
	if second, third := r.Opened[1].Flow.Source, r.Opened[2].Flow.Source; second.Addr() != want[1].Addr() || third.Addr() != want[0].Addr() {
		t.Errorf("from %v and %v, want the sources in turn", second, third)
	}
}

func TestHeldConnectionsAreAsked(t *testing.T) {
	at, other, began := free(t), free(t), time.Now()
	defer server(t, at, 4)()
	defer server(t, other, 5)()
	c := begin(t, 0)
	opened := c.open(at, 50).Opened
	sources := map[netip.Addr]int{}
	for _, o := range opened {
		sources[o.Flow.Source.Addr()]++
		if o.Replica != 4 || o.VIP != at || o.Flow.Destination != at || o.Flow.Source.Port() == 0 || o.Took <= 0 {
			t.Fatalf("opened %+v", o)
		}
	}
	if len(sources) != 2 || sources[netip.MustParseAddr("127.0.0.2")] != 25 {
		t.Errorf("sources %v, want 25 each", sources)
	}
	c.open(other, 3)
	r := c.order(hold.Order{Ask: true})
	if len(r.Asked) != 53 || len(r.Lost) != 0 {
		t.Errorf("asked %d, lost %v", len(r.Asked), r.Lost)
	}
	for _, a := range r.Asked {
		if a.Silence <= 0 || a.Sent.Before(began) || a.Sent.Sub(began) < a.Silence || a.Spoke {
			t.Errorf("asked after %v: %+v", began, a)
		}
	}
	r = c.order(hold.Order{Ask: true, Silent: []hold.Place{{VIP: at, Replica: 4}}})
	if len(r.Asked) != 3 || r.Asked[0].Flow.Destination != other {
		t.Errorf("with a silent place: asked %v", r.Asked)
	}
	r = c.order(hold.Order{Close: []hold.Place{{VIP: at, Replica: 4}}, Ask: true})
	if len(r.Closed) != 1 || r.Closed[0].Connections != 50 || len(r.Asked) != 3 {
		t.Errorf("closed %v, asked %v", r.Closed, r.Asked)
	}
}

// A server that is gone resets, and one that takes its place is another.
func TestLostConnectionsAreReset(t *testing.T) {
	at := free(t)
	stop := server(t, at, 1)
	c := begin(t, 0)
	c.open(at, 20)
	stop()
	defer server(t, at, 2)()
	r := c.order(hold.Order{Ask: true})
	if len(r.Lost) != 20 || len(r.Asked) != 20 {
		t.Fatalf("lost %d of %d", len(r.Lost), len(r.Asked))
	}
	for _, l := range r.Lost {
		if l.Fate != hold.Reset || l.Replica != 1 || l.Err == "" {
			t.Errorf("lost %+v", l)
		}
	}
	if r := c.order(hold.Order{Ask: true}); len(r.Lost)+len(r.Asked) != 0 {
		t.Errorf("asked again: %+v", r)
	}
}

func TestNobodyListens(t *testing.T) {
	c := begin(t, 0)
	r := c.order(hold.Order{Open: []hold.OpenRequest{{VIP: free(t), Count: 2}}})
	if len(r.Refused) != 2 || r.Refused[0].Err == "" || len(r.Opened) != 0 {
		t.Errorf("report %+v", r)
	}
}

// liar accepts one connection, answers the first message, and says something else to the second.
func liar(t *testing.T, second string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, echo.MaxMessage)
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		_, _ = conn.Write(append([]byte{0, 1}, b[:n]...))
		n, err = conn.Read(b)
		if err != nil {
			return
		}
		switch second {
		case "moved":
			_, _ = conn.Write(append([]byte{0, 2}, b[:n]...))
		case "garbled":
			b[n-1] ^= 1
			_, _ = conn.Write(append([]byte{0, 1}, b[:n]...))
		}
		_, _ = conn.Read(b) // until the client closes
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestFates(t *testing.T) {
	for _, want := range []hold.Fate{hold.Moved, hold.Garbled, hold.Silent} {
		t.Run(string(want), func(t *testing.T) {
			at := liar(t, string(want))
			c := begin(t, 300*time.Millisecond)
			c.open(at, 1)
			r := c.order(hold.Order{Ask: true})
			if len(r.Lost) != 1 || r.Lost[0].Fate != want {
				t.Errorf("lost %+v, want %s", r.Lost, want)
			}
		})
	}
}

// One that says nothing takes nothing from those that are asked together with it.
func TestSilenceIsNotCatching(t *testing.T) {
	mute, good := liar(t, "silent"), free(t)
	defer server(t, good, 4)()
	c := begin(t, 300*time.Millisecond)
	c.open(mute, 1)
	c.open(good, 9)
	r := c.order(hold.Order{Ask: true})
	if len(r.Lost) != 1 || len(r.Asked) != 10 || r.Lost[0].Flow.Destination != mute {
		t.Errorf("lost %+v of %d", r.Lost, len(r.Asked))
	}
}

// What a client's kernel sent by itself since the last exchange is told: here an acknowledgement of a byte that nobody
// asked for.
func TestSpoke(t *testing.T) {
	for _, unasked := range [][]byte{nil, {0}} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan net.Conn)
		go func() { served <- once(t, listener) }()
		c := begin(t, 0)
		if err := c.orders.Encode(hold.Order{Open: []hold.OpenRequest{{VIP: listener.Addr().(*net.TCPAddr).AddrPort(), Count: 1}}}); err != nil {
			t.Fatal(err)
		}
		conn := (<-served).(*net.TCPConn)
		var r hold.Report
		if err := c.report.Decode(&r); err != nil || len(r.Opened) != 1 {
			t.Fatalf("opened %v, %v", r.Opened, err)
		}
		_, writing := conn.Write(unasked)
		acknowledged(t, conn)
		if err := errors.Join(writing, conn.SetLinger(0), conn.Close(), listener.Close()); err != nil {
			t.Fatal(err)
		}
		r = c.order(hold.Order{Ask: true})
		if len(r.Lost) != 1 || r.Lost[0].Fate != hold.Reset || r.Asked[0].Spoke != (unasked != nil) {
			t.Errorf("after %d bytes that nobody asked for: asked %+v, lost %+v", len(unasked), r.Asked, r.Lost)
		}
	}
}

// once accepts a connection and answers one message on it.
func once(t *testing.T, l net.Listener) net.Conn {
	conn, err := l.Accept()
	if err != nil {
		t.Error(err)
		return nil
	}
	message := make([]byte, echo.HeaderLength+echo.MaxMessage)
	_, err = io.ReadFull(conn, message[:echo.HeaderLength])
	n := echo.HeaderLength + int(binary.BigEndian.Uint16(message))
	if err == nil {
		_, err = io.ReadFull(conn, message[echo.HeaderLength:n])
	}
	if err == nil {
		_, err = conn.Write(append([]byte{0, 0}, message[:n]...))
	}
	if err != nil {
		t.Error(err)
	}
	return conn
}

// acknowledged returns when everything that was sent is.
func acknowledged(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var info *unix.TCPInfo
		var asking error
		err := raw.Control(func(fd uintptr) { info, asking = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		if err = errors.Join(err, asking); err != nil {
			t.Fatal(err)
		}
		if info.Unacked == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d segments are not acknowledged", info.Unacked)
		}
	}
}
