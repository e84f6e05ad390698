package datapath

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Interfaces returns the interfaces that are attached, sorted by name.
func (d *Datapath) Interfaces() ([]lb.Interface, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	all := make([]lb.Interface, 0, len(d.links))
	for index := range d.links {
		device, err := d.hops.netlink.LinkByIndex(index)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			continue // deleted: the kernel detached, the pin goes at the next start
		}
		if err != nil {
			return nil, fmt.Errorf("look at interface %d: %w", index, err)
		}
		all = append(all, describe(device))
	}
	slices.SortFunc(all, func(a, b lb.Interface) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func describe(device netlink.Link) lb.Interface {
	a := device.Attrs()
	i := lb.Interface{Name: a.Name, Index: a.Index, Mode: lb.Native}
	if a.Xdp != nil && a.Xdp.AttachMode == attachedGeneric {
		i.Mode = lb.Generic
	}
	return i
}

// attachedGeneric is XDP_ATTACHED_SKB of linux/if_link.h: generic mode.
const attachedGeneric = 2

// Attach hooks the program to an interface. See lb.Dataplane.
func (d *Datapath) Attach(ctx context.Context, name string, mode lb.AttachMode) (lb.Interface, error) {
	unlock, err := d.lock()
	if err != nil {
		return lb.Interface{}, err
	}
	defer unlock()
	if _, err := lb.ParseAttachMode(string(mode)); err != nil {
		return lb.Interface{}, err
	}
	device, err := d.device(name)
	if err != nil {
		return lb.Interface{}, err
	}
	if _, ok := d.links[device.Attrs().Index]; ok {
		return already(describe(device), mode)
	}
	if err := ctx.Err(); err != nil {
		return lb.Interface{}, err
	}
	if err := free(device); err != nil {
		return lb.Interface{}, err
	}
	if err := d.hook(device, mode); err != nil {
		return lb.Interface{}, err
	}
	if device, err = d.device(name); err != nil {
		return lb.Interface{}, err
	}
	return describe(device), nil
}

func (d *Datapath) device(name string) (netlink.Link, error) {
	device, err := d.hops.netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, fmt.Errorf("%w: interface %s", lb.ErrNotFound, name)
	}
	if err != nil {
		return nil, fmt.Errorf("look at interface %s: %w", name, denied(err))
	}
	return device, nil
}

// already answers an attach of what is attached.
func already(i lb.Interface, mode lb.AttachMode) (lb.Interface, error) {
	if mode != lb.Auto && mode != i.Mode {
		return lb.Interface{}, fmt.Errorf("%w: %s is attached in mode %s", lb.ErrConflict, i.Name, i.Mode)
	}
	return i, nil
}

// free says who holds the interface, if somebody does.
func free(device netlink.Link) error {
	a := device.Attrs()
	if a.Xdp == nil || !a.Xdp.Attached {
		return nil
	}
	return fmt.Errorf("%w: %s already has the XDP program %s", lb.ErrConflict, a.Name, programName(a.Xdp.ProgId))
}

func programName(id uint32) string {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return fmt.Sprintf("with id %d", id)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return fmt.Sprintf("with id %d", id)
	}
	return fmt.Sprintf("%q (id %d)", info.Name, id)
}

// hook attaches and pins. Auto tries the driver first; that it was not the driver is logged.
func (d *Datapath) hook(device netlink.Link, mode lb.AttachMode) error {
	if mode != lb.Auto {
		return d.hookAs(device, mode)
	}
	native := d.hookAs(device, lb.Native)
	if !errors.Is(native, lb.ErrUnsupported) {
		return native
	}
	if err := d.hookAs(device, lb.Generic); err != nil {
		return err
	}
	d.options.Logger.Warn("attached in generic mode", "interface", device.Attrs().Name, "because", native)
	return nil
}

func (d *Datapath) hookAs(device netlink.Link, mode lb.AttachMode) error {
	a := device.Attrs()
	flags := link.XDPDriverMode
	if mode == lb.Generic {
		flags = link.XDPGenericMode
	}
	var l link.Link
	err := d.hops.inside(func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: d.program(), Interface: a.Index, Flags: flags})
		return err
	})
	if err != nil {
		return attachError(a, mode, err)
	}
	if err := l.Pin(d.linkPin(a.Index)); err != nil {
		return errors.Join(fmt.Errorf("pin xdp link of %s: %w", a.Name, err), l.Close())
	}
	d.links[a.Index] = l
	return nil
}

func attachError(a *netlink.LinkAttrs, mode lb.AttachMode, err error) error {
	switch {
	case errors.Is(err, unix.ERANGE), errors.Is(err, unix.EINVAL) && a.MTU > 3498:
		return fmt.Errorf("%w: MTU %d of %s (or of its peer) is too large for XDP in mode %s: %v", lb.ErrUnsupported, a.MTU, a.Name, mode, err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, link.ErrNotSupported):
		return fmt.Errorf("%w: the driver of %s cannot do XDP in mode %s: %v", lb.ErrUnsupported, a.Name, mode, err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%w: %s is held by another XDP program: %v", lb.ErrConflict, a.Name, err)
	}
	return fmt.Errorf("attach xdp to %s: %w", a.Name, denied(err))
}

// Detach unhooks an interface. See lb.Dataplane.
func (d *Datapath) Detach(ctx context.Context, name string) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	device, err := d.device(name)
	if err != nil {
		return err
	}
	index := device.Attrs().Index
	l, ok := d.links[index]
	if !ok {
		return fmt.Errorf("%w: %s is not attached", lb.ErrNotFound, name)
	}
	// Closing the last reference detaches; the pin is one, the handle the other.
	if err := errors.Join(l.Unpin(), l.Close()); err != nil {
		return fmt.Errorf("detach xdp from %s: %w", name, err)
	}
	delete(d.links, index)
	return nil
}

func (d *Datapath) linkPin(index int) string {
	return filepath.Join(d.options.Dir, fmt.Sprintf("link_%d", index))
}
