package pcap

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/gopacket/pcapgo"
)

// Reading only, packets of 100 bytes; ns/op is per packet. gopacket's two readers are for
// comparison.
func BenchmarkNext(b *testing.B) {
	const packets = 200_000
	for name, file := range map[string][]byte{"pcap": classicFile(b, packets, 100), "pcapng": sectionFile(b, packets, 100)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var r *Reader
			var record Record
			for b.Loop() {
				if r == nil {
					var err error
					r, err = Open(bytes.NewReader(file))
					must(b, err)
				}
				if err := r.Next(&record); err == io.EOF {
					r = nil
				} else if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("gopacket/pcap", func(b *testing.B) {
		file := classicFile(b, packets, 100)
		var r *pcapgo.Reader
		for b.Loop() {
			if r == nil {
				r, _ = pcapgo.NewReader(bytes.NewReader(file))
			}
			if _, _, err := r.ZeroCopyReadPacketData(); err != nil {
				r = nil
			}
		}
	})
	b.Run("gopacket/pcapng", func(b *testing.B) {
		file := sectionFile(b, packets, 100)
		var r *pcapgo.NgReader
		for b.Loop() {
			if r == nil {
				r, _ = pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{})
			}
			if _, _, err := r.ZeroCopyReadPacketData(); err != nil {
				r = nil
			}
		}
	})
}
