package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// A file that is cut anywhere gives the records before the cut, then ErrCut.
func TestCutAnywhere(t *testing.T) {
	order := binary.LittleEndian
	one, two := packetOf(1, 20), packetOf(2, 21)
	for name, parts := range map[string][][]byte{
		"pcap": {
			classicHead(order, 0xa1b2c3d4, 1), classicRecord(order, 1, 2, 20, one), classicRecord(order, 1, 2, 21, two),
		},
		"pcapng": {
			join(sectionBlock(order), interfaceBlock(order, 1, 0, option(order, 9, 9))),
			enhancedBlock(order, 0, 0, 20, one), enhancedBlock(order, 0, 0, 21, two),
		},
	} {
		file := join(parts...)
		ends := []int{len(parts[0]), len(parts[0]) + len(parts[1]), len(file)}
		for n := range len(file) {
			for _, r := range []io.Reader{bytes.NewReader(file[:n]), iotest.OneByteReader(bytes.NewReader(file[:n]))} {
				got, err := readAll(t, r)
				switch {
				case n == 0:
					if !errors.Is(err, ErrEmpty) {
						t.Errorf("%s without bytes: %v, want %v", name, err, ErrEmpty)
					}
				case n < 4:
					if !errors.Is(err, ErrFormat) {
						t.Errorf("%s of %d bytes: %v, want %v", name, n, err, ErrFormat)
					}
				case n == ends[0] || n == ends[1]:
					if err != nil {
						t.Errorf("%s of %d bytes, whole records: %v", name, n, err)
					}
				case name == "pcapng" && n == len(sectionBlock(order)):
				default:
					if !errors.Is(err, ErrCut) {
						t.Errorf("%s of %d bytes: %v, want %v", name, n, err, ErrCut)
					}
				}
				// A packet whose block is cut after it is complete.
				if least := count(ends[1:], n); len(got) < least || len(got) > least+1 || name == "pcap" && len(got) != least {
					t.Errorf("%s of %d bytes: %d records, want %d", name, n, len(got), least)
				}
			}
		}
	}
}

// count returns how many of the ends are within n bytes.
func count(ends []int, n int) (c int) {
	for _, e := range ends {
		if e <= n {
			c++
		}
	}
	return c
}

