// Package pcap reads capture files as a stream: pcap and pcapng, of either byte order,
// in micro- or nanoseconds, gzipped or not. Its memory does not grow with the file. It writes
// pcapng.
//
// Every record is an Ethernet frame, whatever the link layer of the capture: a packet without
// an Ethernet header gets one with zero addresses, written in place in front of it.
//
// It is not gopacket's reader because that one allocates what a file's header asks for (up to 4 GiB), does not
// say where a file is damaged, and knows neither gzip nor several link types. This one takes two
// thirds of its time. Tests compare the two on the same files.
//
// Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, and the list of link types
// on tcpdump.org.
package pcap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxCaptured is the most bytes of a packet that a record may hold: libpcap's limit.
const MaxCaptured = 262144

// maxLength is the limit of a packet's length on the wire, far above what segmentation offload
// makes.
const maxLength = 1 << 24

// Record is a captured packet.
type Record struct {
	// Frame is the packet with an Ethernet header in front; empty when the record is too
	// short for its link header. It is valid until the next call of Next.
	Frame []byte
	// Length is the packet's length in bytes on the wire, of which only a part may have been
	// captured. It counts the link header of the capture, not that of Frame.
	Length int
	// Cut is true when less than Length was captured.
	Cut bool
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

// Skipped counts the records that were skipped because their link type is not supported.
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

// wrong turns an error of the source into one of the reader; offset is where the item begins that was
// being read.
func wrong(err error, offset int64, what string) error {
	if cut(err) {
		return fault(ErrCut, offset, "in the middle of %s", what)
	}
	if damaged(err) {
		return fault(ErrFormat, offset, "%v", err)
	}
	return fmt.Errorf("read %s at byte %d: %w", what, offset, err)
}

// The errors of a damaged capture. Errors of this package wrap one of these and give
// the offset in bytes from the start of the (unpacked) file.
var (
	// ErrEmpty: the file has no bytes.
	ErrEmpty = errors.New("file is empty")
	// ErrFormat: the file is not a capture, or violates its format.
	ErrFormat = errors.New("not a capture")
	// ErrLength: a length in the file is too large for a capture.
	ErrLength = errors.New("absurd length")
	// ErrCut: the file ends in the middle of a record or header. The records before are valid.
	ErrCut = errors.New("capture is cut short")
	// ErrLink: the link type is not supported.
	ErrLink = errors.New("link type not read")
)

func fault(kind error, offset int64, what string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", kind, offset, fmt.Sprintf(what, args...))
}

// errResolution is the error of a clock that does not exist.
type errResolution byte

func (r errResolution) Error() string {
	return fmt.Sprintf("time stamps of resolution %#02x: want a power of 10 up to 19 or of 2 up to 63", byte(r))
}
