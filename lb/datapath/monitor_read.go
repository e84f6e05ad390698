package datapath

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/rss"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// tune sets the kernel's filter to what the subscribers want together. Its fields are written one after the
// other: for a moment packets may be missed, or sampled in vain.
func (m *monitor) tune(reasons []string) {
	f, row := m.publisher.Filter(), &m.filter.Rows[0]
	row.Every, row.Vip = f.Every, bpf.LbEndpoint{}
	if f.Service != (lb.VIP{}) {
		row.Vip = vipKey(f.Service)
	}
	atomic.StoreUint64(&row.Reasons, reasonBits(reasons, f.Reasons))
}

// reasonBits returns the reasons that are wanted as bits by their numbers; none stand for all.
func reasonBits(reasons []string, wanted []lb.Reason) (bits uint64) {
	if len(wanted) == 0 {
		return 1<<len(reasons) - 1
	}
	for n, name := range reasons {
		if slices.Contains(wanted, lb.Reason(name)) {
			bits |= 1 << n
		}
	}
	return bits
}

// read hands samples to the publisher until the reader is closed.
func (m *monitor) read(log *slog.Logger) {
	var record ringbuf.Record
	var told uint64
	for {
		err := m.reader.ReadInto(&record)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		var s lb.Sample
		var every uint32
		if err == nil {
			s, every, err = m.decoder.decode(record.RawSample)
		}
		if err != nil {
			log.Error("read samples of packets", "error", err)
			m.publisher.UnsubscribeAll()
			return
		}
		m.publisher.Publish(s, every)
		// Samples are lost only while the ring is full, so there is always one to read afterwards.
		lost := atomic.LoadUint64(&m.filter.Rows[0].Lost)
		m.publisher.Drop(lost - told)
		told = lost
	}
}

// decoder makes samples of what the kernel sends. One goroutine.
type decoder struct {
	reasons []string
	// name returns the name of an interface, "" if there is none; names keeps the answers.
	name  func(index int) string
	names map[int]string
	// start is when the kernel's clock began.
	start time.Time
}

func (m *monitoring) newDecoder() decoder {
	var since unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &since) // which there always is
	return decoder{
		reasons: m.program.reasons, names: map[int]string{}, start: m.program.options.now().Add(-time.Duration(since.Nano())).Round(0),
		name: func(index int) string {
			if device := m.links.hops.network.Gather().Link(index); device != nil {
				return device.Name
			}
			return ""
		},
	}
}

// decode reads a struct sample. It is one in `every` of the packets that the filter let through.
func (d *decoder) decode(b []byte) (s lb.Sample, every uint32, err error) {
	if len(b) < int(unsafe.Sizeof(bpf.LbSample{})) {
		return s, 0, fmt.Errorf("sample of %d bytes: want %d", len(b), unsafe.Sizeof(bpf.LbSample{}))
	}
	raw := (*bpf.LbSample)(unsafe.Pointer(unsafe.SliceData(b)))
	if int(raw.Reason) >= len(d.reasons) {
		return s, 0, fmt.Errorf("sample with the reason %d: want at most %d", raw.Reason, len(d.reasons)-1)
	}
	s = lb.Sample{
		Time: d.start.Add(time.Duration(raw.Time)), Reason: lb.Reason(d.reasons[raw.Reason]),
		Interface: d.nameOf(int(raw.Ifindex)), Index: int(raw.Ifindex), Queue: rss.Queue(raw.Queue), CPU: int(raw.Cpu),
		Length: int(raw.Length), Frame: slices.Clone(raw.Frame[:min(int(raw.Captured), len(raw.Frame))]),
	}
	if raw.Vip.Protocol != 0 {
		s.Service = vipOf(raw.Vip)
	}
	if raw.Replica.Protocol != 0 {
		s.Replica = raw.Replica.AddrPort()
	}
	return s, raw.Every, nil
}

func (d *decoder) nameOf(index int) string {
	name, known := d.names[index]
	if !known {
		name = d.name(index)
		d.names[index] = name
	}
	return name
}
