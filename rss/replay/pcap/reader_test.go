package pcap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// readAll reads a file to its end and returns its records, with frames of their own.
func readAll(tb testing.TB, r io.Reader) ([]Record, error) {
	tb.Helper()
	reader, err := Open(r)
	if err != nil {
		return nil, err
	}
	var all []Record
	for {
		var record Record
		if err := reader.Next(&record); err == io.EOF {
			return all, nil
		} else if err != nil {
			if again := reader.Next(&record); again != err {
				tb.Errorf("error %v, then %v", err, again)
			}
			return all, err
		}
		record.Frame = slices.Clone(record.Frame)
		all = append(all, record)
	}
}

// frame is a packet behind an Ethernet header as this package writes it.
func frame(etherType uint16, packet ...byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 12), etherType), packet...)
}

var orders = map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func TestClassicVariants(t *testing.T) {
	data := packetOf(1, 60)
	for name, order := range orders {
		for unit, magic := range map[int64]uint32{1000: 0xa1b2c3d4, 1: 0xa1b23c4d} {
			// the upper bits of the link type say how long the frame check sequence is
			file := join(classicHead(order, magic, 1|4<<28), classicRecord(order, 7, 9, 1500, data), classicRecord(order, 8, 0, 60, nil))
			got, err := readAll(t, bytes.NewReader(file))
			must(t, err)
			want := []Record{
				{Frame: data, Length: 1500, Cut: true, Time: 7e9 + 9*unit, Timed: true, Link: Ethernet},
				{Frame: []byte{}, Length: 60, Cut: true, Time: 8e9, Timed: true, Link: Ethernet},
			}
			if diff := cmp.Diff(want, got, empty); diff != "" {
				t.Errorf("%s endian, unit %d ns (-want +got):\n%s", name, unit, diff)
			}
		}
	}
}

// empty lets nil and empty frames be equal.
var empty = cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) })

func TestSections(t *testing.T) {
	data := packetOf(3, 61)
	for name, order := range orders {
		other := orders[map[string]string{"little": "big", "big": "little"}[name]]
		file := join(
			sectionBlock(order),
			block(order, 0x0bad, packetOf(0, 100)), // of a kind nobody knows
			interfaceBlock(order, 1, 0),
			interfaceBlock(order, 1, 0, option(order, 2, []byte("eth0")...), option(order, 9, 9), option(order, 0)),
			interfaceBlock(order, 127, 0),                       // radiotap
			interfaceBlock(order, 1, 0, option(order, 9, 0x8a)), // 1/1024 s
			enhancedBlock(order, 0, 5_000_001, 1500, data),
			enhancedBlock(order, 1, 5_000_000_001, 61, data),
			enhancedBlock(order, 2, 0, 61, data),
			enhancedBlock(order, 3, 5*1024+512, 61, data),
			oldBlock(order, 1, 6_000_000_000, 62, data),
			simpleBlock(order, 61, data),
			sectionBlock(other), // another writer: its own byte order, its own interfaces
			interfaceBlock(other, 113, 0, option(other, 14, append(make([]byte, 7), 0)...)),
			interfaceBlock(other, 1, 40),
			enhancedBlock(other, 1, 1, 61, data[:40]),
		)
		r, err := Open(bytes.NewReader(file))
		must(t, err)
		if r.Format() != "pcapng" {
			t.Errorf("format %q", r.Format())
		}
		got, err := readAll(t, bytes.NewReader(file))
		must(t, err)
		want := []Record{
			{Frame: data, Length: 1500, Cut: true, Time: 5_000_001_000, Timed: true, Link: Ethernet},
			{Frame: data, Length: 61, Time: 5_000_000_001, Timed: true, Interface: 1, Link: Ethernet},
			{Frame: data, Length: 61, Time: 5_500_000_000, Timed: true, Interface: 3, Link: Ethernet},
			{Frame: data, Length: 62, Cut: true, Time: 6_000_000_000, Timed: true, Interface: 1, Link: Ethernet},
			{Frame: data, Length: 61, Link: Ethernet},
			{Frame: data[:40], Length: 61, Cut: true, Time: 1000, Timed: true, Interface: 1, Link: Ethernet},
		}
		if diff := cmp.Diff(want, got, empty); diff != "" {
			t.Errorf("%s endian (-want +got):\n%s", name, diff)
		}
		for err == nil {
			err = r.Next(&Record{})
		}
		if n := r.Skipped()[127]; n != 1 {
			t.Errorf("%d records skipped, want 1", n)
		}
	}
}

