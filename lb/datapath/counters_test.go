package datapath

import (
	"net/netip"
	"testing"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
)

// The counts of a removed replica stay part of its service's and of the reason forwarded: while its number is
// retired, after that, when another replica has the number, and after another start at each of these times.
func TestCountsOfReplicasThatLeave(t *testing.T) {
	for name, c := range map[string]struct{ reclaim, reopen bool }{
		"retired": {}, "reclaimed": {reclaim: true},
		"retired, another start": {reopen: true}, "reclaimed, another start": {reclaim: true, reopen: true},
	} {
		t.Run(name, func(t *testing.T) { countsOfRemovedReplicas(t, c.reclaim, c.reopen) })
	}
}

func countsOfRemovedReplicas(t *testing.T, reclaim, reopen bool) {
	s := web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80")
	x := newFixture(t, s)
	none := func() {
		if err := x.d.registry.reclaim(); err != nil {
			t.Fatal(err)
		}
	}
	for port := range uint16(40) {
		x.send(port+1, false)
	}
	x.set(web("192.0.2.1:80", "10.1.0.2:80"))
	if reclaim {
		none()
	}
	if reopen {
		if err := x.d.Close(); err != nil {
			t.Fatal(err)
		}
		x.d = open(t, x.d.options)
	}
	x.counts(s.VIP, 40, 40)
	none()
	x.set(web("192.0.2.1:80", "10.1.0.4:80")) // by the number of 10.1.0.3
	x.send(99, false)
	x.counts(s.VIP, 41, 41)
	if n := x.counters().Replicas[s.VIP][netip.MustParseAddrPort("10.1.0.4:80")]; n.Packets != 1 {
		t.Errorf("the new replica has %d packets, want 1", n.Packets)
	}
	if err := x.d.RemoveService(t.Context(), s.VIP); err != nil {
		t.Fatal(err)
	}
	if n := x.counters().Reasons[lb.Forwarded].Packets; n != 41 {
		t.Errorf("%d packets forwarded after the service was removed, want 41", n)
	}
	none()
	x.set(s)
	x.send(1, false)
	x.counts(s.VIP, 1, 42)
}

func (x fixture) counters() lb.Counters {
	x.Helper()
	c, err := x.d.Counters()
	if err != nil {
		x.Fatal(err)
	}
	return c
}

// counts compares the packets of the service and of the reason.
func (x fixture) counts(v lb.VIP, service, forwarded uint64) {
	x.Helper()
	c := x.counters()
	if c.Services[v].Packets != service || c.Reasons[lb.Forwarded].Packets != forwarded {
		x.Errorf("service %d packets, forwarded %d, want %d, %d", c.Services[v].Packets, c.Reasons[lb.Forwarded].Packets, service, forwarded)
	}
}

// The reasons of package lb are those of the kernel program.
func TestReasons(t *testing.T) {
	names, err := bpf.Reasons()
	if err != nil {
		t.Fatal(err)
	}
	kernel, reference := map[lb.Reason]bool{}, map[lb.Reason]bool{}
	for _, n := range names {
		kernel[lb.Reason(n)] = true
	}
	for _, r := range lb.Reasons() {
		reference[r] = true
	}
	if diff := cmp.Diff(kernel, reference); diff != "" {
		t.Error("enum lb_reason and package lb (-C +Go):", diff)
	}
}

// TestManyCountersAreRead: more rows than one system call reads, up to the last of the table.
func TestManyCountersAreRead(t *testing.T) {
	inNamespace(t)
	const rows = 2*rowsAtOnce + 7
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 16, MaxEntries: rows})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	perCPU := make([]bpf.LbCount, ebpf.MustPossibleCPU())
	for row := range uint32(rows) {
		for cpu := range perCPU {
			perCPU[cpu] = bpf.LbCount{Packets: uint64(row), Bytes: uint64(cpu)}
		}
		if err := m.Put(row, perCPU); err != nil {
			t.Fatal(err)
		}
	}
	cpus := uint64(len(perCPU))
	for _, n := range []int{0, 1, rowsAtOnce, rowsAtOnce + 1, rows - 1, rows} {
		got, err := readFirst(m, n)
		if err != nil || len(got) != n {
			t.Fatalf("%d of %d counters, %v", len(got), n, err)
		}
		for row, c := range got {
			if want := (lb.Count{Packets: uint64(row) * cpus, Bytes: cpus * (cpus - 1) / 2}); c != want {
				t.Fatalf("counter %d: %v, want %v", row, c, want)
			}
		}
	}
	if _, err := readFirst(m, rows+1); err == nil {
		t.Error("a counter that the table does not have was read")
	}
}
