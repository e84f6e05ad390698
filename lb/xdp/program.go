package xdp

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Swap puts a program in place of the pinned one under every link and pins it. On error those that have it
// already go back to the pinned one.
func (h *Hook) Swap(p *ebpf.Program) error {
	old, err := h.Pinned()
	if err != nil {
		return err
	}
	if old != nil {
		defer old.Close()
	}
	if err := h.Update(p, old); err != nil {
		return err
	}
	return h.PinProgram(p)
}

// Update puts a program under every link, without pinning it. On error those that have it already go back
// to the old one.
func (h *Hook) Update(p, old *ebpf.Program) error {
	var updated []int
	for _, index := range slices.Sorted(maps.Keys(h.Links)) {
		if err := update(h.Links[index], p); err != nil {
			err = fmt.Errorf("update xdp link of interface %d: %w", index, err)
			return errors.Join(err, h.restore(updated, old))
		}
		updated = append(updated, index)
	}
	return nil
}

// Restore puts a program under every link, also under those after one that fails.
func (h *Hook) Restore(p *ebpf.Program) error {
	return h.restore(slices.Collect(maps.Keys(h.Links)), p)
}

func (h *Hook) restore(indexes []int, old *ebpf.Program) (err error) {
	for _, index := range indexes {
		if old == nil {
			return errors.New("no old program is pinned to go back to")
		}
		err = errors.Join(err, update(h.Links[index], old))
	}
	return err
}

// update puts a program under a link. The link of an interface that was deleted needs none: the kernel
// detached it, and the pin is removed later.
func update(l link.Link, p *ebpf.Program) error {
	if err := l.Update(p); err != nil && !errors.Is(err, unix.ENOLINK) {
		return err
	}
	return nil
}

// Pinned returns the program that is pinned, nil if there is none. The caller closes it.
func (h *Hook) Pinned() (*ebpf.Program, error) { return pinnedProgram(h.programPin()) }

func pinnedProgram(path string) (*ebpf.Program, error) {
	p, err := ebpf.LoadPinnedProgram(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the pinned program: %w", lb.Denied(err))
	}
	return p, nil
}

// IsPinned reports whether the pinned program has the same instructions, by the kernel's tag of them.
func (h *Hook) IsPinned(p *ebpf.Program) (bool, error) {
	old, err := h.Pinned()
	if old == nil || err != nil {
		return false, err
	}
	defer old.Close()
	was, err := old.Info()
	if err != nil {
		return false, fmt.Errorf("inspect the pinned program: %w", err)
	}
	is, err := p.Info()
	if err != nil {
		return false, fmt.Errorf("inspect the program: %w", err)
	}
	return was.Tag == is.Tag, nil
}

// PinProgram renews the pin by which the next process knows the program.
func (h *Hook) PinProgram(p *ebpf.Program) error {
	next := h.programPin() + "_next" // a BPF file system takes no dots in names
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stale program pin: %w", lb.Denied(err))
	}
	// A clone, so that the handle's pin path does not follow the rename.
	clone, err := p.Clone()
	if err != nil {
		return fmt.Errorf("clone program: %w", err)
	}
	defer clone.Close()
	if err := clone.Pin(next); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	return os.Rename(next, h.programPin())
}

// Misled returns the links that have neither p nor a program that hands packets on to it, by the name of their interface.
func (h *Hook) Misled(p *ebpf.Program) (map[string]link.Link, error) {
	if h.known.program != p { // to ask takes longer than all the rest
		id, err := programID(p)
		if err != nil {
			return nil, err
		}
		h.known.program, h.known.id = p, id
	}
	want := h.known.id
	misled := map[string]link.Link{}
	for _, l := range h.Links {
		info, err := l.Info()
		if err != nil {
			return nil, fmt.Errorf("inspect a link: %w", err)
		}
		if info.Program == want || precedes(info.Program, want) {
			continue
		}
		if device, err := netlink.LinkByIndex(int(info.XDP().Ifindex)); err == nil { // else it is lost: see Sync
			misled[device.Attrs().Name] = l
		}
	}
	return misled, nil
}

// Reclaim puts p back under the links that have another program, by one store each, and returns the names of their interfaces.
func (h *Hook) Reclaim(p *ebpf.Program) (names []string, err error) {
	misled, err := h.Misled(p)
	for name, l := range misled {
		if again := update(l, p); again != nil {
			err = errors.Join(err, fmt.Errorf("update xdp link of %s: %w", name, again))
			continue
		}
		names = append(names, name)
	}
	return names, err
}

// Runs says in words which program a link has.
func Runs(l link.Link) string {
	info, err := l.Info()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("program %d, %s", info.Program, ProgramName(uint32(info.Program)))
}
