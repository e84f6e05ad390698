// Package xdp hooks XDP programs to network interfaces by links, and finds a place to pin
// them. It acts in the network namespace of the calling thread.
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

// Device looks an interface up. Errors: lb.ErrNotFound, lb.ErrDenied.
func Device(name string) (netlink.Link, error) {
	device, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, fmt.Errorf("%w: interface %s", lb.ErrNotFound, name)
	}
	if err != nil {
		return nil, fmt.Errorf("look at interface %s: %w", name, Denied(err))
	}
	return device, nil
}

// attachedGeneric is XDP_ATTACHED_SKB of linux/if_link.h: generic mode.
const attachedGeneric = 2

// Describe names an interface to which a program is attached, and its mode.
func Describe(device netlink.Link) lb.Interface {
	a := device.Attrs()
	i := lb.Interface{Name: a.Name, Index: a.Index, Mode: lb.Native}
	if a.Xdp != nil && a.Xdp.AttachMode == attachedGeneric {
		i.Mode = lb.Generic
	}
	return i
}

// Attach hooks a program to an interface that no other one holds, until the link is closed and no
// pin of it is left. Auto tries the driver first; lowered says why it was not the driver.
//
// Errors: lb.ErrConflict, naming the program that holds the interface; lb.ErrUnsupported in
// mode native where the driver cannot or the MTU is too large; lb.ErrDenied.
func Attach(program *ebpf.Program, device netlink.Link, mode lb.AttachMode) (l link.Link, lowered, err error) {
	if err := free(device); err != nil {
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
		return nil, fmt.Errorf("%w: %s is held by another XDP program: %v", lb.ErrConflict, a.Name, err)
	}
	return nil, fmt.Errorf("attach xdp to %s: %w", a.Name, Denied(err))
}

// largestMTU is what fits a page with the room that XDP leaves before and after a frame.
const largestMTU = 3498

// Interface returns the index of the interface that an XDP link holds, 0 if it is gone.
func Interface(l link.Link) (int, error) {
	info, err := l.Info()
	if err != nil {
		return 0, fmt.Errorf("look at xdp link: %w", err)
	}
	return int(info.XDP().Ifindex), nil
}
