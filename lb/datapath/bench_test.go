package datapath

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"lbctl/lb"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel -type frame bench ../../bpf/src/bench.bpf.c

// scenario is a stream of frames, and the tables that meet them.
type scenario struct {
	name     string
	flows    int // a power of two, at most 65536
	vip      string
	client   string // the first source address
	hash     lb.Hash
	protocol packet.Protocol
	miss     bool // to a port that is not a VIP's
	twoArms  bool // clients and replicas on different interfaces: redirected, not sent back
}

var scenarios = []scenario{
	{name: "tcp-v4-hit", flows: 1, vip: "192.0.2.1:80", client: "198.51.100.1", protocol: packet.TCP},
	{name: "tcp-v4-diverse", flows: 1 << 16, vip: "192.0.2.1:80", client: "198.51.100.1", protocol: packet.TCP},
	{name: "tcp-v4-redirect", flows: 1, vip: "192.0.2.1:80", client: "198.51.100.1", protocol: packet.TCP, twoArms: true},
	{name: "tcp-v4-toeplitz", flows: 1, vip: "192.0.2.1:80", client: "198.51.100.1", protocol: packet.TCP, hash: lb.ToeplitzHash},
	{name: "tcp-v6-hit", flows: 1, vip: "[2001:db8::1]:80", client: "2001:db8:1::1", protocol: packet.TCP},
	{name: "tcp-v6-diverse", flows: 1 << 16, vip: "[2001:db8::1]:80", client: "2001:db8:1::1", protocol: packet.TCP},
	{name: "udp-v4", flows: 1, vip: "192.0.2.1:80", client: "198.51.100.1", protocol: packet.UDP},
	{name: "pass-no-vip", flows: 1, vip: "192.0.2.1:80", client: "198.51.100.1", protocol: packet.TCP, miss: true},
}

// BenchmarkDatapath reports, for each scenario, the cost of a packet in the datapath
// above that of a program that only swaps the MACs, both behind the program that
// writes a fresh packet, in the same run: the median of the differences in pairs, and the
// difference of the two minima, which is what the machine does when others leave it alone.
func BenchmarkDatapath(b *testing.B) {
	for _, s := range scenarios {
		b.Run(s.name, s.run)
	}
}

func (s scenario) run(b *testing.B) {
	inNamespace(b)
	d := open(b, Options{})
	ingress := s.configure(b, d)
	lab := s.load(b)
	packets := max(b.N, 1<<18)
	var swaps, hits, above []float64
	b.ResetTimer()
	for range 31 {
		swap, hit := lab.time(b, lab.Swap, ingress, packets), lab.time(b, d.Program(), ingress, packets)
		swaps, hits, above = append(swaps, swap), append(hits, hit), append(above, hit-swap)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(slices.Min(hits)-slices.Min(swaps), "quiet-above-swap-ns/packet")
	b.ReportMetric(median(swaps), "swap-ns/packet")
	b.ReportMetric(median(hits), "ns/packet")
	b.ReportMetric(median(above), "above-swap-ns/packet")
	s.check(b, d)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// configure makes 4 replicas behind the VIP, on a link with neighbours, and returns
// the index of the interface that the frames come from.
func (s scenario) configure(b *testing.B, d *Datapath) (ingress int) {
	l := veth(b, "up", "10.1.0.254/24", "2001:db8:2::fe/64")
	svc := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort(s.vip), Protocol: s.protocol}, Hash: s.hash}
	for i := range 4 {
		a := fmt.Sprintf("10.1.0.%d", i+1)
		if svc.VIP.Address.Addr().Is6() {
			a = fmt.Sprintf("2001:db8:2::%d", i+1)
		}
		neighbourAt(b, l, a)
		svc.Replicas = append(svc.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.MustParseAddr(a), 8080)})
	}
	if err := d.SetService(b.Context(), svc.WithDefaults()); err != nil {
		b.Fatal(err)
	}
	if s.twoArms {
		return veth(b, "clients").Attrs().Index
	}
	return l.Attrs().Index
}

// load loads the benchmark's programs with the scenario's frames.
func (s scenario) load(b *testing.B) *benchObjects {
	spec, err := loadBench()
	if err != nil {
		b.Fatal(err)
	}
	if err := spec.Variables["last_frame"].Set(uint32(s.flows - 1)); err != nil {
		b.Fatal(err)
	}
	var o benchObjects
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { o.Close() })
	for i := range s.flows {
		frame := make([]byte, 6+80)
		copy(frame, s.frame(i))
		row := append(frame[6:], frame[:6]...)
		if err := o.Frames.Put(uint32(i), append(row, 0, 0)); err != nil {
			b.Fatal(err)
		}
	}
	return &o
}

func (s scenario) frame(i int) []byte {
	to := netip.MustParseAddrPort(s.vip)
	if s.miss {
		to = netip.AddrPortFrom(to.Addr(), to.Port()+1)
	}
	from := netip.MustParseAddr(s.client).AsSlice()
	from[len(from)-2] += byte(i >> 8)
	address, _ := netip.AddrFromSlice(from)
	f := packet.Frame{Flow: packet.Flow{
		Source: netip.AddrPortFrom(address, uint16(1024+i&0xff)), Destination: to, Protocol: s.protocol,
	}, TTL: 64}
	return f.Marshal()
}

// time returns the nanoseconds that a packet takes through fresh and the subject.
func (o *benchObjects) time(b *testing.B, subject *ebpf.Program, ingress, packets int) float64 {
	if err := o.Subject.Put(uint32(0), uint32(subject.FD())); err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, 6+80)
	context := xdpMD{DataEnd: uint32(len(frame)), Ingress: uint32(ingress)}
	run := testRun{
		program: uint32(o.Fresh.FD()), repeat: uint32(packets),
		size: uint32(len(frame)), data: uint64(uintptr(unsafe.Pointer(&frame[0]))),
		contextSize: uint32(unsafe.Sizeof(context)), context: uint64(uintptr(unsafe.Pointer(&context))),
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&run)), unsafe.Sizeof(run))
		runtime.KeepAlive(frame)
		runtime.KeepAlive(&context)
		switch errno {
		case 0:
			return float64(run.duration)
		case unix.EINTR: // a signal: the runtime's own; the kernel began to count anew
		default:
			b.Fatal("test run:", errno)
		}
	}
}

// testRun is the part of union bpf_attr for BPF_PROG_TEST_RUN in linux/bpf.h. The
// library takes either a context or the time, and this takes both. The time is the kernel's: it
// leaves out that in which another task ran.
type testRun struct {
	program, result, size, sizeOut                uint32
	data, dataOut                                 uint64
	repeat, duration, contextSize, contextSizeOut uint32
	context, contextOut                           uint64
	flags, cpu, batch, _                          uint32
}

// check makes sure that the packets went the way that was to be timed.
func (s scenario) check(b *testing.B, d *Datapath) {
	c, err := d.Counters()
	if err != nil {
		b.Fatal(err)
	}
	want := lb.Forwarded
	if s.miss {
		want = lb.NotOurs
	}
	for reason, n := range c.Reasons {
		if (n.Packets > 0) != (reason == want) {
			b.Errorf("%d packets ended as %s", n.Packets, reason)
		}
	}
}
