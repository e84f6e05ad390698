// Package packetring is AF_PACKET sockets (packet(7)), and the memory-mapped receive ring that they can have (TPACKET_V3,
// Documentation/networking/packet_mmap.rst).
package packetring

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// Size is the shape of a ring.
type Size struct {
	// Blocks is their number, Bytes the size of each, a multiple of the page size.
	Blocks, Bytes int
	// Retire is after which time the kernel hands over a block that is not full, in whole milliseconds.
	Retire time.Duration
}

// Ring is memory shared with the kernel, which fills one block after the other and hands
// each over by its status word. The zero value is no ring.
type Ring struct {
	memory []byte
	size   Size
	// next is the block that the kernel hands over next.
	next int
}

// Packet is a packet in the ring, valid until its block goes back to the kernel.
type Packet struct {
	Data   []byte
	Length int // on the link, Ethernet header included
	Time   time.Time
}

// Open opens a packet socket that receives all that comes in by a link and never waits, with a receive buffer of a number of
// bytes, and a ring if its size is not 0.
func Open(l netns.Link, buffer int, size Size) (fd int, ring *Ring, err error) {
	fd = -1
	err = l.Namespace().Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		err = errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer),
		)
		if err == nil && size.Blocks > 0 {
			ring, err = Map(fd, size)
		}
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(unix.ETH_P_ALL), Ifindex: l.Index})
	})
	if err != nil {
		err = fmt.Errorf("open packet socket on %s: %w", l.Name, errors.Join(err, ring.Unmap()))
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return fd, ring, err
}

// Map gives a packet socket a receive ring and maps it.
func Map(fd int, size Size) (*Ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, fmt.Errorf("choose packet ring version: %w", err)
	}
	const frame = 1 << 11 // version 3 packs packets tightly: only its multiples count
	request := unix.TpacketReq3{
		Block_size: uint32(size.Bytes), Block_nr: uint32(size.Blocks),
		Frame_size: frame, Frame_nr: uint32(size.Blocks * size.Bytes / frame),
		Retire_blk_tov: uint32(size.Retire / time.Millisecond),
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return nil, fmt.Errorf("make packet ring: %w", err)
	}
	memory, err := unix.Mmap(fd, 0, size.Blocks*size.Bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map packet ring: %w", err)
	}
	return &Ring{memory: memory, size: size}, nil
}

// Unmap frees the mapping; of no ring it does nothing.
func (r *Ring) Unmap() error {
	if r == nil {
		return nil
	}
	return unix.Munmap(r.memory)
}

// header returns a block's header, which follows the version and the offset of private data.
func (r *Ring) header(block int) *unix.TpacketHdrV1 {
	at := block*r.size.Bytes + int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr))
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&r.memory[at]))
}

// ready reports whether the kernel has handed a block over.
func (r *Ring) ready(block int) bool {
	return atomic.LoadUint32(&r.header(block).Block_status)&unix.TP_STATUS_USER != 0
}

// release hands a block back.
func (r *Ring) release(block int) {
	atomic.StoreUint32(&r.header(block).Block_status, unix.TP_STATUS_KERNEL)
}

// Take calls handle for the packets of all blocks that the kernel has handed over, gives the blocks back, and returns the
// number of packets. It makes no system call.
func (r *Ring) Take(handle func(Packet)) (packets int) {
	for r.ready(r.next) {
		packets += r.each(r.next, handle)
		r.release(r.next)
		r.next = (r.next + 1) % r.size.Blocks
	}
	return packets
}

// each calls handle for the packets of a block and returns their number.
func (r *Ring) each(block int, handle func(Packet)) int {
	h := r.header(block)
	memory := r.memory[block*r.size.Bytes:][:r.size.Bytes]
	at := h.Offset_to_first_pkt
	for range h.Num_pkts {
		p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&memory[at]))
		start := at + uint32(p.Mac)
		handle(Packet{
			Data: memory[start : start+p.Snaplen], Length: int(p.Len),
			Time: time.Unix(int64(p.Sec), int64(p.Nsec)),
		})
		at += p.Next_offset
	}
	return int(h.Num_pkts)
}
