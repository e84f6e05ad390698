package pcap

import (
	"encoding/binary"
	"io"
)

const (
	fileHeaderLength   = 24
	recordHeaderLength = 16
)

// classic is the state of a pcap file.
type classic struct {
	little bool
	// unit is the nanoseconds of a unit of the fraction: 1000 or 1.
	unit int64
	link LinkType
}

// openClassic reads the file header.
func (r *Reader) openClassic(order binary.ByteOrder, unit int64) error {
	header, err := r.source.take(fileHeaderLength)
	if err != nil {
		return wrong(err, 0, "the file header")
	}
	if major := order.Uint16(header[4:]); major != 2 {
		return fault(ErrFormat, 4, "pcap version %d.%d, want 2.x", major, order.Uint16(header[6:]))
	}
	// The upper bits say whether frames end with their checksum.
	link := LinkType(order.Uint32(header[20:]) & 0xffff)
	if !link.Readable() {
		return fault(ErrLink, 20, "%v; those read are %s", link, ReadableTypes())
	}
	r.format = "pcap"
	if unit == 1 {
		r.format = "pcap (nanoseconds)"
	}
	c := &classic{little: order == binary.LittleEndian, unit: unit, link: link}
	r.next = func(record *Record) error { return c.next(r.source, record) }
	return nil
}

func (c *classic) uint32(b []byte) uint32 {
	if c.little {
		return binary.LittleEndian.Uint32(b)
	}
	return binary.BigEndian.Uint32(b)
}

func (c *classic) next(s *source, record *Record) error {
	at := s.offset
	header, err := s.take(recordHeaderLength)
	if err == io.EOF {
		return io.EOF
	} else if err != nil {
		return wrong(err, at, "a record header")
	}
	seconds, fraction := c.uint32(header), c.uint32(header[4:])
	captured, length := c.uint32(header[8:]), c.uint32(header[12:])
	if captured > MaxCaptured || length > maxLength {
		return fault(ErrLength, at, "a record of %d bytes of a packet of %d: want at most %d of %d", captured, length, MaxCaptured, maxLength)
	}
	if _, err := s.take(int(captured)); err != nil {
		return wrong(err, at, "a record")
	}
	*record = Record{
		Frame:  c.link.frame(s.buf, s.start-int(captured), s.start, c.little),
		Length: int(max(captured, length)), Cut: captured < length,
		Time: int64(seconds)*1e9 + int64(fraction)*c.unit, Timed: true,
		Link: c.link,
	}
	return nil
}
