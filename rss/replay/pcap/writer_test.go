package pcap

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"
)

// written is a file of packets of two interfaces, of every length of padding.
func written(t *testing.T) (packets []Packet, file []byte) {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b)
	must(t, err)
	for i := range 9 {
		p := Packet{
			Interface: []string{"eth0", "", "a"}[i%3], Time: start.Add(time.Duration(i) * 1001), Frame: packetOf(i, 60+i),
			Length: 60 + i + 1000*(i%2), Queue: uint32(i), Comment: "forwarded"[:i],
		}
		must(t, w.Write(p))
		packets = append(packets, p)
	}
	return packets, b.Bytes()
}

// Written files can be read by this package and by gopacket.
func TestWriter(t *testing.T) {
	packets, file := written(t)
	r, err := Open(bytes.NewReader(file))
	must(t, err)
	for i, p := range packets {
		var got Record
		must(t, r.Next(&got))
		if !bytes.Equal(got.Frame, p.Frame) || got.Length != p.Length || got.Time != p.Time.UnixNano() || got.Interface != i%3 || got.Link != Ethernet {
			t.Errorf("packet %d: %+v, want %+v", i, got, p)
		}
	}
	if err := r.Next(&Record{}); err != io.EOF {
		t.Errorf("after the last: %v", err)
	}
	agreeOn(t, file)
}

// gopacket reads the names of the interfaces.
func TestWriterNamesInterfaces(t *testing.T) {
	_, file := written(t)
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{})
	must(t, err)
	for err == nil {
		_, _, err = r.ReadPacketData()
	}
	for i, want := range []string{"eth0", "", "a"} {
		device, err := r.Interface(i)
		must(t, err)
		if device.Name != want || device.TimestampResolution != 9 {
			t.Errorf("interface %d: %+v, want the name %q", i, device, want)
		}
	}
}

// The options of the last packet, comment and queue, are encoded correctly.
func TestWriterOptions(t *testing.T) {
	_, file := written(t)
	want := append([]byte{1, 0, 8, 0}, "forwarde"...)
	want = append(want, 6, 0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0)
	if got := file[len(file)-4-len(want) : len(file)-4]; !bytes.Equal(got, want) {
		t.Errorf("options % x, want % x", got, want)
	}
}

type full struct{}

var errFull = errors.New("full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriterSaysThatItCannot(t *testing.T) {
	if _, err := NewWriter(full{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}
