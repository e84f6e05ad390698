package datapath

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/losses"
	"lbctl/lb/oracle"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
		got, err := readFirst(m, n, sum)
		if err != nil || len(got) != n {
			t.Fatalf("%d of %d counters, %v", len(got), n, err)
		}
		for row, c := range got {
			if want := (lb.Count{Packets: uint64(row) * cpus, Bytes: cpus * (cpus - 1) / 2}); c != want {
				t.Fatalf("counter %d: %v, want %v", row, c, want)
			}
		}
	}
	if _, err := readFirst(m, rows+1, sum); err == nil {
		t.Error("a counter that the table does not have was read")
	}
}

// lossy is a datapath on the link "in". Its service away has its replica behind "out", back behind "in".
type lossy struct {
	*testing.T
	d          *Datapath
	in, out    netlink.Link
	away, back lb.Service
}

func newLossy(t *testing.T) lossy {
	inNamespace(t)
	x := lossy{
		T: t, in: testns.Veth(t, "in", "10.1.0.254/24"), out: testns.Veth(t, "out", "10.2.0.254/24"),
		away: web("192.0.2.1:80", "10.2.0.2:80"), back: web("192.0.2.2:80", "10.1.0.2:80"),
	}
	x.d = open(t, Options{manualClock: true}) // what it knows of the network stays
	testns.Neighbour(t, x.in, "10.1.0.2")
	testns.Neighbour(t, x.out, "10.2.0.2")
	for _, s := range []lb.Service{x.away, x.back} {
		if err := x.d.SetService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := x.d.Attach(t.Context(), "in", lb.Native); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x lossy) counters() lb.Counters {
	x.Helper()
	c, err := x.d.Counters()
	if err != nil || c.LossesUnknown != "" {
		x.Fatal(c.LossesUnknown, err)
	}
	return c
}

// expect sends packets to a service, all of which are forwarded, and compares what is lost so far.
func (x lossy) expect(context string, to lb.Service, packets uint64, want ...lb.Loss) {
	x.Helper()
	before := x.counters().Services[to.VIP].Packets
	live(x.T, "in-peer", x.in.Attrs().HardwareAddr, to.VIP, packets)
	for end := time.Now().Add(10 * time.Second); x.counters().Services[to.VIP].Packets < before+packets; {
		if time.Now().After(end) {
			x.Fatalf("%s: %d of %d packets forwarded", context, x.counters().Services[to.VIP].Packets-before, packets)
		}
	}
	if diff := cmp.Diff(want, x.counters().Losses); diff != "" {
		x.Errorf("%s: losses (-want +got):\n%s", context, diff)
	}
}

func (x lossy) must(err error) {
	x.Helper()
	if err != nil {
		x.Fatal(err)
	}
}

// Packets that are lost after their verdict are counted by the interface that they should have left by, and by cause.
func TestLosses(t *testing.T) {
	x := newLossy(t)
	inode, err := x.d.hops.network.Inode()
	x.must(err)
	elsewhere, err := losses.Open(inode + 1)
	x.must(err)
	t.Cleanup(func() { elsewhere.Close() })
	peer := testns.Up(t, "out-peer")
	redirect := lb.Loss{Interface: "out", Cause: lb.LostRedirect, Packets: 4, Error: "operation not supported"}
	x.expect("a driver that sends no XDP frames", x.away, 4, redirect)
	tx := lb.Loss{Interface: "in", Cause: lb.LostTX, Packets: 3, Error: "no such device or address"}
	x.expect("a peer that receives none, of the interface that they came in on", x.back, 3, tx, redirect)
	l, err := link.AttachXDP(link.XDPOptions{Program: testns.Program(t, "receives"), Interface: peer.Attrs().Index})
	x.must(err)
	t.Cleanup(func() { l.Close() })
	x.expect("none", x.away, 16, tx, redirect)
	x.must(netlink.LinkSetDown(peer))
	transmit := lb.Loss{Interface: "out", Cause: lb.LostTransmit, Packets: 5, Error: tx.Error}
	x.expect("a peer that is down", x.away, 5, tx, redirect, transmit)
	x.must(netlink.LinkSetDown(x.out))
	redirect.Packets, redirect.Error = 6, "network is down"
	x.expect("an interface that is down", x.away, 2, tx, redirect, transmit)
	x.must(netlink.LinkDel(x.out))
	redirect.Packets, redirect.Error = 7, "invalid argument"
	x.expect("an interface that is gone", x.away, 1, tx, redirect, transmit)
	if got, err := elsewhere.Read([]lb.Interface{{Name: "in", Index: x.in.Attrs().Index}}); err != nil || len(got) > 0 {
		t.Errorf("another network namespace: %v, %v", got, err)
	}
}

// live sends packets to a VIP by an interface.
func live(t *testing.T, by string, to net.HardwareAddr, vip lb.VIP, packets uint64) {
	t.Helper()
	l, err := net.InterfaceByName(by)
	if err != nil {
		t.Fatal(err)
	}
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	frame, err := oracle.FrameOf(lb.Probe{Flow: packet.Flow{
		Source: netip.MustParseAddrPort("198.51.100.7:1000"), Destination: vip.Address, Protocol: vip.Protocol,
	}})
	if err != nil {
		t.Fatal(err)
	}
	copy(frame, to)
	for range packets {
		if err := unix.Sendto(s, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
			t.Fatal(err)
		}
	}
}

// Over all CPUs together, each of which sends as much as all may have at the same time as the others, as much gets through
// of every second as the rates say: of flows and of packets up to 65,535 a second exactly, of more up to what a CPU takes at once.
func TestRatesOfAllCPUs(t *testing.T) {
	for name, c := range map[string]struct {
		limit lb.RateLimit
		syn   bool
		batch uint64
	}{
		"1,000 packets": {lb.RateLimit{Packets: 1000}, false, 1}, "65,535 packets": {lb.RateLimit{Packets: 65_535}, false, 1},
		"a million packets": {lb.RateLimit{Packets: 1_000_000}, false, 16}, "100 flows": {lb.RateLimit{NewFlows: 100}, true, 1},
		"50,000 flows": {lb.RateLimit{NewFlows: 50_000}, true, 1}, "a million flows": {lb.RateLimit{NewFlows: 1_000_000}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := limitedDSR(c.limit)
			x := newFixture(t, s)
			rate, began, all := uint64(c.limit.Packets+c.limit.NewFlows), time.Now(), uint64(0)
			// A CPU keeps less than it has taken at once, and by the manual clock time passes all the same, a million times slower.
			slack := func() uint64 {
				return uint64(runtime.NumCPU())*(c.batch-1) + rate*uint64(time.Since(began).Seconds()+1)/stopped
			}
			for second := range uint64(4) {
				sent := x.counters().Services[s.VIP].Packets
				if errs := onAllCPUs(func() error { return repeat(x.d, s, c.syn, int(rate)+int(c.batch)) }); errs != nil {
					t.Fatal(errs)
				}
				n := x.counters().Services[s.VIP].Packets - sent
				all += n
				if n+slack() < rate || n > rate+slack() {
					t.Errorf("second %d: %d get through, want %d, give or take %d", second, n, rate, slack())
				}
				if want := rate * (second + 1); all+slack() < want || all > want+slack() {
					t.Errorf("after second %d: %d have got through, want %d, give or take %d", second, all, want, slack())
				}
				x.d.earn(time.Second)
			}
		})
	}
}

// limitedDSR is a limited service whose packets can be sent again and again as they have become.
func limitedDSR(l lb.RateLimit) lb.Service {
	s := tracked(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))
	s.Mode, s.RateLimit = lb.DSR, l
	return s.WithDefaults()
}

// repeat sends a packet n times.
func repeat(d *Datapath, s lb.Service, syn bool, n int) error {
	flow := packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: s.VIP.Address, Protocol: packet.TCP}
	frame, err := oracle.FrameOf(lb.Probe{Flow: flow, SYN: syn})
	if err == nil {
		_, err = d.Program().Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 256), Repeat: uint32(n)})
	}
	return err
}

// onAllCPUs does something on each CPU at the same time.
func onAllCPUs(do func() error) error {
	var running sync.WaitGroup
	errs := make([]error, runtime.NumCPU())
	for cpu := range errs {
		running.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			var one unix.CPUSet
			one.Set(cpu)
			if errs[cpu] = unix.SchedSetaffinity(0, &one); errs[cpu] == nil {
				errs[cpu] = do()
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