func TestDamaged(t *testing.T) {
	order := binary.LittleEndian
	classic := classicHead(order, 0xa1b2c3d4, 1)
	section := join(sectionBlock(order), interfaceBlock(order, 1, 0))
	good := classicRecord(order, 0, 0, 60, packetOf(0, 60))
	length := func(n uint32, in []byte, at int) []byte {
		b := join(in)
		order.PutUint32(b[at:], n)
		return b
	}
	for _, c := range []struct {
		name string
		file []byte
		want error
		text string
	}{
		{"text", []byte("hello, world"), ErrFormat, "not a capture at byte 0: it begins with 68656c6c, not as pcap or pcapng do"},
		{"pcap version 3", length(3, classic, 4), ErrFormat, "not a capture at byte 4: pcap version 3.0, want 2.x"},
		{"link type 127", length(127, classic, 20), ErrLink,
			"link type not read at byte 20: 802.11-radiotap; those read are " + ReadableTypes()},
		{"a record of 2 GiB", join(classic, good, length(1<<31, good, 8)), ErrLength,
			"absurd length at byte 100: a record of 2147483648 bytes of a packet of 60: want at most 262144 of 16777216"},
		{"a packet of 4 GiB", join(classic, length(1<<32-1, good, 12)), ErrLength,
			"absurd length at byte 24: a record of 60 bytes of a packet of 4294967295: want at most 262144 of 16777216"},
		{"a block of 13 bytes", join(section, length(13, block(order, 9, nil), 4)), ErrLength,
			"absurd length at byte 48: a block of 13 bytes: want a multiple of 4 from 12 to 16777216"},
		{"a block of no bytes", join(section, length(0, block(order, 9, nil), 4)), ErrLength,
			"absurd length at byte 48: a block of 0 bytes: want a multiple of 4 from 12 to 16777216"},
		{"a block of 4 GiB", join(section, length(1<<32-4, block(order, 9, nil), 4)), ErrLength,
			"absurd length at byte 48: a block of 4294967292 bytes: want a multiple of 4 from 12 to 16777216"},
		{"a block with two lengths", join(section, length(16, block(order, 9, nil), 8), sectionBlock(order)), ErrLength,
			"absurd length at byte 48: a block of 12 bytes ends as one of 16"},
		{"a packet longer than its block", join(section, length(100, enhancedBlock(order, 0, 0, 60, packetOf(0, 60)), 20)), ErrLength,
			"absurd length at byte 48: a block of 92 bytes: too short for what it holds"},
		{"a packet of 1 GiB in a block", join(section, length(1<<30, enhancedBlock(order, 0, 0, 60, packetOf(0, 60)), 20)), ErrLength,
			"absurd length at byte 48: a record of 1073741824 bytes of a packet of 60: want at most 262144 of 16777216"},
		{"a packet of no interface", join(section, enhancedBlock(order, 1, 0, 60, nil)), ErrFormat,
			"not a capture at byte 48: a packet of interface 1, of which the section has 1"},
		{"an interface of 4 bytes", join(sectionBlock(order), block(order, 1, make([]byte, 4))), ErrLength,
			"absurd length at byte 28: a block of 16 bytes: too short for what it holds"},
		{"an option longer than its block", join(sectionBlock(order), interfaceBlock(order, 1, 0, []byte{9, 0, 200, 0})), ErrLength,
			"absurd length at byte 28: a block of 24 bytes: too short for what it holds"},
		{"a clock of 10^-20 s", join(sectionBlock(order), interfaceBlock(order, 1, 0, option(order, 9, 20))), ErrFormat,
			"not a capture at byte 28: time stamps of resolution 0x14: want a power of 10 up to 19 or of 2 up to 63"},
		{"a section of another byte order", length(0x12345678, sectionBlock(order), 8), ErrFormat,
			"not a capture at byte 0: a section header with byte-order magic 78563412"},
		{"pcapng version 2", length(2, sectionBlock(order), 12), ErrFormat, "not a capture at byte 0: pcapng version 2, want 1"},
		{"a section of 16 bytes", length(16, sectionBlock(order), 4), ErrLength,
			"absurd length at byte 0: a section header of 16 bytes: want at least 28"},
		{"gzip of nothing", []byte{0x1f, 0x8b}, ErrCut, "capture is cut short at byte 0: in the middle of the gzip header"},
		{"bad gzip", []byte{0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 0}, ErrFormat, "not a capture at byte 0: gzip: invalid header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readAll(t, bytes.NewReader(c.file))
			if !errors.Is(err, c.want) || err.Error() != c.text {
				t.Errorf("error\n%v, want\n%s", err, c.text)
			}
		})
	}
}

// The error of the file itself is passed on.
func TestFileError(t *testing.T) {
	broken := errors.New("disk is on fire")
	file := classicFile(t, 3, 60)
	for _, n := range []int{2, 10, 50, 150} {
		r := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken))
		if _, err := readAll(t, r); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v, want %v", n, err, broken)
		}
	}
}

// FuzzReader checks for any bytes that there is no panic, that errors are documented ones, that the records
// do not depend on the sizes of reads, and that a file of n bytes has at most n bytes of packets.
func FuzzReader(f *testing.F) {
	order := binary.BigEndian
	f.Add(classicFile(f, 3, 60))
	f.Add(sectionFile(f, 3, 60))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 0, 0, 0xff, 0xff})
	for _, link := range readable {
		f.Add(join(classicHead(order, 0xa1b23c4d, uint32(link)), classicRecord(order, 1, 2, 30, packetOf(0x45, 30))))
	}
	f.Add(join(sectionBlock(order), interfaceBlock(order, 276, 9, option(order, 9, 0xa0), option(order, 14, make([]byte, 8)...)),
		simpleBlock(order, 30, packetOf(0, 30)), oldBlock(order, 0, 1<<63, 30, packetOf(0, 30))))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := readAll(t, bytes.NewReader(file))
		again, errAgain := readAll(t, iotest.OneByteReader(bytes.NewReader(file)))
		if (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
			t.Fatalf("error %v, byte by byte %v", err, errAgain)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("byte by byte (-whole +bytes):\n%s", diff)
		}
		if err != nil && !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrLength) && !errors.Is(err, ErrCut) && !errors.Is(err, ErrLink) {
			t.Errorf("error %v is of no kind", err)
		}
		if bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
			return
		}
		sum := 0
		for _, r := range got {
			if len(r.Frame) > 14 {
				sum += len(r.Frame) - 14
			}
			if r.Length < 0 || r.Length > maxLength+MaxCaptured {
				t.Errorf("a packet of %d bytes", r.Length)
			}
		}
		if sum > len(file) {
			t.Errorf("%d bytes of packets in a file of %d", sum, len(file))
		}
	})
}
