package pcap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
)

// MaxCaptured is the most bytes of a packet that a record may hold: libpcap's limit.
const MaxCaptured = 262144

// maxLength is the greatest length of a packet on the wire that is believed: above
// what segmentation offload makes, by far.
const maxLength = 1 << 24

// Record is a captured packet.
type Record struct {
	// Frame is the packet with an Ethernet header in front; empty when the record is too
	// short for its link header. It is valid until the next call of Next.
	Frame []byte
	// Length is the packet's length in bytes on the wire, of which only a part may have been
	// captured. It counts the link header of the capture, not that of Frame.
	Length int
	// Time is in nanoseconds since 1970; meaningless unless Timed.
	Time  int64
	Timed bool
	// Interface is the number of the pcapng interface in its section; 0 in pcap.
	Interface int
	Link      LinkType
}

// Reader reads the records of a capture file. It is not safe for concurrent use.
type Reader struct {
	source *source
	format string
	next   func(*Record) error
	err    error
	// skipped counts records whose link type is not read.
	skipped map[LinkType]uint64
}

// Open reads the head of a capture file. Errors: ErrEmpty, ErrFormat, ErrCut, ErrLength,
// ErrLink, and those of r.
func Open(r io.Reader) (*Reader, error) {
	s := newSource(r)
	if bytes.HasPrefix(s.peek(2), []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(&tail{s})
		if err != nil {
			return nil, wrong(err, 0, "the gzip header")
		}
		s = newSource(unpacked)
	}
	reader := &Reader{source: s, skipped: map[LinkType]uint64{}}
	if err := reader.open(); err != nil {
		return nil, err
	}
	return reader, nil
}

// The numbers that a file begins with, as big-endian numbers.
const (
	magicMicro   = 0xa1b2c3d4
	magicNano    = 0xa1b23c4d
	magicSection = 0x0a0d0d0a
)

func (r *Reader) open() error {
	head := r.source.peek(4)
	switch {
	case len(head) < 4 && r.source.err != io.EOF:
		return wrong(r.source.err, 0, "the file header")
	case len(head) == 0:
		return ErrEmpty
	case len(head) < 4:
		return fault(ErrFormat, 0, "only %d bytes", len(head))
	}
	var order binary.ByteOrder = binary.BigEndian
	magic := order.Uint32(head)
	if swapped := binary.LittleEndian.Uint32(head); swapped == magicMicro || swapped == magicNano {
		order, magic = binary.LittleEndian, swapped
	}
	switch magic {
	case magicMicro:
		return r.openClassic(order, 1000)
	case magicNano:
		return r.openClassic(order, 1)
	case magicSection:
		return r.openSections()
	}
	return fault(ErrFormat, 0, "it begins with %x, not as pcap or pcapng do", head)
}

// Format is "pcap", "pcap (nanoseconds)" or "pcapng".
func (r *Reader) Format() string { return r.format }

// Skipped counts the records passed over because their link type is not read.
func (r *Reader) Skipped() map[LinkType]uint64 { return r.skipped }

// Next reads a record. At the end it returns io.EOF; ErrCut when the file ends in the middle
// of one; ErrFormat and ErrLength when the file is damaged; else the error of the file.
// After an error it returns the same again. It does not allocate.
func (r *Reader) Next(record *Record) error {
	if r.err == nil {
		r.err = r.next(record)
	}
	return r.err
}

// wrong turns an error of the source, met while reading what began at offset, into one of
// the reader.
func wrong(err error, offset int64, what string) error {
	if cut(err) {
		return fault(ErrCut, offset, "in the middle of %s", what)
	}
	if damaged(err) {
		return fault(ErrFormat, offset, "%v", err)
	}
	return fmt.Errorf("read %s at byte %d: %w", what, offset, err)
}
