package datapath

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/tables"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel -type digit bench ../../bpf/src/bench.bpf.c

// BenchmarkDatapath reports, for each scenario, how much more a packet costs than with a program that only
// swaps the MAC addresses. Both run behind the program that writes the next packet, in the same run and on one CPU. It
// reports the median of the differences in pairs, and the difference of the two minima, which is the cost on
// an undisturbed machine. A scenario is named by its services, its replicas and its scheduler: 512x100-maglev-tcp-v4-diverse.
func BenchmarkDatapath(b *testing.B) {
	for _, s := range scenarios() {
		s = s.withDefaults()
		b.Run(fmt.Sprintf("%dx%d-%v-%s", s.services, s.replicas, s.scheduler, s.name), s.run)
	}
}

func (s scenario) run(b *testing.B) {
	pin(b)
	inNamespace(b)
	d := open(b, Options{Limits: s.limits(), manualClock: true})
	ingress := s.configure(b, d)
	for _, change := range s.begin {
		s.load(b, change).time(b, d.Program(), ingress, s.flows)
	}
	lab := s.load(b, s.packet)
	before, ran := counted(b, d), 0
	packets := max(b.N, 1<<18, s.flows)
	var swaps, hits, above []float64
	b.ResetTimer()
	for range 31 {
		swap, _ := lab.time(b, lab.Swap, ingress, packets)
		hit, n := lab.time(b, d.Program(), ingress, packets)
		swaps, hits, above, ran = append(swaps, swap), append(hits, hit), append(above, hit-swap), ran+n
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(slices.Min(hits)-slices.Min(swaps), "least-above-swap-ns/packet")
	b.ReportMetric(median(swaps), "swap-ns/packet")
	b.ReportMetric(median(hits), "ns/packet")
	b.ReportMetric(median(above), "above-swap-ns/packet")
	s.check(b, before, counted(b, d), uint64(ran))
}

// pin keeps the goroutine on one CPU, the last one that it may run on. Its thread ends with it.
func pin(b *testing.B) {
	runtime.LockOSThread()
	var may, one unix.CPUSet
	err := unix.SchedGetaffinity(0, &may)
	for cpu := range 8 * int(unsafe.Sizeof(may)) {
		if may.IsSet(cpu) {
			one.Zero()
			one.Set(cpu)
		}
	}
	if err = errors.Join(err, unix.SchedSetaffinity(0, &one)); err != nil {
		b.Fatal("pin to a CPU:", err)
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// laboratory is the benchmark's programs.
type laboratory struct{ *benchObjects }

// load loads the benchmark's programs, which send a packet of every flow in turn.
func (s scenario) load(b *testing.B, change func(*contract.Packet)) laboratory {
	spec, err := loadBench()
	if err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, frameBytes)
	if n := copy(frame, s.frame(change)); n == frameBytes {
		b.Fatalf("a frame of %d bytes", n)
	}
	words, digits := s.digits(b, frame)
	for name, value := range map[string]any{
		"template": frame[6:], "first": frame[:4], "second": frame[4:6], "words": words, "digits": digits,
		"last_flow": uint32(s.flows - 1), "services": uint32(s.services),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			b.Fatal(err)
		}
	}
	l := laboratory{new(benchObjects)}
	if err := spec.LoadAndAssign(l.benchObjects, nil); err != nil {
		b.Fatalf("%+v", err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

// What bpf/src/bench.bpf.c has as FRAME_BYTES, FRAME_WORDS, WORDS and DIGITS.
const (
	frameBytes   = 6 + 8*frameWords
	frameWords   = 10
	changedWords = 3
	wordDigits   = 4
)

// digits says where in the frame the numbers of flows and services go.
func (s scenario) digits(b *testing.B, frame []byte) (words [changedWords]uint64, digits [changedWords * wordDigits]benchDigit) {
	for i := range words {
		words[i] = frameWords
	}
	add := func(at int, ofService bool, right uint8) {
		word, i := uint64(at-6)/8, 0
		for words[i] != frameWords && words[i] != word {
			i++
		}
		words[i] = word
		d := digits[i*wordDigits : (i+1)*wordDigits]
		free := slices.IndexFunc(d, func(d benchDigit) bool { return d.Used == 0 })
		d[free] = benchDigit{Used: 1, Right: right, Left: uint8((at - 6) % 8 * 8)}
		if ofService {
			d[free].OfService = 1
		}
	}
	is, _ := s.configured(0)
	_, client := s.addresses()
	from, port := client.AsSlice(), []byte{firstPort >> 8, 0}
	end := bytes.Index(frame, from) + len(from)
	add(end-2, false, 8)
	add(end-3, false, 16)
	if s.apart {
		add(end-1, false, 0)
	}
	if at := bytes.Index(frame[end:], port); at >= 0 {
		add(end+at+1, false, 0)
	}
	if s.services > 1 {
		vip := is.VIP.Address.Addr().AsSlice()
		end := bytes.Index(frame, vip) + len(vip)
		add(end-1, true, 0)
		add(end-2, true, 8)
	}
	return words, digits
}

// time returns the nanoseconds that a packet takes through next_frame and the subject, and how many packets ran: after a
// signal the kernel begins anew. The time is that of the thread, without that in which another task ran.
func (l laboratory) time(b *testing.B, subject *ebpf.Program, ingress, packets int) (ns float64, ran int) {
	if err := l.Subject.Put(uint32(0), uint32(subject.FD())); err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, frameBytes)
	context := xdpMD{DataEnd: uint32(len(frame)), Ingress: uint32(ingress)}
	run := testRun{
		program: uint32(l.NextFrame.FD()), repeat: uint32(packets),
		size: uint32(len(frame)), data: uint64(uintptr(unsafe.Pointer(&frame[0]))),
		contextSize: uint32(unsafe.Sizeof(context)), context: uint64(uintptr(unsafe.Pointer(&context))),
	}
	before, began := l.ran(b), threadTime(b)
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&run)), unsafe.Sizeof(run))
		runtime.KeepAlive(frame)
		runtime.KeepAlive(&context)
		switch errno {
		case 0:
			took := threadTime(b) - began
			ran := l.ran(b) - before
			return float64(took) / float64(ran), int(ran)
		case unix.EINTR: // a signal: the runtime's own
		default:
			b.Fatal("test run:", errno)
		}
	}
}

