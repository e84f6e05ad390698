package decap

import (
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// BenchmarkDecap reports the cost of a packet in the program above that of a program that only swaps the
// MACs, in the same run and by the method of lb/datapath's BenchmarkDatapath, whose object writes a new packet
// before each run. Before that, another program restores the outer header that decapsulation removed; the swap
// removes none, and there it makes the same call.
func BenchmarkDecap(b *testing.B) {
	miss := encapsulations[0].valid(make([]byte, 40)...)
	miss.outer[9] = 17
	seal(miss.outer)
	elsewhere := encapsulations[0].valid(make([]byte, 40)...)
	elsewhere.inner[19]++
	seal(elsewhere.inner)
	scenarios := map[string]struct {
		frame *frame
		want  lb.Reason
		any   bool
	}{
		"pass-no-tunnel": {miss, "not_tunnel", false},
		"pass-no-vip":    {elsewhere, "not_vip", false},
		"4in4-any-vip":   {encapsulations[0].valid(make([]byte, 40)...), Decapsulated, true},
	}
	for _, e := range encapsulations {
		s := scenarios["4in4-any-vip"]
		s.frame, s.any = e.valid(make([]byte, 40)...), false
		scenarios[e.name] = s
	}
	for name, s := range scenarios {
		b.Run(name, func(b *testing.B) {
			o := asked()
			if s.any {
				o.VIPs = nil
			}
			measure(b, loaded(b, o), s.frame.bytes(), s.want)
		})
	}
}

func measure(b *testing.B, k *kernel, frame []byte, want lb.Reason) {
	lab := newLab(b, frame)
	packets := max(b.N, 1<<18)
	var swaps, hits, above []float64
	b.ResetTimer()
	for range 31 {
		swap, hit := lab.time(b, lab.swap, packets), lab.time(b, k.LbDecap, packets)
		swaps, hits, above = append(swaps, swap), append(hits, hit), append(above, hit-swap)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(slices.Min(hits)-slices.Min(swaps), "best-above-swap-ns/packet")
	b.ReportMetric(median(swaps), "swap-ns/packet")
	b.ReportMetric(median(above), "above-swap-ns/packet")
	for reason, n := range k.counted() {
		if (n.Packets > 0) != (reason == want) {
			b.Errorf("%d packets ended as %s", n.Packets, reason)
		}
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// lab holds the programs of bpf/src/bench.bpf.c.
type lab struct {
	frame         []byte
	restore, swap *ebpf.Program
	subject       *ebpf.Map
}

func newLab(b *testing.B, frame []byte) *lab {
	b.Helper()
	spec, err := ebpf.LoadCollectionSpec("../bench_bpfel_test.o")
	if err != nil {
		b.Fatal(err)
	}
	if err := spec.Variables["last_frame"].Set(uint32(0)); err != nil {
		b.Fatal(err)
	}
	all, err := ebpf.NewCollection(spec)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(all.Close)
	// The first 86 bytes are written anew, from byte 6 on first; nobody changes later ones.
	row := slices.Concat(frame[6:86], frame[:6], []byte{0, 0})
	if err := all.Maps["frames"].Put(uint32(0), row); err != nil {
		b.Fatal(err)
	}
	l := &lab{frame: frame, swap: all.Programs["swap"], subject: all.Maps["subject"]}
	l.restore = restoring(b, len(frame), all.Programs["next_frame"])
	return l
}

// restoring makes the program that gives a frame the length back that it had, and calls the next one.
func restoring(b *testing.B, length int, next *ebpf.Program) *ebpf.Program {
	b.Helper()
	calls, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: next}},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { calls.Close() })
	const data, dataEnd = 0, 4 // of struct xdp_md
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "restore", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, dataEnd, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, data, asm.Word),
		asm.Sub.Reg(asm.R2, asm.R3),
		asm.Sub.Imm(asm.R2, int32(length)),
		asm.FnXdpAdjustHead.Call(),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, calls.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, 0), // XDP_ABORTED
		asm.Return(),
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

// time returns the nanoseconds that a packet takes through all of it, by the kernel's clock.
func (l *lab) time(b *testing.B, subject *ebpf.Program, packets int) float64 {
	b.Helper()
	if err := l.subject.Put(uint32(0), subject); err != nil {
		b.Fatal(err)
	}
	// The part of union bpf_attr for BPF_PROG_TEST_RUN in linux/bpf.h that is of use here.
	run := struct {
		program, result, size, sizeOut uint32
		data, dataOut                  uint64
		repeat, duration               uint32
	}{
		program: uint32(l.restore.FD()), size: uint32(len(l.frame)), repeat: uint32(packets),
		data: uint64(uintptr(unsafe.Pointer(&l.frame[0]))),
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&run)), unsafe.Sizeof(run))
		runtime.KeepAlive(l.frame)
		switch errno {
		case 0:
			return float64(run.duration)
		case unix.EINTR: // a signal: the kernel began to count anew
		default:
			b.Fatal("test run:", errno)
		}
	}
}
