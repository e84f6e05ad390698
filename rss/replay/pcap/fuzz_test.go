package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// FuzzReader asks what holds for any bytes: no panic; errors are of the kinds promised; the records
// do not depend on how the bytes come; and a file of n bytes has no more than n bytes of packets.
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
