package xdp

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// The shape of a socket's memory. A frame of an Ethernet link fits behind the kernel's headroom of 256 bytes
// (XDP_PACKET_HEADROOM).
const (
	socketFrames    = 512 // a power of two, as is the length of each ring
	socketFrameSize = 2048
)

// Socket is an AF_XDP socket that receives all frames of a link with one queue into memory that it shares with the kernel
// (Documentation/networking/af_xdp.rst). Not safe for concurrent use.
type Socket struct {
	fd       int
	memory   []byte
	rx, fill socketRing
	attached io.Closer
	sockets  *ebpf.Map
}

// socketRing is a ring of 32-bit positions and entries.
type socketRing struct {
	memory             []byte
	producer, consumer *atomic.Uint32
	entries            unsafe.Pointer
}

// Mode is who brings a frame into the socket's memory.
type Mode uint16

// The modes: the kernel copies it, or the NIC writes it there, which needs a driver that can.
const (
	Copy     Mode = unix.XDP_COPY
	ZeroCopy Mode = unix.XDP_ZEROCOPY
)

// NewSocket binds a socket to queue 0 of a link, and attaches a program that redirects every frame to it. Where the driver
// cannot do without a copy, ZeroCopy gives an error that wraps unix.EOPNOTSUPP.
func NewSocket(l netns.Link, mode Mode) (s *Socket, err error) {
	s = &Socket{fd: -1}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open xdp socket on %s: %w", l.Name, err), s.Close())
			s = nil
		}
	}()
	if err := l.Namespace().Do(func() error { return s.open(l, mode) }); err != nil {
		return s, err
	}
	return s, s.redirect(l)
}

// open makes the socket, its memory and its rings, and binds it.
func (s *Socket) open(l netns.Link, mode Mode) (err error) {
	if s.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if s.memory, err = unix.Mmap(-1, 0, socketFrames*socketFrameSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return fmt.Errorf("map memory: %w", err)
	}
	register := unix.XDPUmemReg{
		Addr: uint64(uintptr(unsafe.Pointer(&s.memory[0]))), Len: uint64(len(s.memory)), Size: socketFrameSize,
	}
	if err := s.option(unix.XDP_UMEM_REG, unsafe.Pointer(&register), unsafe.Sizeof(register)); err != nil {
		return fmt.Errorf("register memory: %w", err)
	}
	for _, ring := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, ring, socketFrames); err != nil {
			return fmt.Errorf("size ring %d: %w", ring, err)
		}
	}
	if err := s.mapRings(); err != nil {
		return err
	}
	for i := range uint64(socketFrames) {
		*(*uint64)(s.fill.at(uint32(i), unsafe.Sizeof(i))) = i * socketFrameSize
	}
	s.fill.producer.Store(socketFrames)
	if err := unix.Bind(s.fd, &unix.SockaddrXDP{Flags: uint16(mode), Ifindex: uint32(l.Index)}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func (s *Socket) option(name uintptr, value unsafe.Pointer, size uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, name, uintptr(value), size, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// mapRings maps the receive and the fill ring.
func (s *Socket) mapRings() error {
	var offsets unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(offsets))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&offsets)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return fmt.Errorf("read layout of rings: %w", errno)
	}
	var errRX, errFill error
	s.rx, errRX = s.mapRing(unix.XDP_PGOFF_RX_RING, offsets.Rx, unsafe.Sizeof(unix.XDPDesc{}))
	s.fill, errFill = s.mapRing(unix.XDP_UMEM_PGOFF_FILL_RING, offsets.Fr, unsafe.Sizeof(uint64(0)))
	return errors.Join(errRX, errFill)
}

func (s *Socket) mapRing(at int64, o unix.XDPRingOffset, entry uintptr) (r socketRing, err error) {
	size := int(o.Desc) + socketFrames*int(entry)
	if r.memory, err = unix.Mmap(s.fd, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return r, fmt.Errorf("map ring: %w", err)
	}
	r.producer = (*atomic.Uint32)(unsafe.Pointer(&r.memory[o.Producer]))
	r.consumer = (*atomic.Uint32)(unsafe.Pointer(&r.memory[o.Consumer]))
	r.entries = unsafe.Pointer(&r.memory[o.Desc])
	return r, nil
}

// at returns the entry of a position.
func (r socketRing) at(position uint32, size uintptr) unsafe.Pointer {
	return unsafe.Add(r.entries, uintptr(position%socketFrames)*size)
}

// redirect attaches the program.
func (s *Socket) redirect(l netns.Link) (err error) {
	if s.sockets, err = ebpf.NewMap(&ebpf.MapSpec{Name: "sockets", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 1}); err != nil {
		return fmt.Errorf("make map of sockets: %w", err)
	}
	if err := s.sockets.Put(uint32(0), uint32(s.fd)); err != nil {
		return fmt.Errorf("put socket in its map: %w", err)
	}
	s.attached, err = Attach(l, "to_socket", asm.Instructions{
		asm.LoadMapPtr(asm.R1, s.sockets.FD()),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Imm(asm.R3, Drop),
		asm.FnRedirectMap.Call(),
		asm.Return(),
	})
	return err
}

// Each calls handle with each frame that has come, valid until it returns, and gives its memory back to the kernel. It
// makes no system call. It returns the number of frames.
func (s *Socket) Each(handle func(frame []byte)) int {
	from, to := s.rx.consumer.Load(), s.rx.producer.Load()
	free := s.fill.producer.Load()
	for i := from; i != to; i++ {
		d := (*unix.XDPDesc)(s.rx.at(i, unsafe.Sizeof(unix.XDPDesc{})))
		handle(s.memory[d.Addr:][:d.Len])
		*(*uint64)(s.fill.at(free, unsafe.Sizeof(d.Addr))) = d.Addr - d.Addr%socketFrameSize
		free++
	}
	s.rx.consumer.Store(to)
	s.fill.producer.Store(free)
	runtime.KeepAlive(s)
	return int(to - from)
}

// Close detaches the program and frees the socket and its memory.
func (s *Socket) Close() error {
	var all []error
	if s.attached != nil {
		all = append(all, s.attached.Close())
	}
	all = append(all, s.sockets.Close()) // which is no error for nil
	if s.fd >= 0 {
		all = append(all, unix.Close(s.fd))
	}
	for _, memory := range [][]byte{s.rx.memory, s.fill.memory, s.memory} {
		if memory != nil {
			all = append(all, unix.Munmap(memory))
		}
	}
	return errors.Join(all...)
}