// ran is how many frames were written.
func (l laboratory) ran(b *testing.B) (n uint64) {
	if err := l.Packets.Get(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// threadTime is how long this thread has run.
func threadTime(b *testing.B) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		b.Fatal(err)
	}
	return time.Duration(now.Nano())
}

// testRun is the part of union bpf_attr for BPF_PROG_TEST_RUN in linux/bpf.h. The
// library takes a context and no number of repetitions.
type testRun struct {
	program, result, size, sizeOut                uint32
	data, dataOut                                 uint64
	repeat, duration, contextSize, contextSizeOut uint32
	context, contextOut                           uint64
	flags, cpu, batch, _                          uint32
}

func counted(b *testing.B, d *Datapath) map[lb.Reason]lb.Count {
	c, err := d.Counters()
	if err != nil {
		b.Fatal(err)
	}
	return c.Reasons
}

// check makes sure that all packets took the path that was to be timed.
func (s scenario) check(b *testing.B, before, after map[lb.Reason]lb.Count, ran uint64) {
	want, all := cmp.Or(s.want, lb.Forwarded), uint64(0)
	for reason, n := range after {
		moved := n.Packets - before[reason].Packets
		if all += moved; moved > 0 && reason != want && !s.mixed {
			b.Errorf("%d packets ended as %s", moved, reason)
		}
	}
	if all != ran {
		b.Errorf("%d packets counted of %d", all, ran)
	}
}

// hundred returns a Maglev service with 65,537 slots and 100 replicas, and with one less.
func hundred(t lb.Tracking) (full, less lb.Service) {
	full = lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Scheduler: lb.Maglev, Tracking: t}
	for i := range byte(100) {
		full.Replicas = append(full.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, i + 1}), 80)})
	}
	full.TableSize = lb.DefaultMaglevSize
	full = full.WithDefaults()
	less = full.Clone()
	less.Replicas = less.Replicas[1:]
	return full, less
}