// A simple packet is as long as its interface's limit says.
func TestSimplePacketIsCut(t *testing.T) {
	order := binary.LittleEndian
	data := packetOf(0, 50)
	got, err := readAll(t, bytes.NewReader(join(sectionBlock(order), interfaceBlock(order, 1, 50), simpleBlock(order, 1500, data))))
	must(t, err)
	if len(got) != 1 || !bytes.Equal(got[0].Frame, data) || got[0].Length != 1500 || got[0].Timed {
		t.Errorf("got %+v", got)
	}
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		resolution byte
		offset     int64
		stamp      uint64
		want       int64
	}{
		{6, 0, 1_500_000, 1_500_000_000},
		{9, 0, 1_500_000_000, 1_500_000_000},
		{0, 0, 3, 3_000_000_000},
		{12, 0, 1_500_000_000_999, 1_500_000_000},
		{0x80 | 20, 0, 3 << 19, 1_500_000_000},
		{6, 100, 1, 100_000_001_000},
		{6, -1, 1_500_000, 500_000_000},
		{6, 0, 1<<64 - 1, 1<<63 - 1}, // does not fit
		{9, 1 << 62, 0, 1<<63 - 1},
	} {
		clock, err := newClock(c.resolution)
		must(t, err)
		clock.offset = c.offset
		if got := clock.nanoseconds(c.stamp); got != c.want {
			t.Errorf("resolution %#x, offset %d, stamp %d: %d ns, want %d", c.resolution, c.offset, c.stamp, got, c.want)
		}
	}
	for _, resolution := range []byte{20, 127, 0x80 | 64, 0xff} {
		if c, err := newClock(resolution); err == nil {
			t.Errorf("resolution %#x: %+v, want an error", resolution, c)
		}
	}
}

