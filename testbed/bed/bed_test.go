package bed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/bpf/need"
	"lbctl/control/api"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newBed(t *testing.T, program string) *Bed {
	t.Helper()
	need.Root(t)
	b, err := New(program, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(func() { check(t, b.Close()) })
	return b
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// joined is two namespaces on a wire, a long one or not, with addresses.
func joined(t *testing.T, b *Bed, long bool) (a, c netns.Link, there netip.Addr) {
	t.Helper()
	first, err := b.Router("first")
	check(t, err)
	last, err := b.Router("last")
	check(t, err)
	from, to := netns.End{Namespace: first, Name: "eth0"}, netns.End{Namespace: last, Name: "eth0"}
	if long {
		a, c, err = b.LongWire(from, to)
	} else {
		a, c, err = b.Wire(from, to, 0)
	}
	check(t, err)
	here, far := netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("10.0.0.2/24")
	check(t, Join(a, c, here, far))
	return a, c, far.Addr()
}

// TestWireCarriesWholeFrames: ends merge and nothing else is left to the wire; what one sends over TCP comes in at
// the other, which verifies the checksums.
func TestWireCarriesWholeFrames(t *testing.T) {
	for _, long := range []bool{false, true} {
		t.Run(fmt.Sprintf("long %v", long), func(t *testing.T) { carries(t, long) })
	}
}

func carries(t *testing.T, long bool) {
	a, c, there := joined(t, newBed(t, ""), long)
	for _, l := range []netns.Link{a, c} {
		if on, err := l.Offloads(); err != nil || len(on) != 1 || on[0] != "gro" {
			t.Errorf("offloads %v, %v; want gro alone", on, err)
		}
	}
	var listener net.Listener
	check(t, c.Namespace().Do(func() (err error) {
		listener, err = net.Listen("tcp4", netip.AddrPortFrom(there, 80).String())
		return err
	}))
	defer listener.Close()
	want := bytes.Repeat([]byte("0123456789abcde"), 100_000)
	received := make(chan []byte, 1)
	go func() {
		defer close(received)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		got, _ := io.ReadAll(conn) // cut short it is not what was sent
		received <- got
	}()
	check(t, a.Namespace().Do(func() error {
		conn, err := net.DialTimeout("tcp4", listener.Addr().String(), 5*time.Second)
		if err != nil {
			return err
		}
		_, err = conn.Write(want)
		return errors.Join(err, conn.Close())
	}))
	if got := <-received; !bytes.Equal(got, want) {
		t.Errorf("%d bytes came in of %d, or others", len(got), len(want))
	}
}

// left is what is there of runs of this process.
func left(t *testing.T, b *Bed) (all []string) {
	t.Helper()
	for _, pattern := range []string{"/run/netns/lbctl-" + b.run.ID() + "-*", b.Path(""), "/sys/fs/bpf/lbctl-lab-" + filepath.Base(b.Path("")) + "-*"} {
		found, err := filepath.Glob(pattern)
		check(t, err)
		all = append(all, found...)
	}
	return all
}

// TestServe: the real program takes services and interfaces; Close leaves nothing.
func TestServe(t *testing.T) {
	need.Root(t)
	program := filepath.Join(t.TempDir(), "lbctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lbctl/cmd/lbctl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b := newBed(t, program)
	a, _, there := joined(t, b, false)
	product, err := b.Serve(t.Context(), a.Namespace(), "lb", empty())
	check(t, err)
	check(t, product.Apply(t.Context(), "native", []string{"eth0"}, api.Service{
		Name: "web", VIP: "192.0.2.1:80", Replicas: []api.Replica{{Address: netip.AddrPortFrom(there, 80).String()}},
	}))
	got, err := product.Control.Services(t.Context())
	check(t, err)
	if len(got.Services) != 1 || got.Services[0].Name != "web" {
		t.Errorf("services %+v", got)
	}
	if len(left(t, b)) < 3 {
		t.Errorf("while it runs there is %v: this test would see nothing", left(t, b))
	}
	check(t, b.Close())
	if all := left(t, b); len(all) != 0 {
		t.Errorf("left behind: %v", all)
	}
}

// TestServeThatEnds: a daemon that does not come up is an error that quotes it, and no wait.
func TestServeThatEnds(t *testing.T) {
	b := newBed(t, "/bin/false")
	n, err := b.Router("lb")
	check(t, err)
	if _, err := b.Serve(t.Context(), n, "lb", empty()); err == nil {
		t.Error("false serves")
	}
	// Its folder makes Close call the program, which fails.
	check(t, os.RemoveAll(b.Path("lb")))
}

// empty is a configuration without services.
func empty() api.Config { return api.Config{Services: []api.Service{}} }

// TestCrashOfTheDead: to kill a daemon that has ended by itself is an error, which quotes it. What a
// living one does is tested by those who use it.
func TestCrashOfTheDead(t *testing.T) {
	need.Root(t)
	run, err := netns.NewRun()
	check(t, err)
	defer func() { check(t, run.Close()) }()
	in, err := run.Make("product")
	check(t, err)
	daemon, err := helper.Start(in, "daemon", "sh", "-c", "echo no luck >&2; exit 3")
	check(t, err)
	_ = daemon.Wait()
	p := &Product{daemon: daemon}
	if err := p.Crash(); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("crash: %v, want what the daemon said", err)
	}
}