// BenchmarkSwitch replaces a Maglev table of 65,537 slots and 100 replicas by one of
// 99: the time from the call to the switch, after which packets see the new table.
func BenchmarkSwitch(b *testing.B) {
	for _, tracking := range []lb.Tracking{lb.Stateless, lb.TrackChanges} {
		b.Run(tracking.String(), func(b *testing.B) {
			inNamespace(b)
			testns.Veth(b, "up", "10.1.0.254/24")
			d := open(b, Options{})
			full, less := hundred(tracking)
			if err := d.SetService(b.Context(), full); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				if err := d.SetService(b.Context(), []lb.Service{less, full}[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoad loads services that track flows, all behind a gateway, into empty tables: 1,000 of 100
// replicas each and 10,000 of 10.
func BenchmarkLoad(b *testing.B) {
	for _, n := range [][2]int{{1000, 100}, {10_000, 10}} {
		b.Run(fmt.Sprintf("%dx%d", n[0], n[1]), func(b *testing.B) { load(b, many(n[0], n[1])) })
	}
}

func load(b *testing.B, services []lb.Service) {
	d := large(b)
	for b.Loop() {
		setAll(b, d, services)
		b.StopTimer()
		for _, s := range services {
			if err := d.RemoveService(b.Context(), s.VIP); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
}

// large returns a datapath with room for many services, whose replicas are behind a gateway.
func large(b *testing.B) *Datapath {
	inNamespace(b)
	l := testns.Veth(b, "up", "10.255.0.1/24")
	testns.Neighbour(b, l, "10.255.0.9")
	route := netlink.Route{Dst: &net.IPNet{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, Gw: net.IPv4(10, 255, 0, 9)}
	if err := netlink.RouteAdd(&route); err != nil {
		b.Fatal(err)
	}
	return open(b, Options{Limits: lb.Limits{Services: 1 << 14, Replicas: 1 << 17, Slots: 1 << 20}})
}

func setAll(b testing.TB, d *Datapath, services []lb.Service) {
	for _, s := range services {
		if err := d.SetService(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

// many returns services with replicas of their own.
func many(services, replicas int) (all []lb.Service) {
	for i := range services {
		s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 80), Protocol: 6}, Tracking: lb.TrackChanges}
		for r := range replicas {
			n := i*replicas + r
			a := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
			s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(a, 80)})
		}
		all = append(all, s.WithDefaults())
	}
	return all
}

// crowded returns a datapath with a Maglev table in transition of 65,537 slots, and with tables of
// records of the default size that are half full.
func crowded(b *testing.B) *Datapath {
	inNamespace(b)
	testns.Veth(b, "up", "10.1.0.254/24")
	d := open(b, Options{manualClock: true})
	full, less := hundred(lb.TrackChanges)
	for _, s := range []lb.Service{full, less} {
		if err := d.SetService(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	e := d.registry.services[full.VIP]
	for _, table := range []tables.Table[bpf.LbRecords]{d.registry.tables.Established, d.registry.tables.HalfOpen} {
		for i := range table.Len() {
			for entry := range bpf.RecordEntries / 2 {
				hash := uint32(i*bpf.RecordEntries+entry) * 0x9e3779b9
				table.Row(uint32(i)).Entry[entry] = uint64(hash)<<32 | uint64(d.registry.tables.Slot(e.row.Offset+hash%e.row.Size).Owner())
			}
		}
	}
	return d
}

// BenchmarkSweep makes 655,360 flows and 65,537 slots a step older.
func BenchmarkSweep(b *testing.B) {
	d := crowded(b)
	if err := d.registry.grace.Wait(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		d.registry.tables.Records(func(p tables.Record, r bpf.Record) { p.Swap(r, r.WithAge(0)) })
		if err := d.sweep(10 * time.Minute / lb.IdleSteps); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFlows counts the same.
func BenchmarkFlows(b *testing.B) {
	d := crowded(b)
	for b.Loop() {
		if _, err := d.Flows(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCounters reads the counters of 10,000 services with 10 replicas each.
func BenchmarkCounters(b *testing.B) {
	d := large(b)
	setAll(b, d, many(10_000, 10))
	for b.Loop() {
		if _, err := d.Counters(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFlowCounts reads what was counted of flows: of all of those services, of a hundredth, and of one.
func BenchmarkFlowCounts(b *testing.B) {
	d := large(b)
	all := many(10_000, 10)
	setAll(b, d, all)
	for _, n := range []int{10_000, 100, 1} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := d.FlowCounts(all[:n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify is how long the lock is held to compare the kernel's tables with what was put there.
func BenchmarkVerify(b *testing.B) {
	d := large(b)
	setAll(b, d, many(10_000, 10))
	for b.Loop() {
		if _, err := d.Verify(b.Context(), true); err != nil {
			b.Fatal(err)
		}
	}
}
