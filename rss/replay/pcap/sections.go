package pcap

import (
	"encoding/binary"
	"io"
)

// The types of pcapng blocks that are read.
const (
	blockInterface = 1
	blockOld       = 2 // the obsolete packet block
	blockSimple    = 3
	blockEnhanced  = 6
)

const (
	// blockOverhead is type and length before the body and length behind it.
	blockOverhead = 12
	// maxBlock is the limit of a block's length: libpcap's.
	maxBlock = 1 << 24
	// maxInterfaces bounds the memory for the interfaces of a section.
	maxInterfaces = 1 << 16
)

// sections is the state of a pcapng file.
type sections struct {
	source     *source
	order      binary.ByteOrder
	little     bool
	interfaces []device
	skipped    map[LinkType]uint64
	// at and size are the offset and length of the current block; body bytes of it and the
	// trailing length are still to be read.
	at   int64
	size uint32
	body int64
	open bool
}

// openSections reads up to the first section header.
func (r *Reader) openSections() error {
	s := &sections{source: r.source, skipped: r.skipped}
	if _, err := s.begin(); err != nil {
		if err == io.EOF {
			return fault(ErrCut, 0, "in the middle of the section header")
		}
		return err
	}
	r.format, r.next = "pcapng", s.next
	return nil
}

// next reads blocks up to a packet of a supported link type.
func (s *sections) next(record *Record) error {
	for {
		kind, err := s.begin()
		if err != nil {
			return err
		}
		found := false
		switch kind {
		case blockInterface:
			err = s.addInterface()
		case blockEnhanced:
			found, err = s.enhanced(record)
		case blockOld:
			found, err = s.old(record)
		case blockSimple:
			found, err = s.simple(record)
		}
		if err != nil || found {
			return err
		}
	}
}

// begin ends the current block and reads type and length of the next. It reads a section header
// completely. The error is io.EOF at the end of the file.
func (s *sections) begin() (kind uint32, err error) {
	if err := s.end(); err != nil {
		return 0, err
	}
	s.at = s.source.offset
	header, err := s.source.take(8)
	if err == io.EOF {
		return 0, io.EOF
	} else if err != nil {
		return 0, wrong(err, s.at, "a block header")
	}
	if binary.BigEndian.Uint32(header) == magicSection {
		return magicSection, s.beginSection([4]byte(header[4:]))
	}
	return s.uint32(header), s.measure(s.uint32(header[4:]))
}

// measure checks the length of the new block.
func (s *sections) measure(size uint32) error {
	if size < blockOverhead || size > maxBlock || size%4 != 0 {
		return fault(ErrLength, s.at, "a block of %d bytes: want a multiple of 4 from %d to %d", size, blockOverhead, maxBlock)
	}
	s.size, s.body, s.open = size, int64(size)-blockOverhead, true
	return nil
}

// beginSection reads the byte order, and drops the interfaces of the previous section.
func (s *sections) beginSection(size [4]byte) error {
	magic, err := s.source.take(4)
	if err != nil {
		return wrong(err, s.at, "the section header")
	}
	switch {
	case binary.LittleEndian.Uint32(magic) == 0x1a2b3c4d:
		s.order, s.little = binary.LittleEndian, true
	case binary.BigEndian.Uint32(magic) == 0x1a2b3c4d:
		s.order, s.little = binary.BigEndian, false
	default:
		return fault(ErrFormat, s.at, "a section header with byte-order magic %x", magic)
	}
	s.interfaces = s.interfaces[:0]
	if err := s.measure(s.order.Uint32(size[:])); err != nil {
		return err
	}
	if s.body < 16 {
		return fault(ErrLength, s.at, "a section header of %d bytes: want at least 28", s.size)
	}
	s.body -= 4
	version, err := s.take(2)
	if err == nil && s.order.Uint16(version) != 1 {
		err = fault(ErrFormat, s.at, "pcapng version %d, want 1", s.order.Uint16(version))
	}
	return err
}

// end skips the rest of the current block and checks the length after it.
func (s *sections) end() error {
	if !s.open {
		return nil
	}
	if err := s.source.skip(s.body); err != nil {
		return wrong(err, s.at, "a block")
	}
	again, err := s.source.take(4)
	if err != nil {
		return wrong(err, s.at, "a block")
	}
	if size := s.uint32(again); size != s.size {
		return fault(ErrLength, s.at, "a block of %d bytes ends as one of %d", s.size, size)
	}
	s.open = false
	return nil
}

// take takes n bytes of the body of the current block.
func (s *sections) take(n int) ([]byte, error) {
	if int64(n) > s.body {
		return nil, fault(ErrLength, s.at, "a block of %d bytes: too short for what it holds", s.size)
	}
	b, err := s.source.take(n)
	if err != nil {
		return nil, wrong(err, s.at, "a block")
	}
	s.body -= int64(n)
	return b, nil
}

func (s *sections) uint32(b []byte) uint32 {
	if s.little {
		return binary.LittleEndian.Uint32(b)
	}
	return binary.BigEndian.Uint32(b)
}
