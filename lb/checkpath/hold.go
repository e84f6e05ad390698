package checkpath

import (
	"errors"
	"fmt"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// place is where a program is attached: to what leaves by an interface, or to what comes in.
type place struct {
	index  int
	attach ebpf.AttachType
}

func directions() []ebpf.AttachType {
	return []ebpf.AttachType{ebpf.AttachTCXEgress, ebpf.AttachTCXIngress}
}

// hold is a program at its place, or why it could not be attached.
type hold struct {
	attachment
	err error
	// idle counts the looks since a check went by.
	idle int
}

// attachment keeps a program attached. Nothing is left of it when it is closed.
type attachment interface {
	Close() error
	// stands reports whether the program is attached still: anybody may remove it, or put another in its place.
	stands() bool
}

// idleLooks is after how many looks without a check a program is detached.
const idleLooks = 12

// hold makes sure that checks can leave by an interface and be answered there.
func (p *Path) hold(r route) error {
	for _, attach := range directions() {
		h := p.attach(place{r.link, attach})
		if h.err != nil {
			return fmt.Errorf("attach to %s: %w", r.name, h.err)
		}
		h.idle = 0
	}
	return nil
}

func (p *Path) attach(at place) *hold {
	if h := p.holds[at]; h != nil {
		return h
	}
	program := p.objects.LbCheckSent
	if at.attach == ebpf.AttachTCXIngress {
		program = p.objects.LbCheckAnswered
	}
	h := &hold{}
	h.err = p.network.Inside(func() (err error) {
		if !p.options.filters {
			h.attachment, err = attachTCX(program, at)
		}
		if p.options.filters || errors.Is(err, ebpf.ErrNotSupported) { // before Linux 6.6
			h.attachment, err = attachFilter(program, at, p.options.Name)
		}
		return err
	})
	p.holds[at] = h
	return h
}

// release detaches what is at a place.
func (p *Path) release(at place) error {
	h := p.holds[at]
	if h == nil {
		return nil
	}
	delete(p.holds, at)
	if h.err != nil {
		return nil
	}
	return p.network.Inside(h.Close)
}

// look detaches what no check has needed for a while, has what somebody else has detached attached again by the next check,
// and has what failed tried again. While there are checks their answers may come in on any interface of the datapath.
func (p *Path) look() {
	attached := p.options.Attached() // which may take long
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = nil
	p.expect(attached)
	used := false
	for at, h := range p.holds {
		stands := h.err == nil && p.network.Inside(func() error { return lost(h) }) == nil
		if h.err == nil && !stands {
			p.options.Logger.Warn("a program that sends checks was detached from an interface", "interface", at.index)
		}
		if h.idle++; !stands || h.idle > idleLooks {
			if err := p.release(at); err != nil {
				p.options.Logger.Warn("detach a program that sends checks", "interface", at.index, "error", err)
			}
			continue
		}
		used = used || at.attach == ebpf.AttachTCXEgress
	}
	if used {
		p.holdAttached()
	}
}

var errLost = errors.New("it is not attached any more")

func lost(h *hold) error {
	if h.stands() {
		return nil
	}
	return errLost
}

// holdAttached makes sure that answers are found on the interfaces of the datapath.
func (p *Path) holdAttached() {
	for _, index := range p.attached {
		h := p.attach(place{index, ebpf.AttachTCXIngress})
		h.idle = 0
	}
}

// tcx is a link that ends with the process.
type tcx struct {
	link.Link
	program ebpf.ProgramID
}

// attachTCX puts the program before all others: one that ends the processing of a packet would keep it from this one.
func attachTCX(program *ebpf.Program, at place) (attachment, error) {
	number, err := numberOf(program)
	if err != nil {
		return nil, err
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: at.index, Program: program, Attach: at.attach, Anchor: link.Head()})
	if err != nil {
		return nil, lb.Denied(err)
	}
	return tcx{l, number}, nil
}

func (t tcx) stands() bool {
	info, err := t.Info()
	return err == nil && info.TCX() != nil && info.TCX().Ifindex != 0 && info.Program == t.program
}
