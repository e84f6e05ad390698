package datapath

import (
	"cmp"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/tables"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel -type frame bench ../../bpf/src/bench.bpf.c

// BenchmarkDatapath reports, for each scenario, how much more a packet costs than with a program that only
// swaps the MAC addresses. Both run behind the program that writes the next packet, in the same run. It
// reports the median of the differences in pairs, and the difference of the two minima, which is the cost on
// an undisturbed machine.
func BenchmarkDatapath(b *testing.B) {
	for _, s := range scenarios() {
		s.flows = max(s.flows, 1)
		b.Run(s.name, s.run)
	}
}

func (s scenario) run(b *testing.B) {
	inNamespace(b)
	limits := lb.DefaultLimits
	limits.Flows = max(limits.Flows, 4*uint32(s.flows)) // lines that are not crowded
	d := open(b, Options{Limits: limits, manualClock: true})
	ingress := s.configure(b, d)
	lab := s.load(b)
	for _, change := range s.begin {
		lab.write(b, s, change)
		lab.time(b, d.Program(), ingress, s.flows)
	}
	lab.write(b, s, s.packet)
	before := counted(b, d)
	packets := max(b.N, 1<<18, s.flows)
	var swaps, hits, above []float64
	b.ResetTimer()
	for range 31 {
		swap, hit := lab.time(b, lab.Swap, ingress, packets), lab.time(b, d.Program(), ingress, packets)
		swaps, hits, above = append(swaps, swap), append(hits, hit), append(above, hit-swap)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(slices.Min(hits)-slices.Min(swaps), "least-above-swap-ns/packet")
	b.ReportMetric(median(swaps), "swap-ns/packet")
	b.ReportMetric(median(hits), "ns/packet")
	b.ReportMetric(median(above), "above-swap-ns/packet")
	s.check(b, before, counted(b, d))
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// laboratory is the benchmark's programs and the frames that they write.
type laboratory struct {
	*benchObjects
	frames tables.Table[benchFrame]
}

// load loads the benchmark's programs.
func (s scenario) load(b *testing.B) laboratory {
	spec, err := loadBench()
	if err != nil {
		b.Fatal(err)
	}
	spec.Maps["frames"].MaxEntries = uint32(s.flows)
	if err := spec.Variables["last_frame"].Set(uint32(s.flows - 1)); err != nil {
		b.Fatal(err)
	}
	l := laboratory{benchObjects: new(benchObjects)}
	if err := spec.LoadAndAssign(l.benchObjects, nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	if l.frames, err = tables.Map[benchFrame](l.Frames); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.frames.Unmap() })
	return l
}

// frameBytes is the length of every frame.
const frameBytes = 6 + 80

// write fills the frames, one packet of every flow in turn.
func (l laboratory) write(b *testing.B, s scenario, change func(*contract.Packet)) {
	for i := range l.frames.Rows {
		frame := s.frame(i, change)
		if len(frame) > frameBytes {
			b.Fatalf("a frame of %d bytes", len(frame))
		}
		row := unsafe.Slice((*byte)(unsafe.Pointer(&l.frames.Rows[i])), frameBytes)
		clear(row)
		copy(row[frameBytes-6:], frame)
		copy(row, frame[6:])
	}
}

// time returns the nanoseconds that a packet takes through next_frame and the subject.
func (l laboratory) time(b *testing.B, subject *ebpf.Program, ingress, packets int) float64 {
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

func counted(b *testing.B, d *Datapath) map[lb.Reason]lb.Count {
	c, err := d.Counters()
	if err != nil {
		b.Fatal(err)
	}
	return c.Reasons
}

// check makes sure that the packets took the path that was to be timed.
func (s scenario) check(b *testing.B, before, after map[lb.Reason]lb.Count) {
	want := cmp.Or(s.want, lb.Forwarded)
	for reason, n := range after {
		if moved := n.Packets - before[reason].Packets; (moved > 0) != (reason == want) {
			b.Errorf("%d packets ended as %s", moved, reason)
		}
	}
}
