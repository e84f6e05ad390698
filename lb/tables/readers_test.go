package tables

import (
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"lbctl/bpf/need"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// slowPacket is a packet that stays in its program for a tenth of a second. While it is there, *inside is 1.
type slowPacket struct {
	program *ebpf.Program
	inside  *uint32
}

// newSlowPacket loads the program: it writes 1, calls a function until the clock says that it is time, and writes 0.
func newSlowPacket(t *testing.T) slowPacket {
	t.Helper()
	const flags = 1 << 10 // BPF_F_MMAPABLE
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "inside", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	memory, err := unix.Mmap(m.FD(), 0, unix.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(memory) })
	integer := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	function := func(name string, linkage btf.FuncLinkage) *btf.Func {
		return &btf.Func{Name: name, Type: &btf.FuncProto{Return: integer}, Linkage: linkage}
	}
	const until, tenthOfASecond = -8, 100_000_000
	code := asm.Instructions{
		btf.WithFuncMetadata(asm.LoadMapValue(asm.R6, m.FD(), 0).WithSymbol("slow"), function("slow", btf.GlobalFunc)),
		asm.StoreImm(asm.R6, 0, 1, asm.Word),
		asm.FnKtimeGetNs.Call(),
		asm.Add.Imm(asm.R0, tenthOfASecond),
		asm.StoreMem(asm.RFP, until, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R1, 1<<23), // at most so often
		{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1},
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, until),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnLoop.Call(),
		asm.StoreImm(asm.R6, 0, 0, asm.Word),
		asm.Mov.Imm(asm.R0, 2), // XDP_PASS
		asm.Return(),
		btf.WithFuncMetadata(asm.Mov.Reg(asm.R6, asm.R2).WithSymbol("late"), function("late", btf.StaticFunc)),
		asm.FnKtimeGetNs.Call(),
		asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord),
		asm.JGT.Reg(asm.R0, asm.R1, "end"),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("end"),
		asm.Return(),
	}
	code[6] = code[6].WithReference("late")
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "slow", Type: ebpf.XDP, License: "GPL", Instructions: code})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return slowPacket{p, (*uint32)(unsafe.Pointer(&memory[0]))}
}

// left has a packet in its program while wait is called, and tells whether the packet has left when wait returns. A
// packet that was gone before wait could be called is followed by another.
func (s slowPacket) left(t *testing.T, wait func() error) bool {
	t.Helper()
	for range 100 {
		gone := make(chan error, 1)
		go func() {
			_, err := s.program.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
			gone <- err
		}()
		for atomic.LoadUint32(s.inside) == 0 && len(gone) == 0 {
			runtime.Gosched()
		}
		met := atomic.LoadUint32(s.inside) == 1
		err := wait()
		left := atomic.LoadUint32(s.inside) == 0
		if err := <-gone; err != nil {
			t.Fatal("run:", err)
		}
		if err != nil {
			t.Fatal("wait:", err)
		}
		if met {
			return left
		}
	}
	t.Fatal("no packet was met in its program")
	return false
}

// Whichever way the kernel offers, a packet that was in its program has left it. Not to wait is found out.
func TestWaitsForPackets(t *testing.T) {
	need.Root(t)
	waits := map[string]func() error{"the one taken": synchronize, "map of maps": byMapOfMaps}
	if membarrierWaits() {
		waits["membarrier"] = byMembarrier
	}
	s := newSlowPacket(t)
	for name, wait := range waits {
		for range 5 {
			if !s.left(t, wait) {
				t.Errorf("%s: returned while a packet was in its program", name)
			}
		}
	}
	if s.left(t, func() error { return nil }) {
		t.Error("a wait that does not wait was not found out")
	}
}

// A kernel booted with nohz_full does without membarrier, any other with it.
func TestMembarrierWaits(t *testing.T) {
	need.Root(t)
	if want := !bootedWith(t, "nohz_full"); membarrierWaits() != want {
		t.Errorf("membarrier waits: %v, want %v", !want, want)
	}
}

// bootedWith tells whether a parameter is on the kernel's command line.
func bootedWith(t *testing.T, parameter string) bool {
	t.Helper()
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(" "+string(line), " "+parameter+"=")
}
