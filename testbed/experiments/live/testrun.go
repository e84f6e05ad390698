package live

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of include/uapi/linux/bpf.h: the frames of a test run go where
// the program's verdict says, in batches of 64.
const liveFrames = 1 << 1

// testRunAttributes is the part of union bpf_attr for BPF_PROG_TEST_RUN in include/uapi/linux/bpf.h. The library
// begins anew by itself after a signal.
type testRunAttributes struct {
	program, result, size, sizeOut                uint32
	data, dataOut                                 uint64
	repeat, duration, contextSize, contextSizeOut uint32
	context, contextOut                           uint64
	flags, cpu, batch, _                          uint32
}

// xdpMD is struct xdp_md of the same header.
type xdpMD struct{ Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32 }

// testRun runs a program on a chunk of live frames of a size that come from an interface of the calling
// thread's namespace, and returns the CPU time that the thread took meanwhile: what is done with the frames, in
// softirqs, is done on top of it. Other tasks do not count, and a run that a signal cut short does. The caller
// stays on its thread. The kernel's own figure would be the mean of one frame in whole nanoseconds.
func testRun(program *ebpf.Program, size, ingress int) (took time.Duration, err error) {
	frame, context := make([]byte, size), &xdpMD{DataEnd: uint32(size), Ingress: uint32(ingress)}
	run := testRunAttributes{
		program: uint32(program.FD()), repeat: chunk, flags: liveFrames,
		size: uint32(size), data: uint64(uintptr(unsafe.Pointer(&frame[0]))),
		contextSize: uint32(unsafe.Sizeof(*context)), context: uint64(uintptr(unsafe.Pointer(context))),
	}
	start, err := threadTime()
	if err != nil {
		return 0, err
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&run)), unsafe.Sizeof(run))
		runtime.KeepAlive(frame)
		runtime.KeepAlive(context)
		switch errno {
		case 0:
			end, err := threadTime()
			return end - start, err
		case unix.EINTR: // a signal: the runtime's own; the kernel begins to count anew
		default:
			return 0, fmt.Errorf("send live frames: %w", errno)
		}
	}
}

// threadTime is the CPU time of the calling thread.
func threadTime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("read cpu time of thread: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
