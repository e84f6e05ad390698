package cluster

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/control/api"
	"lbctl/testbed/bed"
	"lbctl/testbed/replica/echo"
)

// newProduct makes a bed with the real product on it.
func newProduct(t *testing.T) *bed.Bed {
	t.Helper()
	need.Root(t)
	program := filepath.Join(t.TempDir(), "lbctl")
	if out, err := exec.Command("go", "build", "-o", program, "lbctl/cmd/lbctl").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	b, err := bed.New(program, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(func() { check(t, b.Close()) })
	return b
}

// connects opens a connection to the VIP from a port, and returns the number of the replica that answers and the
// connection, which sends a reset when it is closed.
func (s *Cluster) connects(ctx context.Context, port uint16) (replica byte, conn *net.TCPConn, err error) {
	err = s.clients.Do(func() error {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(ClientAddress(0), port)), Timeout: time.Minute}
		c, err := d.DialContext(ctx, "tcp", VIP().String())
		if err == nil {
			conn = c.(*net.TCPConn)
			err = conn.SetLinger(0)
		}
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	answer := make([]byte, echo.AnswerHeaderLength+1)
	if _, err := conn.Write([]byte{0, 1, 'x'}); err != nil {
		return 0, conn, err
	}
	_, err = io.ReadFull(conn, answer)
	return answer[1], conn, err
}

// TestPortsUsedAgain: clients that use their ports again, as proxies do, and end their connections by a reset do not keep
// a drain alive: none of their new connections goes to the draining replica, and it is safe to remove in the end.
func TestPortsUsedAgain(t *testing.T) {
	b := newProduct(t)
	c, err := New(t.Context(), b, Config{Replicas: 2, Clients: 1})
	check(t, err)
	service := api.Service{Name: "web", VIP: VIP().String(), Scheduler: "maglev", Idle: "8s"}
	for i := range 2 {
		_, err := c.Echo(t.Context(), i, echo.Config{Listen: []netip.AddrPort{ReplicaAddress(i)}})
		check(t, err)
	}
	second := api.Replica{Address: ReplicaAddress(1).String()}
	service.Replicas = []api.Replica{{Address: ReplicaAddress(0).String()}}
	check(t, c.Apply(t.Context(), service))

	round := func() (to [2]int) {
		t.Helper()
		for port := range uint16(100) {
			replica, conn, err := c.connects(t.Context(), 20000+port)
			if err != nil {
				t.Fatalf("port %d: %v", 20000+port, err)
			}
			to[replica]++
			check(t, conn.Close())
		}
		return to
	}
	if to := round(); to[1] != 0 {
		t.Fatalf("connections by replica: %v, of which one serves", to)
	}
	_, err = c.Control().PutReplica(t.Context(), service.Name, second)
	check(t, err)
	if to := round(); to[0] == 0 || to[1] == 0 {
		t.Fatalf("connections by replica: %v, of which both serve", to)
	}
	second.State = "draining"
	_, err = c.Control().PutReplica(t.Context(), service.Name, second)
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for poll := time.NewTicker(time.Second); ; {
		if to := round(); to[1] != 0 {
			t.Fatalf("connections by replica: %v, of which one drains", to)
		}
		all, err := c.Control().Replicas(ctx, service.Name)
		check(t, err)
		if r := all.Replicas[1]; r.SafeToRemove {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("not safe to remove after a minute: %+v", all.Replicas[1])
		}
	}
}