// Every link type becomes the same frame.
func TestLinkTypes(t *testing.T) {
	v4, v6 := []byte{0x45, 1, 2, 3}, []byte{0x60, 1, 2, 3}
	sll := func(etherType uint16) []byte { return append(packetOf(9, 14), byte(etherType>>8), byte(etherType)) }
	sll2 := func(etherType uint16) []byte {
		return append([]byte{byte(etherType >> 8), byte(etherType)}, packetOf(9, 18)...)
	}
	tagged := func(tag string, etherType uint16) []byte {
		return append(append(packetOf(9, 12), tag...), byte(etherType>>8), byte(etherType))
	}
	for _, c := range []struct {
		link      LinkType
		head      []byte
		packet    []byte
		etherType uint16
	}{
		{Ethernet, frame(0x0800), v4, 0x0800},
		{RawBSD, nil, v4, 0x0800},
		{RawOpen, nil, v6, 0x86dd},
		{Raw, nil, v6, 0x86dd},
		{Raw, nil, []byte{0x10}, 0},
		{Raw, nil, nil, 0},
		{IPv4, nil, v4, 0x0800},
		{IPv6, nil, v6, 0x86dd},
		{Null, []byte{2, 0, 0, 0}, v4, 0x0800},
		{Null, []byte{0, 0, 0, 2}, v4, 0x0800},
		{Null, []byte{24, 0, 0, 0}, v6, 0x86dd},
		{Null, []byte{0, 0, 0, 28}, v6, 0x86dd},
		{Null, []byte{30, 0, 0, 0}, v6, 0x86dd},
		{Null, []byte{7, 0, 0, 0}, v4, 0},
		{Loop, []byte{0, 0, 0, 24}, v6, 0x86dd},
		{LinuxSLL, sll(0x86dd), v6, 0x86dd},
		{LinuxSLL2, sll2(0x0800), v4, 0x0800},
		{DSABroadcom, tagged("\x20\x00\x00\x01", 0x0800), v4, 0x0800},
		{DSABroadcomPrepend, append([]byte{0x20, 0, 0, 1}, frame(0x86dd)...), v6, 0x86dd},
		{DSAMarvell, tagged("\xc0\x08\x00\x01", 0x86dd), v6, 0x86dd},
		{DSAMarvellEther, tagged("\xda\xda\x00\x00\xc0\x08\x00\x01", 0x0800), v4, 0x0800},
	} {
		order := binary.LittleEndian
		record := join(c.head, c.packet)
		for _, file := range [][]byte{
			join(classicHead(order, 0xa1b2c3d4, uint32(c.link)), classicRecord(order, 0, 0, 0, record)),
			join(sectionBlock(order), interfaceBlock(order, uint16(c.link), 0), enhancedBlock(order, 0, 0, 0, record)),
			join(sectionBlock(order), interfaceBlock(order, uint16(c.link), 0), simpleBlock(order, uint32(len(record)), record)),
		} {
			for _, r := range []io.Reader{bytes.NewReader(file), iotest.OneByteReader(bytes.NewReader(file))} {
				got, err := readAll(t, r)
				must(t, err)
				if len(got) != 1 || got[0].Link != c.link || got[0].Length != len(record) {
					t.Fatalf("%v: %+v", c.link, got)
				}
				want := frame(c.etherType, c.packet...)
				if have := got[0].Frame; len(have) < 14 || !bytes.Equal(have[12:], want[12:]) {
					t.Errorf("%v: frame % x, want behind the addresses % x", c.link, have, want[12:])
				}
			}
		}
	}
}

// The packet of an NFLOG record is one of its attributes, in the byte order of the file.
func TestNFLog(t *testing.T) {
	for name, order := range orders {
		attribute := func(kind uint16, value ...byte) []byte {
			b := order.AppendUint16(nil, uint16(4+len(value)))
			return append(append(order.AppendUint16(b, kind), value...), make([]byte, -len(value)&3)...)
		}
		for _, c := range []struct {
			record []byte
			want   []byte // nil is an empty frame
		}{
			{join([]byte{2, 0, 0, 1}, attribute(10, 'x', 0), attribute(9, 0x45, 1, 2, 3, 4), attribute(1, 0, 0, 8, 0)), frame(0x0800, 0x45, 1, 2, 3, 4)},
			{join([]byte{10, 0, 0, 1}, attribute(9, 0x60, 1)), frame(0x86dd, 0x60, 1)},
			{join([]byte{2, 0, 0, 1}, attribute(10, 'x', 0)), nil},
			{[]byte{2, 0, 0, 1, 3, 3, 9, 9}, nil}, // longer than the record, of no kind
			{[]byte{2, 0, 0, 1, 0, 0, 9, 0}, nil}, // an attribute of no length
			{[]byte{2, 0}, nil},
		} {
			got, err := readAll(t, bytes.NewReader(join(classicHead(order, 0xa1b2c3d4, uint32(NFLog)), classicRecord(order, 0, 0, uint32(len(c.record)), c.record))))
			must(t, err)
			if len(got) != 1 || !bytes.Equal(got[0].Frame, c.want) {
				t.Errorf("%s endian, % x: %+v, want % x", name, c.record, got, c.want)
			}
		}
		cut := join([]byte{2, 0, 0, 1}, attribute(9, make([]byte, 100)...))[:20]
		cut[8] = 0x45
		got, err := readAll(t, bytes.NewReader(join(classicHead(order, 0xa1b2c3d4, uint32(NFLog)), classicRecord(order, 0, 0, 108, cut))))
		must(t, err)
		if len(got) != 1 || len(got[0].Frame) != 14+12 || !got[0].Cut {
			t.Errorf("%s endian, cut: %+v, want 12 bytes of the packet", name, got)
		}
	}
}

