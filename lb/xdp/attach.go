package xdp

import (
	"errors"
	"fmt"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Device looks an interface up by name. Errors: lb.ErrNotFound, lb.ErrDenied.
func Device(name string) (netlink.Link, error) {
	device, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, fmt.Errorf("%w: interface %s", lb.ErrNotFound, name)
	}
	if err != nil {
		return nil, fmt.Errorf("look up interface %s: %w", name, lb.Denied(err))
	}
	return device, nil
}

// XDP_ATTACHED_* of linux/if_link.h. With several there is a program in the NIC beside another.
const (
	attachedNative    = 1
	attachedGeneric   = 2
	attachedOffloaded = 3
	attachedMulti     = 4
)

// Describe returns the name, index and mode of an interface that has an XDP program.
func Describe(device netlink.Link) lb.Interface {
	a := device.Attrs()
	i := lb.Interface{Name: a.Name, Index: a.Index, Mode: lb.Native}
	if a.Xdp != nil && a.Xdp.AttachMode == attachedGeneric {
		i.Mode = lb.Generic
	}
	return i
}

// attach links a program to an interface that has none. Auto tries native mode first; lowered says why it took
// generic mode.
func attach(program *ebpf.Program, device netlink.Link, mode lb.AttachMode) (l link.Link, lowered, err error) {
	if err := requireFree(device); err != nil {
		return nil, nil, err
	}
	if mode != lb.Auto {
		l, err := attachAs(program, device, mode)
		return l, nil, err
	}
	l, err = attachAs(program, device, lb.Native)
	if !errors.Is(err, lb.ErrUnsupported) {
		return l, nil, err
	}
	lowered = err
	l, err = attachAs(program, device, lb.Generic)
	return l, lowered, err
}

// largestMTU is what fits a page with the room that XDP leaves before and after a frame.
const largestMTU = 3498

func attachAs(program *ebpf.Program, device netlink.Link, mode lb.AttachMode) (link.Link, error) {
	a := device.Attrs()
	flags := link.XDPDriverMode
	if mode == lb.Generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: a.Index, Flags: flags})
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, unix.ERANGE), errors.Is(err, unix.EINVAL) && a.MTU > largestMTU:
		return nil, fmt.Errorf("%w: MTU %d of %s (or of its peer) is too large for XDP in mode %s: %v", lb.ErrUnsupported, a.MTU, a.Name, mode, err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, link.ErrNotSupported):
		return nil, fmt.Errorf("%w: the driver of %s cannot do XDP in mode %s: %v", lb.ErrUnsupported, a.Name, mode, err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return nil, heldAbove(device, fmt.Errorf("%w: %s is held by another XDP program: %v", lb.ErrConflict, a.Name, err))
	}
	return nil, fmt.Errorf("attach xdp to %s: %w", a.Name, lb.Denied(err))
}

// ProgramName returns the name of a program, "" if it has none or the caller may not see it: to look a
// program up by id needs CAP_SYS_ADMIN.
func ProgramName(id uint32) string {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return ""
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return ""
	}
	return info.Name
}
