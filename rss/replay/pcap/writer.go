package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Packet is a packet to be written.
type Packet struct {
	// Interface is the name of the interface it was captured on, "" if that is not known.
	Interface string
	Time      time.Time
	// Frame is the captured part of the Length bytes of the packet.
	Frame  []byte
	Length int
	// Queue is the receive queue.
	Queue uint32
	// Comment is the packet's comment.
	Comment string
}

// Writer writes a pcapng file of Ethernet frames (IETF draft-ietf-opsawg-pcapng, sections 4.1 to 4.3),
// its times in nanoseconds. One goroutine.
type Writer struct {
	out io.Writer
	// interfaces are the numbers of those that were described, by name.
	interfaces map[string]uint32
}

// The options that are written and not read.
const (
	optionComment = 1
	optionName    = 2 // of an interface
	optionQueue   = 6 // of a packet
)

// NewWriter begins a file.
func NewWriter(out io.Writer) (*Writer, error) {
	w := &Writer{out: out, interfaces: map[string]uint32{}}
	body := binary.LittleEndian.AppendUint32(nil, 0x1a2b3c4d) // the byte order
	body = append(body, 1, 0, 0, 0)                           // version 1.0
	body = binary.LittleEndian.AppendUint64(body, 1<<64-1)    // the length is not known
	return w, w.block(magicSection, body)
}

// Write adds a packet, and before the first one of an interface its description.
func (w *Writer) Write(p Packet) error {
	number, known := w.interfaces[p.Interface]
	if !known {
		number = uint32(len(w.interfaces))
		if err := w.describe(p.Interface); err != nil {
			return err
		}
		w.interfaces[p.Interface] = number
	}
	stamp := uint64(p.Time.UnixNano())
	var body []byte
	for _, word := range []uint32{number, uint32(stamp >> 32), uint32(stamp), uint32(len(p.Frame)), uint32(p.Length)} {
		body = binary.LittleEndian.AppendUint32(body, word)
	}
	body = padded(append(body, p.Frame...))
	if p.Comment != "" {
		body = appendOption(body, optionComment, []byte(p.Comment))
	}
	body = appendOption(body, optionQueue, binary.LittleEndian.AppendUint32(nil, p.Queue))
	return w.block(blockEnhanced, appendOption(body, optionEnd, nil))
}

// describe writes an interface.
func (w *Writer) describe(name string) error {
	body := binary.LittleEndian.AppendUint16(nil, uint16(Ethernet))
	body = append(body, 0, 0, 0, 0, 0, 0) // no limit of what is captured
	if name != "" {
		body = appendOption(body, optionName, []byte(name))
	}
	body = appendOption(body, optionResolution, []byte{9}) // 10^-9 s
	return w.block(blockInterface, appendOption(body, optionEnd, nil))
}

// appendOption adds an option.
func appendOption(body []byte, code uint16, value []byte) []byte {
	body = binary.LittleEndian.AppendUint16(body, code)
	body = binary.LittleEndian.AppendUint16(body, uint16(len(value)))
	return padded(append(body, value...))
}

// padded fills up to a multiple of 4 bytes.
func padded(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }

// block writes a block in one piece.
func (w *Writer) block(kind uint32, body []byte) error {
	length := uint32(len(body) + 12)
	all := binary.LittleEndian.AppendUint32(make([]byte, 0, length), kind)
	all = binary.LittleEndian.AppendUint32(all, length)
	all = binary.LittleEndian.AppendUint32(append(all, body...), length)
	if _, err := w.out.Write(all); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}
