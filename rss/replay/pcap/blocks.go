package pcap

import (
	"math"
	"math/bits"
)

// enhanced reads the current block, an enhanced packet.
func (s *sections) enhanced(record *Record) (bool, error) {
	head, err := s.take(20)
	if err != nil {
		return false, err
	}
	stamp := uint64(s.uint32(head[4:]))<<32 | uint64(s.uint32(head[8:]))
	return s.packet(record, s.uint32(head), stamp, true, s.uint32(head[12:]), s.uint32(head[16:]))
}

// old reads the current block, an obsolete packet block.
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

// packet reads the packet of the current block; false when its link type is not supported.
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
		Frame:  d.link.frame(src.buf, src.start-int(captured), src.start, s.little),
		Length: int(max(captured, length)), Cut: captured < length,
		Time: d.clock.nanoseconds(stamp), Timed: timed,
		Interface: int(number), Link: d.link,
	}
	return true, nil
}

// device is a pcapng interface description.
type device struct {
	link LinkType
	// snap is the most bytes captured of a packet; 0 is no limit.
	snap  uint32
	clock clock
}

// The options of an interface block that are read.
const (
	optionEnd        = 0
	optionResolution = 9
	optionOffset     = 14
)

// addInterface reads the current block, an interface description.
func (s *sections) addInterface() error {
	if len(s.interfaces) == maxInterfaces {
		return fault(ErrLength, s.at, "more than %d interfaces in a section", maxInterfaces)
	}
	head, err := s.take(8)
	if err != nil {
		return err
	}
	d := device{link: LinkType(s.order.Uint16(head)), snap: s.uint32(head[4:]), clock: microseconds}
	for s.body >= 4 {
		head, err := s.take(4)
		if err != nil {
			return err
		}
		code, length := s.order.Uint16(head), int(s.order.Uint16(head[2:]))
		if code == optionEnd {
			break
		}
		value, err := s.take((length + 3) &^ 3)
		if err != nil {
			return err
		}
		switch {
		case code == optionResolution && length == 1:
			offset := d.clock.offset
			if d.clock, err = newClock(value[0]); err != nil {
				return fault(ErrFormat, s.at, "%v", err)
			}
			d.clock.offset = offset
		case code == optionOffset && length == 8:
			d.clock.offset = int64(s.order.Uint64(value))
		}
	}
	s.interfaces = append(s.interfaces, d)
	return nil
}

// clock turns the time stamps of an interface into nanoseconds.
type clock struct {
	// scale is the nanoseconds of a unit where they are whole, else 0.
	scale int64
	// rate is the units of a second.
	rate uint64
	// offset is added, in seconds.
	offset int64
}

// microseconds is the default clock of an interface.
var microseconds = clock{scale: 1000, rate: 1e6}

// newClock returns the clock of the option if_tsresol: a negative power of 10, or of 2 when
// the highest bit is set.
func newClock(resolution byte) (clock, error) {
	power := int(resolution & 0x7f)
	switch {
	case resolution&0x80 != 0 && power <= 63:
		return clock{rate: 1 << power}, nil
	case resolution&0x80 == 0 && power <= 9:
		rate := pow10(power)
		return clock{scale: int64(1e9 / rate), rate: rate}, nil
	case resolution&0x80 == 0 && power <= 19:
		return clock{rate: pow10(power)}, nil
	}
	return clock{}, errResolution(resolution)
}

func pow10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// nanoseconds returns the time since 1970 of a stamp, or math.MaxInt64 for one that does not fit.
func (c *clock) nanoseconds(stamp uint64) int64 {
	const most = math.MaxInt64 / 1_000_000_000 // seconds that fit
	seconds, rest := stamp/c.rate, stamp%c.rate
	if seconds > most || c.offset > most-int64(seconds) || c.offset < -most {
		return math.MaxInt64
	}
	if c.scale != 0 {
		return int64(stamp)*c.scale + c.offset*1e9
	}
	high, low := bits.Mul64(rest, 1e9)
	fraction, _ := bits.Div64(high, low, c.rate) // rest < rate, so it fits
	return (int64(seconds)+c.offset)*1e9 + int64(fraction)
}
