package datapath

import (
	"errors"
	"fmt"
	"reflect"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/ringbuf"
)

// loadMonitor loads the monitoring program over the tables. Its filter lets nothing through yet. Errors:
// lb.ErrUnsupported.
func (d *Datapath) loadMonitor() (m *monitor, err error) {
	if err := features.HaveProgramHelper(ebpf.XDP, asm.FnXdpLoadBytes); errors.Is(err, ebpf.ErrNotSupported) {
		return nil, fmt.Errorf("%w: the kernel cannot copy packets in XDP, Linux 5.18 or later is needed", lb.ErrUnsupported)
	}
	spec, err := d.spec()
	if err != nil {
		return nil, err
	}
	spec.Maps[bpf.LbMapSamples].MaxEntries = d.options.ring
	m = &monitor{decoder: d.newDecoder()}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.release())
		}
	}()
	replaced := ebpf.CollectionOptions{MapReplacements: pinnedOf(spec, &d.objects.LbMaps)}
	if err := spec.LoadAndAssign(&m.objects, &replaced); err != nil {
		return m, fmt.Errorf("load the monitoring program: %w", xdp.Denied(err))
	}
	if m.filter, err = mapTable[bpf.LbSampleFilter](m.objects.SampleFilters); err != nil {
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

// release closes what loadMonitor opened, once the reader has ended.
func (m *monitor) release() error {
	var errs []error
	if m.reader != nil {
		errs = append(errs, m.reader.Close())
	}
	m.done.Wait()
	o := m.objects
	return errors.Join(append(errs, m.filter.unmap(), o.Lb.Close(), o.Samples.Close(), o.SampleFilters.Close())...)
}
