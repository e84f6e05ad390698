package datapath

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/fanout"
	"lbctl/lb/tables"
	"lbctl/lb/xdp"
	"lbctl/rss"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// sampleRing is the size in bytes of the ring buffer of samples: some 3,000 of them.
const sampleRing = 1 << 20

// monitor is the program that replaces the ordinary one while there are subscribers, and the reader of its
// samples. Both programs have the same tables. Its own maps are not pinned and end with the process; links
// keep the program until the next start.
type monitor struct {
	objects   monitorObjects
	filter    tables.Table[bpf.LbSampleFilter]
	reader    *ringbuf.Reader
	publisher fanout.Publisher
	decoder   decoder
	done      sync.WaitGroup
}

// monitorObjects are those that only the monitoring program has.
type monitorObjects struct {
	Lb            *ebpf.Program `ebpf:"lb_monitored"`
	Samples       *ebpf.Map     `ebpf:"samples"`
	SampleFilters *ebpf.Map     `ebpf:"sample_filters"`
}

// monitoring puts the monitoring program in the place of the ordinary one as long as somebody watches.
type monitoring struct {
	program *program
	links   *links
	lock    sync.Locker // the datapath's, for a subscriber that leaves
	running *monitor    // nil: nobody watches
}

// current returns the program that is under the links.
func (m *monitoring) current() *ebpf.Program {
	if m.running != nil {
		return m.running.objects.Lb
	}
	return m.program.objects.Lb
}

// subscribe begins a stream of samples.
func (m *monitoring) subscribe(f lb.Filter) (lb.Monitor, error) {
	if err := m.begin(); err != nil {
		return nil, err
	}
	w := m.running.publisher.Subscribe(f, m.unsubscribe)
	m.running.tune(m.program.reasons)
	return w, nil
}

// unsubscribe ends a subscription. After the last one the ordinary program is put back.
func (m *monitoring) unsubscribe(s *fanout.Subscription) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.running == nil {
		return nil
	}
	if m.running.publisher.Unsubscribe(s); m.running.publisher.Empty() {
		return m.end()
	}
	m.running.tune(m.program.reasons)
	return nil
}

// begin puts the monitoring program under all links, unless it is there. On error all links have the
// ordinary one.
func (m *monitoring) begin() error {
	if m.running != nil {
		return nil
	}
	next, err := m.load()
	if err != nil {
		return err
	}
	if err := m.links.hook.Update(next.objects.Lb, m.program.objects.Lb); err != nil {
		return errors.Join(err, next.release())
	}
	m.running = next
	log := m.program.options.Logger
	next.done.Go(func() { next.read(log) })
	log.Info("all links have the monitoring program")
	return nil
}

// end puts the ordinary program back and ends all subscriptions. On error a link may keep the
// monitoring program, which forwards as well, until the next start.
func (m *monitoring) end() error {
	old := m.running
	if old == nil {
		return nil
	}
	m.running = nil
	err := m.links.hook.Restore(m.program.objects.Lb)
	old.publisher.UnsubscribeAll()
	m.program.options.Logger.Info("all links have the ordinary program again")
	return errors.Join(err, old.release())
}

// load loads the monitoring program over the tables. Its filter lets nothing through yet.
func (of *monitoring) load() (m *monitor, err error) {
	spec, err := of.program.spec()
	if err != nil {
		return nil, err
	}
	spec.Maps[bpf.LbMapSamples].MaxEntries = of.program.options.ring
	m = &monitor{decoder: of.newDecoder()}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.release())
		}
	}()
	shared := pinnedOf(spec, &of.program.objects.LbMaps)
	shared[bpf.LbMapFibCache] = of.program.objects.FibCache // hops.confirm reads one
	replaced := ebpf.CollectionOptions{MapReplacements: shared}
	if err := xdp.Load(spec, &m.objects, &replaced); err != nil {
		return m, fmt.Errorf("load the monitoring program: %w", err)
	}
	if m.filter, err = tables.Map[bpf.LbSampleFilter](m.objects.SampleFilters); err != nil {
		return m, err
	}
	if m.reader, err = ringbuf.NewReader(m.objects.Samples); err != nil {
		return m, fmt.Errorf("open the ring of samples: %w", err)
	}
	return m, nil
}

// pinnedOf returns the maps that are pinned, by name.
func pinnedOf(spec *ebpf.CollectionSpec, all *bpf.LbMaps) map[string]*ebpf.Map {
	pinned := map[string]*ebpf.Map{}
	for field, value := range reflect.ValueOf(all).Elem().Fields() {
		name := field.Tag.Get("ebpf")
		if m, is := value.Interface().(*ebpf.Map); is && spec.Maps[name].Pinning == ebpf.PinByName {
			pinned[name] = m
		}
	}
	return pinned
}

// release closes what load opened, once the reader has ended.
func (m *monitor) release() error {
	var errs []error
	if m.reader != nil {
		errs = append(errs, m.reader.Close())
	}
	m.done.Wait()
	o := m.objects
	return errors.Join(append(errs, m.filter.Unmap(), o.Lb.Close(), o.Samples.Close(), o.SampleFilters.Close())...)
}

// tune sets the kernel's filter to what the subscribers want together. Its fields are written one after the
// other: for a moment packets may be missed, or sampled in vain.
func (m *monitor) tune(reasons []string) {
	f, row := m.publisher.Filter(), m.filter.Row(0)
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
		lost := atomic.LoadUint64(&m.filter.Row(0).Lost)
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
