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
	// known is a program whose id was asked for: an id is for good.
	known struct {
		program *ebpf.Program
		id      ebpf.ProgramID
	}
	// stood are the pins that were found in order, by path.
	stood map[string]stood
}

// Open adopts the links that are pinned in a directory; none in one that does not exist. It unpins those
// whose interface is gone. program is the name of the program's pin. Errors: lb.ErrDenied.
func Open(dir, program string) (_ *Hook, err error) {
	h := &Hook{Links: map[int]link.Link{}, dir: dir, program: program, stood: map[string]stood{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	pins, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read pin directory: %w", lb.Denied(err))
	}
	var misnamed []link.Link
	for _, pin := range pins {
		if !strings.HasPrefix(pin.Name(), linkPrefix) {
			continue
		}
		l, index, err := h.adopt(filepath.Join(dir, pin.Name()))
		if err != nil {
			return nil, err
		}
		if index != 0 && filepath.Base(h.linkPin(index)) != pin.Name() {
			misnamed = append(misnamed, l)
		}
	}
	return h, h.move(misnamed)
}

const linkPrefix = "link_"

func (h *Hook) linkPin(index int) string {
	return filepath.Join(h.dir, fmt.Sprintf("%s%d", linkPrefix, index))
}

func (h *Hook) programPin() string { return filepath.Join(h.dir, h.program) }

// adopt takes over a pinned link. Index is 0 if it holds no interface and was released.
func (h *Hook) adopt(pin string) (l link.Link, index int, err error) {
	if l, err = link.LoadPinnedLink(pin, nil); err != nil {
		return nil, 0, fmt.Errorf("open pinned link %s: %w", pin, lb.Denied(err))
	}
	if index, err = indexOf(l); err != nil {
		return nil, 0, errors.Join(err, l.Close())
	}
	if index == 0 {
		return nil, 0, release(l)
	}
	if other, twice := h.Links[index]; twice { // of two namespaces
		device, err := held(other)
		if device != nil || err != nil {
			return nil, 0, errors.Join(err, release(l))
		}
		if err := release(other); err != nil {
			return nil, 0, errors.Join(err, l.Close())
		}
	}
	h.Links[index] = l
	return l, index, nil
}

// indexOf returns the index of the interface that a link holds, in whichever namespace it is; 0 for none.
func indexOf(l link.Link) (int, error) {
	info, err := l.Info()
	if err != nil {
		return 0, fmt.Errorf("inspect a link: %w", err)
	}
	return int(info.XDP().Ifindex), nil
}

// release removes a link that holds no interface of ours any more, and its pin.
func release(l link.Link) error {
	if err := errors.Join(l.Unpin(), l.Close()); err != nil {
		return fmt.Errorf("release a link: %w", err)
	}
	return nil
}

// held returns the interface of this namespace that a link holds, nil if it holds none. It has gone, somebody has
// detached the link, or the interface is in another namespace, where its index may be that of another one here.
func held(l link.Link) (netlink.Link, error) {
	info, err := l.Info()
	if err != nil {
		return nil, fmt.Errorf("inspect a link: %w", err)
	}
	index := int(info.XDP().Ifindex)
	if index == 0 {
		return nil, nil
	}
	device, err := netlink.LinkByIndex(index)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up interface %d: %w", index, err)
	}
	if x := device.Attrs().Xdp; x == nil || x.AttachMode != attachedMulti && x.ProgId != uint32(info.Program) {
		return nil, nil
	}
	return device, nil
}

// Sync makes Links what the kernel has, and returns the indexes of interfaces that were lost. A link that holds no
// interface here is released: under an interface in another namespace the program would send packets by the indexes
// of that one. An interface that has come back with another index keeps its link.
func (h *Hook) Sync() (lost []int, err error) {
	var moved []link.Link
	for was, l := range h.Links {
		device, err := held(l)
		switch {
		case err != nil:
			return lost, err
		case device == nil:
			delete(h.Links, was)
			lost = append(lost, was)
			if err := release(l); err != nil {
				return lost, err
			}
		case device.Attrs().Index != was:
			delete(h.Links, was)
			moved = append(moved, l)
		}
	}
	return lost, h.move(moved)
}

// move puts links under the present indexes of their interfaces and names their pins by them, by way of names that
// are free: one may have the former index of another.
func (h *Hook) move(moved []link.Link) error {
	indexes := make([]int, len(moved))
	for i, l := range moved {
		var err error
		if indexes[i], err = indexOf(l); err != nil {
			return err
		}
		h.Links[indexes[i]] = l
		if err := l.Pin(h.linkPin(indexes[i]) + "_moved"); err != nil {
			return fmt.Errorf("rename a link's pin: %w", err)
		}
	}
	for i, l := range moved {
		if err := l.Pin(h.linkPin(indexes[i])); err != nil {
			return fmt.Errorf("rename a link's pin: %w", err)
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
	all := make([]lb.Interface, 0, len(h.Links))
	for _, l := range h.Links {
		device, err := held(l)
		if err != nil {
			return nil, err
		}
		if device != nil {
			all = append(all, Describe(device))
		}
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
	if _, err := h.Sync(); err != nil {
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

// MayAttach returns what Attach would refuse without trying: as Attach, but for lb.ErrUnsupported.
func (h *Hook) MayAttach(device netlink.Link, mode lb.AttachMode) error {
	if _, err := h.Sync(); err != nil {
		return err
	}
	if _, attached := h.Links[device.Attrs().Index]; attached {
		return RequireMode(Describe(device), mode)
	}
	return requireFree(device)
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
	if _, err := h.Sync(); err != nil {
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
