package pcap

// enhanced reads the current block, an enhanced packet.
func (s *sections) enhanced(record *Record) (bool, error) {
	head, err := s.take(20)
	if err != nil {
		return false, err
	}
	stamp := uint64(s.uint32(head[4:]))<<32 | uint64(s.uint32(head[8:]))
	return s.packet(record, s.uint32(head), stamp, true, s.uint32(head[12:]), s.uint32(head[16:]))
}

// old reads the current block, a packet as written before there were enhanced ones.
func (s *sections) old(record *Record) (bool, error) {
	head, err := s.take(20)
	if err != nil {
		return false, err
	}
	stamp := uint64(s.uint32(head[4:]))<<32 | uint64(s.uint32(head[8:]))
	return s.packet(record, uint32(s.order.Uint16(head)), stamp, true, s.uint32(head[12:]), s.uint32(head[16:]))
}

// simple reads the current block, a packet of interface 0 without time.
func (s *sections) simple(record *Record) (bool, error) {
	head, err := s.take(4)
	if err != nil {
		return false, err
	}
	length := s.uint32(head)
	captured := min(uint32(s.body), length)
	if len(s.interfaces) > 0 && s.interfaces[0].snap > 0 {
		captured = min(captured, s.interfaces[0].snap)
	}
	return s.packet(record, 0, 0, false, captured, length)
}

// packet takes the packet of the current block; false when its link type is not read.
func (s *sections) packet(record *Record, number uint32, stamp uint64, timed bool, captured, length uint32) (bool, error) {
	if number >= uint32(len(s.interfaces)) {
		return false, fault(ErrFormat, s.at, "a packet of interface %d, of which the section has %d", number, len(s.interfaces))
	}
	if captured > MaxCaptured || length > maxLength {
		return false, fault(ErrLength, s.at, "a record of %d bytes of a packet of %d: want at most %d of %d", captured, length, MaxCaptured, maxLength)
	}
	d := &s.interfaces[number]
	if !d.link.Readable() {
		s.skipped[d.link]++
		return false, nil
	}
	if _, err := s.take(int(captured)); err != nil {
		return false, err
	}
	src := s.source
	*record = Record{
		Frame:  d.link.frame(src.buf, src.start-int(captured), src.start),
		Length: int(max(captured, length)),
		Time:   d.clock.nanoseconds(stamp), Timed: timed,
		Interface: int(number), Link: d.link,
	}
	return true, nil
}
