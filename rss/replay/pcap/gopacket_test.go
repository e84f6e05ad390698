package pcap

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// theirs is one of gopacket's readers.
type theirs interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// agree compares this reader with gopacket's, record by record. link returns the link type
// of an interface.
func agree(t *testing.T, file []byte, other theirs, link func(int) layers.LinkType) {
	t.Helper()
	r, err := Open(bytes.NewReader(file))
	must(t, err)
	for n := 0; ; n++ {
		want, info, end := other.ReadPacketData()
		var got Record
		err := r.Next(&got)
		if end == io.EOF && err == io.EOF {
			if n == 0 {
				t.Error("no record at all")
			}
			return
		}
		if end != nil || err != nil {
			t.Fatalf("record %d: error %v, gopacket's %v", n, err, end)
		}
		head := 0 // of the link layer, which is another one here
		switch link(info.InterfaceIndex) {
		case layers.LinkTypeLinuxSLL:
			head = 2
		case layers.LinkTypeRaw, 12:
			got.Frame = got.Frame[14:]
		}
		if !bytes.Equal(got.Frame, want[head:]) {
			t.Errorf("record %d: %d bytes % .40x, gopacket's %d % .40x", n, len(got.Frame), got.Frame, len(want)-head, want[head:])
		}
		if got.Length != info.Length || got.Interface != info.InterfaceIndex {
			t.Errorf("record %d: %d bytes of interface %d, gopacket's %d of %d", n, got.Length, got.Interface, info.Length, info.InterfaceIndex)
		}
		if year := info.Timestamp.Year(); year < 2200 && got.Time != info.Timestamp.UnixNano() {
			t.Errorf("record %d at %d ns, gopacket's at %d", n, got.Time, info.Timestamp.UnixNano())
		}
	}
}

func agreeOn(t *testing.T, file []byte) {
	t.Helper()
	if classic, err := pcapgo.NewReader(bytes.NewReader(file)); err == nil {
		agree(t, file, classic, func(int) layers.LinkType { return classic.LinkType() })
		return
	}
	sections, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	must(t, err)
	agree(t, file, sections, func(i int) layers.LinkType {
		device, err := sections.Interface(i)
		must(t, err)
		return device.LinkType
	})
}

func TestAgreesWithGopacket(t *testing.T) {
	// the last are larger than the buffer, so that records lie across its end
	for _, size := range []int{1, 60, 1500, 65535} {
		agreeOn(t, classicFile(t, 100, size))
		agreeOn(t, sectionFile(t, 100, size))
	}
}

// The same with real captures next to the repository, if there are any.
func TestAgreesWithGopacketOnRealCaptures(t *testing.T) {
	const folder = "../../../../shared/pcap"
	files, err := filepath.Glob(filepath.Join(folder, "*.pcap*"))
	must(t, err)
	if len(files) == 0 {
		t.Skipf("no real captures in %s", folder)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			file, err := os.ReadFile(name)
			must(t, err)
			agreeOn(t, file)
		})
	}
}

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
