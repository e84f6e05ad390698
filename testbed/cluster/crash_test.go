package cluster

import (
	"context"
	"log/slog"
	"os/exec"
	"path/filepath"
	"testing"

	"lbctl/bpf/need"
	"lbctl/control/api"
	"lbctl/lb"
	"lbctl/testbed/bed"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// TestDaemonKilled: while clients ask, the daemon is killed, and later started again. No
// packet is lost by it: what came to the interfaces was seen by a program, what was forwarded
// arrived, and every request was answered.
func TestDaemonKilled(t *testing.T) {
	s := newCluster(t)
	site := replica.DefaultSite(1)
	site.MaxSize = 50_000
	const total = 2000
	crashed, restarted := false, false
	record, err := s.Run(t.Context(), Arm{
		Name:    "killed",
		Traffic: traffic.Config{Connections: 500, RequestsPerConnection: 4, Concurrency: 32, Seed: 1, Site: site, Progress: 20},
		Progress: func(done int) {
			switch {
			case !crashed && done >= total/3:
				crashed = true
				check(t, s.Product().Crash())
			case !restarted && done >= 2*total/3:
				restarted = true
				check(t, s.Product().Restart(t.Context()))
			}
		},
	})
	check(t, err)
	if !crashed || !restarted {
		t.Fatalf("crashed: %v, restarted: %v", crashed, restarted)
	}
	for _, r := range record.Requests {
		if r.Err != "" {
			t.Errorf("request for object %d: %s", r.Object, r.Err)
		}
	}
	var seen, arrived uint64
	for _, packets := range record.Reasons {
		seen += packets
	}
	if seen != record.Seen {
		t.Errorf("%d packets came to the interfaces, programs saw %d", record.Seen, seen)
	}
	for _, c := range record.Captures {
		for _, f := range c.Flows {
			if f.Flow.Destination.Port() == ReplicaAddress(0).Port() {
				arrived += f.Packets
			}
		}
	}
	if forwarded := record.Reasons[lb.Forwarded]; arrived+record.LinkDropped != forwarded {
		t.Errorf("%d packets were forwarded, %d arrived, %d found a link full", forwarded, arrived, record.LinkDropped)
	}
}

// newCluster makes a cluster with the real program and one service over its replicas.
func newCluster(t *testing.T) *Cluster {
	t.Helper()
	need.Root(t)
	program := filepath.Join(t.TempDir(), "lbctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lbctl/cmd/lbctl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b, err := bed.New(program, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(func() { check(t, b.Close()) })
	s, err := New(t.Context(), b, Config{Replicas: 3, Clients: 20, NIC: newNIC(t)})
	check(t, err)
	service := api.Service{Name: "web", VIP: VIP().String(), Protocol: "tcp"}
	for i := range 3 {
		service.Replicas = append(service.Replicas, api.Replica{Address: ReplicaAddress(i).String()})
	}
	check(t, s.Apply(context.WithoutCancel(t.Context()), service))
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
