package datapath

import (
	"errors"
	"fmt"
	"sync"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/fanout"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// sampleRing is the size in bytes of what holds samples until they are read: some 3,000 of them.
const sampleRing = 1 << 20

// monitor is the program that replaces the ordinary one while there are subscribers, and the reader of its
// samples. Both programs have the same tables. Its own maps are not pinned and end with the process; links
// keep the program until the next start.
type monitor struct {
	objects   monitorObjects
	filter    table[bpf.LbSampleFilter]
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

// Monitor implements lb.Dataplane.
func (d *Datapath) Monitor(f lb.Filter) (lb.Monitor, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, found := d.services[f.Service]; !found && f.Service != (lb.VIP{}) {
		return nil, fmt.Errorf("monitor: %w: service %v", lb.ErrNotFound, f.Service)
	}
	if err := d.beginMonitor(); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	w := d.monitor.publisher.Subscribe(f, d.unsubscribe)
	d.tune()
	return w, nil
}

// unsubscribe ends a subscription. After the last one the ordinary program is put back.
func (d *Datapath) unsubscribe(s *fanout.Subscription) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.monitor == nil {
		return nil
	}
	if d.monitor.publisher.Unsubscribe(s); d.monitor.publisher.Empty() {
		return d.endMonitor()
	}
	d.tune()
	return nil
}

// beginMonitor puts the monitoring program under all links, unless it is there. On error all links have the
// ordinary one.
func (d *Datapath) beginMonitor() error {
	if d.monitor != nil {
		return nil
	}
	m, err := d.loadMonitor()
	if err != nil {
		return err
	}
	if err := d.hook.Update(m.objects.Lb, d.objects.Lb); err != nil {
		return errors.Join(err, m.release())
	}
	d.monitor = m
	m.done.Go(func() { m.read(d.options.Logger) })
	d.options.Logger.Info("the monitoring program stands under all links")
	return nil
}

// endMonitor puts the ordinary program back and ends all subscriptions. On error a link may keep the
// monitoring program, which forwards as well, until the next start.
func (d *Datapath) endMonitor() error {
	m := d.monitor
	if m == nil {
		return nil
	}
	d.monitor = nil
	err := d.hook.Restore(d.objects.Lb)
	m.publisher.UnsubscribeAll()
	d.options.Logger.Info("the ordinary program stands under all links again")
	return errors.Join(err, m.release())
}
