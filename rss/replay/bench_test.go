package replay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"

	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// endless is an endless capture of 100-byte packets of random flows that is cheap to
// generate.
type endless struct {
	record []byte
	flows  int
	random *rand.Rand
	rest   []byte
}

func newEndless(flows int) *endless {
	frame := packet.Frame{
		Flow: packet.Flow{
			Source: netip.MustParseAddrPort("10.0.0.0:40000"), Destination: netip.MustParseAddrPort("192.0.2.1:80"),
			Protocol: packet.TCP,
		},
		Payload: make([]byte, 100-54),
	}.Marshal()
	record := binary.LittleEndian.AppendUint64(nil, 1_700_000_000)
	record = binary.LittleEndian.AppendUint32(record, uint32(len(frame)))
	record = binary.LittleEndian.AppendUint32(record, uint32(len(frame)))
	return &endless{record: append(record, frame...), flows: flows, random: rand.New(rand.NewPCG(1, 1)), rest: fileHeader(1)}
}

func fileHeader(link uint32) []byte {
	h := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	h = append(h, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0)
	return binary.LittleEndian.AppendUint32(h, link)
}

// Read implements io.Reader.
func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(e.rest) == 0 {
			binary.BigEndian.PutUint32(e.record[16+26:], 10<<24+uint32(e.random.IntN(e.flows)))
			e.rest = e.record
		}
		step := copy(p[n:], e.rest)
		n, e.rest = n+step, e.rest[step:]
	}
	return n, nil
}

// The whole processing of a packet, from the file to the flow table; ns/op is per packet of 100 bytes. The
// capture is 64 MB in memory, repeated.
func BenchmarkReplay(b *testing.B) {
	for _, flows := range []int{1000, 100_000, 1_000_000} {
		file := make([]byte, 64<<20)
		_, _ = io.ReadFull(newEndless(flows), file)
		b.Run(fmt.Sprint("flows=", flows), func(b *testing.B) {
			r := mustReplay(b, Options{NIC: mustNIC(b, 4)})
			var capture *pcap.Reader
			var record pcap.Record
			b.ReportAllocs()
			for b.Loop() {
				if capture == nil {
					capture, _ = pcap.Open(bytes.NewReader(file))
				}
				if capture.Next(&record) != nil {
					capture = nil
				} else if err := r.Add(&record); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(1e3/(float64(b.Elapsed().Nanoseconds())/float64(b.N)), "Mpackets/s")
		})
	}
}

func mustReplay(tb testing.TB, o Options) *Replay {
	tb.Helper()
	r, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func mustNIC(tb testing.TB, queues int) *nic.NIC {
	tb.Helper()
	config, err := nic.Default(queues)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := nic.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
