package live

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// chunk is how many frames one system call sends: 5 to 15 ms. Many short rounds have a narrower interval than few
// long ones.
const chunk = 1 << 16

// generator sends frames out of a veth's end, into the other end, from the kernel.
type generator struct {
	program *ebpf.Program
	frames  *ebpf.Map
	sent    counter
}

// newGenerator makes a generator that sends the frames in turn; their number is a power of two.
func newGenerator(frames [][]byte) (g *generator, err error) {
	g = &generator{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make generator: %w", err), g.Close())
		}
	}()
	if g.sent, err = newCounter(); err != nil {
		return nil, err
	}
	g.frames, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "frames", Type: ebpf.Array, KeySize: 4, ValueSize: rowSize, MaxEntries: uint32(len(frames)),
	})
	if err != nil {
		return nil, err
	}
	for i, f := range frames {
		if err := g.frames.Put(uint32(i), row(f)); err != nil {
			return nil, err
		}
	}
	g.program, err = xdp.Load("generate", generate(g.frames, g.sent))
	return g, err
}

// Close removes it.
func (g *generator) Close() error {
	var all []error
	for _, c := range []interface{ Close() error }{g.program, g.frames, g.sent.Map} {
		all = append(all, c.Close()) // none is an error for nil
	}
	return errors.Join(all...)
}

// send sends frames out of a link, and returns how many, and the CPU time that they took all together. After a
// signal to the thread the kernel repeats a part; the program counts what was really sent.
func (g *generator) send(from netns.Link) (frames uint64, took time.Duration, err error) {
	before, err := g.sent.read()
	if err != nil {
		return 0, 0, err
	}
	err = from.Namespace().Do(func() (err error) {
		return pinned(func() error {
			took, err = testRun(g.program, frameSize, from.Index)
			return err
		})
	})
	if err != nil {
		return 0, 0, err
	}
	after, err := g.sent.read()
	return after - before, took, err
}

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of include/uapi/linux/bpf.h: the frames of a test run go where
// the program's verdict says, in batches of 64.
const liveFrames = 1 << 1

// testRunAttributes is the part of union bpf_attr for BPF_PROG_TEST_RUN in include/uapi/linux/bpf.h. The library's own
// call starts again after a signal.
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
// thread's namespace, and returns the CPU time that the thread took meanwhile, with the softirqs that process the
// frames on top of it. Other tasks do not count; a run that a signal cut short does. The caller
// stays on its thread. The kernel itself would report the mean of one frame in whole nanoseconds.
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
		case unix.EINTR: // a signal of the Go runtime: start again
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

// pinned calls f with the calling thread, which the caller has locked, pinned to its present core. If the scheduler moved
// it in the middle of a run, it would fill the rings of the veths from another core than the one whose softirqs
// empty them: they would come too late, and frames would be lost that no program lost.
func pinned(f func() error) (err error) {
	var before, here unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read cores of thread: %w", err)
	}
	core, err := current()
	if err != nil {
		return err
	}
	here.Set(core)
	if err := unix.SchedSetaffinity(0, &here); err != nil {
		return fmt.Errorf("keep thread on core %d: %w", core, err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &before)) }()
	return f()
}

// current is the core that the calling thread is on, or was a moment ago.
func current() (int, error) {
	var core uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&core)), 0, 0); errno != 0 {
		return 0, fmt.Errorf("read core of thread: %w", errno)
	}
	return int(core), nil
}
