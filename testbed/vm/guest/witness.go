package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"lbctl/rss"
	"lbctl/testbed/vm/line"
)

// witness is a packet socket whose filter records queue and hash of every frame. A
// filter sees the socket buffer as the driver made it. XDP sees the queue too, but with XDP
// attached the driver reports no hash.
type witness struct {
	socket int
	ring   *ringbuf.Reader
}

// recordLength is that of what the filter notes: tag (as in the frame), queue mapping, hash.
const recordLength = 12

// newWitness watches what comes in on an interface. It lives as long as the guest.
func newWitness(index int) (*witness, error) {
	seen, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 20})
	if err != nil {
		return nil, fmt.Errorf("make ring: %w", err)
	}
	filter, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "witness", Type: ebpf.SocketFilter, License: "MIT", Instructions: filterProgram(seen.FD()),
	})
	if err != nil {
		return nil, fmt.Errorf("load filter: %w", err)
	}
	w := &witness{}
	if w.ring, err = ringbuf.NewReader(seen); err != nil {
		return nil, fmt.Errorf("read ring: %w", err)
	}
	// It has no protocol, and so receives nothing, until it has its filter and its interface.
	if w.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(w.socket, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, filter.FD()); err != nil {
		return nil, fmt.Errorf("attach filter: %w", err)
	}
	if err := unix.SetsockoptInt(w.socket, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return nil, fmt.Errorf("ignore outgoing frames: %w", err)
	}
	all := uint16(unix.ETH_P_ALL << 8) // in network byte order
	if err := unix.Bind(w.socket, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		return nil, fmt.Errorf("bind packet socket: %w", err)
	}
	return w, nil
}

// filterProgram records each frame that the interface received, and passes none to the socket.
func filterProgram(ring int) asm.Instructions {
	const record, hash, mapping = -16, -8, -12
	// Places in struct __sk_buff (include/uapi/linux/bpf.h).
	const length, queueMapping, flowHash = 0, 12, 68
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, queueMapping, asm.Word),
		asm.StoreMem(asm.RFP, mapping, asm.R2, asm.Word),
		asm.LoadMem(asm.R2, asm.R6, flowHash, asm.Word),
		asm.StoreMem(asm.RFP, hash, asm.R2, asm.Word),
		asm.LoadMem(asm.R2, asm.R6, length, asm.Word),
		asm.Sub.Imm(asm.R2, 4),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, record),
		asm.Mov.Imm(asm.R4, 4),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "done"),
		asm.LoadMapPtr(asm.R1, ring),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, record),
		asm.Mov.Imm(asm.R3, recordLength),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("done"),
		asm.Return(),
	}
}

// batch bounds how many sightings are told at a time.
const batch = 64

// watch tells what is seen, until tell or the ring fails, whose error it returns.
func (w *witness) watch(tell func([]line.Sighting) error) error {
	var record ringbuf.Record
	for {
		var seen []line.Sighting
		w.ring.SetDeadline(time.Time{}) // wait for the first
		for len(seen) < batch {
			if err := w.ring.ReadInto(&record); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				return fmt.Errorf("read ring: %w", err)
			}
			s, err := sighting(record.RawSample)
			if err != nil {
				return err
			}
			seen = append(seen, s)
			w.ring.SetDeadline(time.Unix(1, 0)) // take what is there
		}
		if len(seen) == 0 {
			continue // the end of what was there fell on the end of a batch
		}
		if err := tell(seen); err != nil {
			return err
		}
	}
}

// sighting reads a record. The queue mapping of a received frame is its queue plus 1, 0 when
// the driver did not say (skb_record_rx_queue).
func sighting(record []byte) (line.Sighting, error) {
	if len(record) < recordLength {
		return line.Sighting{}, fmt.Errorf("record of %d bytes, want %d", len(record), recordLength)
	}
	mapping := binary.NativeEndian.Uint32(record[4:])
	if mapping == 0 {
		return line.Sighting{}, errors.New("the driver did not record the queue of a frame")
	}
	return line.Sighting{
		Tag: binary.BigEndian.Uint32(record), Queue: rss.Queue(mapping - 1), Hash: binary.NativeEndian.Uint32(record[8:]),
	}, nil
}
