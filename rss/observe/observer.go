package observe

import (
	"errors"
	"fmt"

	"lbctl/bpf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Observer records what passes an interface until it is closed. It is safe for
// concurrent use.
type Observer struct {
	objects bpf.ObserveObjects
	link    link.Link
	behind  *ebpf.Program // what the link held before, nil if the observer stands alone
}

// DefaultFlows is how many (flow, queue) pairs an observer holds unless told otherwise.
const DefaultFlows = 1 << 16

// Alone observes an interface that has no XDP program, in the calling thread's
// namespace: in the driver with link.XDPDriverMode, on socket buffers with
// link.XDPGenericMode. Every packet is passed on. flows is the number of
// (flow, queue) pairs held.
func Alone(index int, mode link.XDPAttachFlags, flows uint32) (*Observer, error) {
	o, err := load(flows)
	if err != nil {
		return nil, err
	}
	o.link, err = link.AttachXDP(link.XDPOptions{Program: o.objects.Observe, Interface: index, Flags: mode})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach the observer: %w", err), o.Close())
	}
	return o, nil
}

// Before observes an interface to which a program is attached by a link: the
// observer takes the program's place in the link, in one step in which no packet is lost, and
// hands each packet on to it. Close puts the program back and closes the link, which
// the observer owns from now on unless there is an error.
func Before(program *ebpf.Program, l link.Link, flows uint32) (*Observer, error) {
	o, err := load(flows)
	if err != nil {
		return nil, err
	}
	if o.behind, err = program.Clone(); err != nil {
		return nil, errors.Join(fmt.Errorf("hold the program: %w", err), o.Close())
	}
	if err := o.objects.Behind.Put(uint32(0), program); err != nil {
		return nil, errors.Join(fmt.Errorf("place the program behind the observer: %w", err), o.Close())
	}
	if err := l.Update(o.objects.Observe); err != nil {
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

func load(flows uint32) (*Observer, error) {
	spec, err := bpf.LoadObserve()
	if err != nil {
		return nil, fmt.Errorf("read the observer's object: %w", err)
	}
	spec.Maps[bpf.ObserveMapSightings].MaxEntries = flows
	o := &Observer{}
	if err := spec.LoadAndAssign(&o.objects, nil); err != nil {
		return nil, fmt.Errorf("load the observer: %w", err)
	}
	return o, nil
}

// Close ends the observation and forgets what was seen. A program that was behind
// the observer is in its old place again, unless somebody has put another one there.
func (o *Observer) Close() error {
	var errs []error
	if o.link != nil {
		errs = append(errs, o.stepAside(), o.link.Close())
	}
	if o.behind != nil {
		errs = append(errs, o.behind.Close())
	}
	return errors.Join(append(errs, o.objects.Close())...)
}

// stepAside gives the place in the link back to the program behind.
func (o *Observer) stepAside() error {
	if o.behind == nil {
		return nil
	}
	holds, err := o.link.Info()
	if err != nil {
		return fmt.Errorf("look at the link: %w", err)
	}
	own, err := o.objects.Observe.Info()
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
