package capture

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ringSize is the shape of a ring.
type ringSize struct {
	// blocks is their number, blockBytes the size of each, a multiple of the page size.
	blocks, blockBytes int
}

// defaultRing is 16 MiB: some 80,000 packets of snapLength.
func defaultRing() ringSize { return ringSize{blocks: 64, blockBytes: 1 << 18} }

// retireTime is after how many milliseconds the kernel hands over a block that is not full.
const retireTime = 20

// ring is memory shared with the kernel, which fills one block after the other and hands
// each over by its status word. The zero value is no ring.
type ring struct {
	memory []byte
	size   ringSize
}

// captured is a packet in the ring, valid until its block is released.
type captured struct {
	data   []byte
	length int // on the link, Ethernet header included
	time   time.Time
}

// mapRing gives the socket a receive ring and maps it.
func mapRing(fd int, size ringSize) (ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return ring{}, fmt.Errorf("choose packet ring version: %w", err)
	}
	const frame = 1 << 11 // version 3 packs packets tightly: only its multiples count
	request := unix.TpacketReq3{
		Block_size: uint32(size.blockBytes), Block_nr: uint32(size.blocks),
		Frame_size: frame, Frame_nr: uint32(size.blocks * size.blockBytes / frame),
		Retire_blk_tov: retireTime,
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return ring{}, fmt.Errorf("make packet ring: %w", err)
	}
	memory, err := unix.Mmap(fd, 0, size.blocks*size.blockBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return ring{}, fmt.Errorf("map packet ring: %w", err)
	}
	return ring{memory: memory, size: size}, nil
}

func (r ring) unmap() error {
	if r.memory == nil {
		return nil
	}
	return unix.Munmap(r.memory)
}

// header returns a block's header, which follows the version and the offset of private data.
func (r ring) header(block int) *unix.TpacketHdrV1 {
	at := block*r.size.blockBytes + int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr))
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&r.memory[at]))
}

// ready reports whether the kernel has handed a block over.
func (r ring) ready(block int) bool {
	return atomic.LoadUint32(&r.header(block).Block_status)&unix.TP_STATUS_USER != 0
}

// release hands a block back.
func (r ring) release(block int) {
	atomic.StoreUint32(&r.header(block).Block_status, unix.TP_STATUS_KERNEL)
}

// each calls handle for the packets of a block and returns their number.
func (r ring) each(block int, handle func(captured)) int {
	h := r.header(block)
	memory := r.memory[block*r.size.blockBytes:][:r.size.blockBytes]
	at := h.Offset_to_first_pkt
	for range h.Num_pkts {
		p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&memory[at]))
		start := at + uint32(p.Mac)
		handle(captured{
			data: memory[start : start+p.Snaplen], length: int(p.Len),
			time: time.Unix(int64(p.Sec), int64(p.Nsec)),
		})
		at += p.Next_offset
	}
	return int(h.Num_pkts)
}
