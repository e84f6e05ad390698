package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
	"unsafe"

	"lbctl/bpf"
	"lbctl/rss"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf/ringbuf"
)

// Sample is the beginning of one packet.
type Sample struct {
	// Frame begins with the Ethernet header and has at most MaxSample bytes, plus a VLAN tag if
	// the driver had removed one.
	Frame []byte
	// Bytes is the length of the whole frame.
	Bytes int
	Queue rss.Queue
	CPU   int
	// Hash is the NIC's, if Hashed.
	Hash   uint32
	Hashed bool
	// Recorded is true for the first packet of a Sighting, which counts it too.
	Recorded bool
}

// MaxSample is the most bytes of a frame in a sample.
const MaxSample = len(bpf.ObserveSample{}.Head)

// ErrNoSample: nothing came in time.
var ErrNoSample = errors.New("no sample in time")

// Sample returns the next sample, or ErrNoSample when none has come by the deadline. There is a sample
// of every packet that has no Sighting, and of the first one of each Sighting. Packets
// that came while the buffer was full are in Totals.NoFlow and Totals.TableFull.
func (o *Observer) Sample(by time.Time) (Sample, error) {
	if o.samples == nil {
		return Sample{}, errors.New("read sample: the observer was not asked for samples")
	}
	o.samples.SetDeadline(by)
	record, err := o.samples.Read()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ringbuf.ErrFlushed):
		return Sample{}, ErrNoSample
	case err != nil:
		return Sample{}, fmt.Errorf("read sample: %w", err)
	}
	return decodeSample(record.RawSample)
}

// decodeSample reads a struct sample.
func decodeSample(b []byte) (Sample, error) {
	var raw bpf.ObserveSample
	const head = int(unsafe.Offsetof(raw.Head))
	if len(b) < int(unsafe.Sizeof(raw)) {
		return Sample{}, fmt.Errorf("sample of %d bytes: want %d", len(b), unsafe.Sizeof(raw))
	}
	if _, err := binary.Decode(b, binary.NativeEndian, &raw); err != nil {
		return Sample{}, fmt.Errorf("read sample: %w", err)
	}
	s := Sample{
		Frame: slices.Clone(b[head:][:min(int(raw.Bytes), MaxSample)]), Bytes: int(raw.Bytes),
		Queue: rss.Queue(raw.Queue), CPU: int(raw.Cpu), Hash: raw.Hash, Hashed: raw.Hashed != 0, Recorded: raw.Recorded != 0,
	}
	if raw.Tagged != 0 {
		s.Frame = retag(s.Frame, raw.Vlan)
		s.Bytes += packet.VLANLength
	}
	return s, nil
}

// retag inserts a VLAN tag between the addresses and the EtherType.
func retag(frame []byte, tci uint16) []byte {
	const addresses = 12
	if len(frame) < addresses {
		return frame
	}
	tag := binary.BigEndian.AppendUint16(nil, uint16(packet.TypeVLAN))
	return slices.Insert(frame, addresses, binary.BigEndian.AppendUint16(tag, tci)...)
}