// An interface's times count from its offset, in seconds, wherever the option is.
func TestInterfaceOffset(t *testing.T) {
	for name, order := range orders {
		offset := option(order, 14, order.AppendUint64(nil, 1_700_000_000)...)
		behind := option(order, 14, order.AppendUint64(nil, uint64(1<<64-100))...) // -100
		for _, c := range []struct {
			options [][]byte
			stamp   uint64
			want    int64
		}{
			{[][]byte{offset}, 2_000_001, 1_700_000_002_000_001_000},
			{[][]byte{offset, option(order, 9, 9)}, 5, 1_700_000_000_000_000_005},
			{[][]byte{option(order, 9, 9), offset}, 5, 1_700_000_000_000_000_005},
			{[][]byte{behind}, 200_000_000, 100_000_000_000},
			{[][]byte{option(order, 14, 1, 0, 0, 0)}, 1, 1000}, // not 8 bytes
		} {
			got, err := readAll(t, bytes.NewReader(join(sectionBlock(order), interfaceBlock(order, 1, 0, c.options...), enhancedBlock(order, 0, c.stamp, 60, packetOf(0, 60)))))
			must(t, err)
			if len(got) != 1 || got[0].Time != c.want {
				t.Errorf("%s endian, options % x: %+v, want time %d", name, c.options, got, c.want)
			}
		}
	}
}

// A record shorter than its link header is an empty frame.
func TestShortLinkHeaders(t *testing.T) {
	order := binary.LittleEndian
	for _, link := range []LinkType{Null, Loop, LinuxSLL, LinuxSLL2, NFLog, DSABroadcom, DSABroadcomPrepend, DSAMarvell, DSAMarvellEther} {
		file := join(classicHead(order, 0xa1b2c3d4, uint32(link)), classicRecord(order, 0, 0, 3, []byte{1, 2, 3}))
		got, err := readAll(t, bytes.NewReader(file))
		if err != nil || len(got) != 1 || len(got[0].Frame) != 0 {
			t.Errorf("%v: %+v, %v; want an empty frame", link, got, err)
		}
	}
}

func TestGzip(t *testing.T) {
	file := classicFile(t, 300, 100)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(file)
	must(t, err)
	must(t, w.Close())
	want, err := readAll(t, bytes.NewReader(file))
	must(t, err)
	got, err := readAll(t, bytes.NewReader(packed.Bytes()))
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gzipped (-want +got):\n%s", diff)
	}
	half := packed.Bytes()[:packed.Len()/2]
	if got, err := readAll(t, bytes.NewReader(half)); !errors.Is(err, ErrCut) || len(got) == 0 {
		t.Errorf("half of it: %d records, %v; want some and %v", len(got), err, ErrCut)
	}
	damaged := slices.Clone(packed.Bytes())
	damaged[len(damaged)-6] ^= 1 // the checksum
	if _, err := readAll(t, bytes.NewReader(damaged)); !errors.Is(err, ErrFormat) {
		t.Errorf("with a wrong checksum: %v, want %v", err, ErrFormat)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	for name, file := range map[string][]byte{"pcap": classicFile(t, 3000, 100), "pcapng": sectionFile(t, 3000, 100)} {
		r, err := Open(bytes.NewReader(file))
		must(t, err)
		var record Record
		if a := testing.AllocsPerRun(1000, func() { must(t, r.Next(&record)) }); a != 0 {
			t.Errorf("%s: %v allocations a record, want 0", name, a)
		}
	}
}
