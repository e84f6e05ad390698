// Package xdp attaches an XDP program to network interfaces and keeps it there after the process: by links
// that are pinned on a BPF file system, which the next process adopts and under which it swaps the program.
// The balancer and the program of the replicas share it.
//
// Everything acts in the network namespace of the calling thread.
package xdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// Hook is a program under the links that hold it to interfaces, all pinned in one directory. It is not safe
// for concurrent use.
type Hook struct {
	// Links are the links by the index of their interface.
	Links map[int]link.Link

	dir, program string
}

// Open adopts the links that are pinned in a directory; none in one that does not exist. It unpins those
// whose interface is gone. program is the name of the program's pin. Errors: lb.ErrDenied.
func Open(dir, program string) (_ *Hook, err error) {
	h := &Hook{Links: map[int]link.Link{}, dir: dir, program: program}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	pins, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read pin directory: %w", lb.Denied(err))
	}
	for _, pin := range pins {
		if !strings.HasPrefix(pin.Name(), linkPrefix) {
			continue
		}
		if err := h.adopt(filepath.Join(dir, pin.Name())); err != nil {
			return nil, err
		}
	}
	return h, nil
}

const linkPrefix = "link_"

func (h *Hook) linkPin(index int) string {
	return filepath.Join(h.dir, fmt.Sprintf("%s%d", linkPrefix, index))
}

func (h *Hook) programPin() string { return filepath.Join(h.dir, h.program) }

func (h *Hook) adopt(pin string) error {
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return fmt.Errorf("open pinned link %s: %w", pin, lb.Denied(err))
	}
	info, err := l.Info()
	if err != nil {
		return errors.Join(fmt.Errorf("inspect pinned link %s: %w", pin, err), l.Close())
	}
	if index := int(info.XDP().Ifindex); index != 0 {
		h.Links[index] = l
		return nil
	}
	return remove(l)
}

// remove removes the link of an interface that is gone.
func remove(l link.Link) error {
	if err := errors.Join(l.Unpin(), l.Close()); err != nil {
		return fmt.Errorf("remove link of a vanished interface: %w", err)
	}
	return nil
}

// forgetVanished removes the links of interfaces that are gone: the kernel has detached them, and their index may
// be that of another interface by now.
func (h *Hook) forgetVanished() error {
	for index, l := range h.Links {
		info, err := l.Info()
		if err != nil {
			return fmt.Errorf("inspect link of interface %d: %w", index, err)
		}
		if info.XDP().Ifindex != 0 {
			continue
		}
		delete(h.Links, index)
		if err := remove(l); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the handles. What is pinned stays attached.
func (h *Hook) Close() (err error) {
	for _, l := range h.Links {
		err = errors.Join(err, l.Close())
	}
	clear(h.Links)
	return err
}

// Interfaces returns the interfaces that are attached, sorted by name.
func (h *Hook) Interfaces() ([]lb.Interface, error) {
	if err := h.forgetVanished(); err != nil {
		return nil, err
	}
	all := make([]lb.Interface, 0, len(h.Links))
	for index := range h.Links {
		device, err := netlink.LinkByIndex(index)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			continue // deleted meanwhile, or in another network namespace
		}
		if err != nil {
			return nil, fmt.Errorf("look up interface %d: %w", index, err)
		}
		all = append(all, Describe(device))
	}
	slices.SortFunc(all, func(a, b lb.Interface) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Attach links a program to an interface and pins the link. Mode auto tries native mode first, then generic mode;
// lowered says why it took the latter. An interface that is attached already stays as it is.
//
// Errors: lb.ErrConflict, naming the program that holds the interface, or because it is attached in another
// mode; lb.ErrUnsupported in mode native where the driver cannot or the MTU is too large; lb.ErrDenied.
func (h *Hook) Attach(p *ebpf.Program, device netlink.Link, mode lb.AttachMode) (lowered, err error) {
	if err := h.forgetVanished(); err != nil {
		return nil, err
	}
	a := device.Attrs()
	if _, attached := h.Links[a.Index]; attached {
		return nil, RequireMode(Describe(device), mode)
	}
	l, lowered, err := attach(p, device, mode)
	if err != nil {
		return nil, err
	}
	if err := l.Pin(h.linkPin(a.Index)); err != nil {
		return nil, errors.Join(fmt.Errorf("pin xdp link of %s: %w", a.Name, err), l.Close())
	}
	h.Links[a.Index] = l
	return lowered, nil
}

// RequireMode returns lb.ErrConflict if an attached interface has another mode than the one requested.
func RequireMode(i lb.Interface, mode lb.AttachMode) error {
	if mode != lb.Auto && mode != i.Mode {
		return fmt.Errorf("%w: %s is attached in mode %s", lb.ErrConflict, i.Name, i.Mode)
	}
	return nil
}

// Detach removes the link of an interface. Errors: lb.ErrNotFound.
func (h *Hook) Detach(device netlink.Link) error {
	if err := h.forgetVanished(); err != nil {
		return err
	}
	a := device.Attrs()
	l, ok := h.Links[a.Index]
	if !ok {
		return fmt.Errorf("%w: %s is not attached", lb.ErrNotFound, a.Name)
	}
	// Closing the last reference detaches. The pin is one, the handle the other.
	if err := errors.Join(l.Unpin(), l.Close()); err != nil {
		return fmt.Errorf("detach xdp from %s: %w", a.Name, err)
	}
	delete(h.Links, a.Index)
	return nil
}
