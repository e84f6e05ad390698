package xdp

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of include/uapi/linux/bpf.h: the frames of a test run go where
// the program's verdict says, in batches of LiveBatch.
const liveFrames = 1 << 1

// LiveBatch is how many live frames the kernel makes at a time.
const LiveBatch = 64

// HeaderLength is that of an Ethernet header, in bytes.
const HeaderLength = 14

// TestFrame returns a frame with a payload of a number of bytes, of the EtherType for local experiments (IEEE 802): no kernel
// answers it.
func TestFrame(payload int) []byte {
	const experimental = 0x88b5
	f := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, experimental >> 8, experimental & 0xff}, make([]byte, payload)...)
	for i := range payload {
		f[HeaderLength+i] = byte(i*7 + 1)
	}
	return f
}

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

// RunLive runs a program on a number of live frames, copies of one, that come from an interface of the calling thread's
// namespace. When a signal interrupts the kernel it sends some frames more: a program that must know counts them.
func RunLive(program *ebpf.Program, frame []byte, ingress, frames int) error {
	context := &xdpMD{DataEnd: uint32(len(frame)), Ingress: uint32(ingress)}
	run := testRunAttributes{
		program: uint32(program.FD()), repeat: uint32(frames), flags: liveFrames,
		size: uint32(len(frame)), data: uint64(uintptr(unsafe.Pointer(&frame[0]))),
		contextSize: uint32(unsafe.Sizeof(*context)), context: uint64(uintptr(unsafe.Pointer(context))),
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&run)), unsafe.Sizeof(run))
		runtime.KeepAlive(frame)
		runtime.KeepAlive(context)
		switch errno {
		case 0:
			return nil
		case unix.EINTR: // a signal of the Go runtime: start again
		default:
			return fmt.Errorf("send live frames: %w", errno)
		}
	}
}

// Source sends frames out of a link, from the kernel: their memory is that of a driver's receive ring, and no sender's
// copy is in it. The peer of a veth receives them if it has an XDP program, or NAPI.
type Source struct {
	link     netns.Link
	program  *ebpf.Program
	sent     *ebpf.Map
	total    uint64
	attached io.Closer
}

// NewSource returns a source of frames that go out of a link. Its program is also attached there, though nothing
// comes in: the kernel calls attached programs directly, and would otherwise rewrite its own code for that twice in
// every Send, at a millisecond each (bpf_prog_change_xdp).
func NewSource(out netns.Link) (s *Source, err error) {
	s = &Source{link: out}
	if s.sent, err = ebpf.NewMap(&ebpf.MapSpec{Name: "sent", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return nil, fmt.Errorf("make source of frames: %w", err)
	}
	if s.program, err = Load("source", count(s.sent, Tx)); err != nil {
		return nil, errors.Join(err, s.sent.Close())
	}
	if s.attached, err = AttachProgram(out, s.program); err != nil {
		return nil, errors.Join(err, s.program.Close(), s.sent.Close())
	}
	return s, nil
}

// Close frees it.
func (s *Source) Close() error {
	return errors.Join(s.attached.Close(), s.program.Close(), s.sent.Close())
}

// Send sends copies of a frame, and returns how many: as many as were asked for, or after a signal some more. The
// calling thread is in the link's namespace.
func (s *Source) Send(frame []byte, frames int) (int, error) {
	if err := RunLive(s.program, frame, s.link.Index, frames); err != nil {
		return 0, err
	}
	before := s.total
	if err := s.sent.Lookup(uint32(0), &s.total); err != nil {
		return 0, fmt.Errorf("read counter: %w", err)
	}
	return int(s.total - before), nil
}

// count is a program that counts the packet in the only entry of a map, and returns a verdict.
func count(in *ebpf.Map, verdict int32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapValue(asm.R1, in.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, verdict),
		asm.Return(),
	}
}

// Counter drops every frame that comes to a link, and counts them: what receives them is the program itself, in the
// driver's memory.
type Counter struct {
	attached io.Closer
	seen     *ebpf.Map
}

// NewCounter attaches a counter to a link.
func NewCounter(to netns.Link) (c *Counter, err error) {
	c = &Counter{}
	if c.seen, err = ebpf.NewMap(&ebpf.MapSpec{Name: "seen", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return nil, fmt.Errorf("make counter: %w", err)
	}
	if c.attached, err = Attach(to, "counter", count(c.seen, Drop)); err != nil {
		return nil, errors.Join(err, c.seen.Close())
	}
	return c, nil
}

// Total returns how many frames there were.
func (c *Counter) Total() (n uint64, err error) {
	if err := c.seen.Lookup(uint32(0), &n); err != nil {
		return 0, fmt.Errorf("read counter: %w", err)
	}
	return n, nil
}

// Close detaches and frees it.
func (c *Counter) Close() error { return errors.Join(c.attached.Close(), c.seen.Close()) }
