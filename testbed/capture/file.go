package capture

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"lbctl/testbed/packetring"
)

// file is a capture file of the first packets. A nil one takes nothing. One goroutine.
type file struct {
	out    *os.File
	buffer *bufio.Writer
	pcap   *pcapgo.Writer
	room   int
	err    error
}

// createFile makes the file that the options name, if they do.
func createFile(o Options) (*file, error) {
	if o.Pcap == "" {
		return nil, nil
	}
	out, err := os.Create(o.Pcap)
	if err != nil {
		return nil, fmt.Errorf("create capture file: %w", err)
	}
	b := bufio.NewWriter(out)
	f := &file{out: out, buffer: b, pcap: pcapgo.NewWriter(b), room: o.PcapPackets}
	if err := f.pcap.WriteFileHeader(snapLength, layers.LinkTypeEthernet); err != nil {
		return nil, errors.Join(fmt.Errorf("write capture file: %w", err), f.close())
	}
	return f, nil
}

// write keeps its first error for close.
func (f *file) write(p packetring.Packet) {
	if f == nil || f.room == 0 || f.err != nil {
		return
	}
	f.room--
	info := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: p.Length}
	f.err = f.pcap.WritePacket(info, p.Data)
}

func (f *file) close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.err, f.buffer.Flush(), f.out.Close())
}
