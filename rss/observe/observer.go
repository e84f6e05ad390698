package observe

import (
	"errors"
	"fmt"

	"lbctl/bpf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// Observer records the packets of an interface until it is closed. Its methods may be called
// concurrently, except Sample, which is for one goroutine.
type Observer struct {
	maps    bpf.ObserveMaps
	program *ebpf.Program
	samples *ringbuf.Reader // nil without samples
	link    link.Link       // nil on a packet socket
	socket  int             // the packet socket; 0 for none
	behind  *ebpf.Program   // the program that the link had before, nil if there was none
	mode    Mode
	hash    bool
	notes   []string
}

// DefaultFlows is how many (flow, queue) pairs an observer holds unless told otherwise.
const DefaultFlows = 1 << 16

// Alone observes an interface that has no XDP program, in the calling thread's
// namespace: in the driver with link.XDPDriverMode, on socket buffers with
// link.XDPGenericMode. Every packet is passed on. flows is the number of
// (flow, queue) pairs held.
func Alone(index int, mode link.XDPAttachFlags, flows uint32) (*Observer, error) {
	o, err := loadProgram(bpf.ObserveProgObserve, 0, Options{Flows: flows})
	if err != nil {
		return nil, err
	}
	return o.attach(index, mode)
}

// Before observes an interface to which a program is attached by a link. The
// observer atomically replaces the program in the link and tail-calls it for each packet; no packet is
// lost. Close puts the program back and closes the link, which
// the observer owns unless Before returns an error.
func Before(program *ebpf.Program, l link.Link, flows uint32) (*Observer, error) {
	o, err := loadProgram(bpf.ObserveProgObserve, 0, Options{Flows: flows})
	if err != nil {
		return nil, err
	}
	if o.behind, err = program.Clone(); err != nil {
		return nil, errors.Join(fmt.Errorf("hold the program: %w", err), o.Close())
	}
	if err := o.maps.Behind.Put(uint32(0), program); err != nil {
		return nil, errors.Join(fmt.Errorf("place the program behind the observer: %w", err), o.Close())
	}
	if err := l.Update(o.program); err != nil {
		return nil, errors.Join(fmt.Errorf("place the observer before the program: %w", err), o.Close())
	}
	o.link = l
	return o, nil
}

// BeforePinned is Before a program and a link that are pinned at these paths.
func BeforePinned(program, at string, flows uint32) (*Observer, error) {
	p, err := ebpf.LoadPinnedProgram(program, nil)
	if err != nil {
		return nil, fmt.Errorf("open pinned program: %w", err)
	}
	defer p.Close()
	l, err := link.LoadPinnedLink(at, nil)
	if err != nil {
		return nil, fmt.Errorf("open pinned link: %w", err)
	}
	o, err := Before(p, l, flows)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return o, nil
}

// Detach ends the observation; the records can still be read. The link gets its
// former program back, unless somebody has replaced the observer in it. A
// second call does nothing.
func (o *Observer) Detach() error {
	var errs []error
	if o.link != nil {
		errs = append(errs, o.restore(), o.link.Close())
		o.link = nil
	}
	if o.socket != 0 {
		errs = append(errs, unix.Close(o.socket))
		o.socket = 0
	}
	if o.behind != nil {
		errs = append(errs, o.behind.Close())
		o.behind = nil
	}
	return errors.Join(errs...)
}

// Close is Detach, and releases the records.
func (o *Observer) Close() error { return errors.Join(o.Detach(), o.release()) }

// restore puts the former program back into the link.
func (o *Observer) restore() error {
	if o.behind == nil {
		return nil
	}
	holds, err := o.link.Info()
	if err != nil {
		return fmt.Errorf("look at the link: %w", err)
	}
	own, err := o.program.Info()
	if err != nil {
		return fmt.Errorf("look at the observer: %w", err)
	}
	if id, ok := own.ID(); !ok || id != holds.Program {
		return nil
	}
	if err := o.link.Update(o.behind); err != nil {
		return fmt.Errorf("put the program back in its place: %w", err)
	}
	return nil
}
