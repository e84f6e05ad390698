package xdp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"lbctl/lb"

	"github.com/cilium/ebpf"
)

// Pins that are to take the place of those in a pin directory are made in a directory below it. While that is named
// nextDir they are being made; once a link has the program among them they are in use, and there is no way back. Renamed to
// doneDir, they only have to be moved to their places.
const (
	nextDir = "next"
	doneDir = "done"
)

// Next is the directory below the pin directory in which its next pins are made.
func (d *Dir) Next() string { return filepath.Join(d.path, nextDir) }

func (d *Dir) done() string { return filepath.Join(d.path, doneDir) }

// MakeNext makes the directory of the next pins.
func (d *Dir) MakeNext() error {
	if err := os.Mkdir(d.Next(), 0o700); err != nil {
		return fmt.Errorf("make the directory of the next pins: %w", lb.Denied(err))
	}
	return nil
}

// Resume ends what an earlier process has left of next pins: forwards if a link has the program among them. Then, when all
// links have it, catchUp is called, if it is not nil; both tables are still pinned.
func (d *Dir) Resume(h *Hook, catchUp func() error) error {
	if exists(d.done()) {
		return d.MoveDone(h, nil)
	}
	if !exists(d.Next()) {
		return nil
	}
	if used, err := d.nextInUse(h); err != nil || !used {
		return errors.Join(err, d.DropNext(h))
	}
	program, err := d.nextProgram(h)
	if err != nil {
		return err
	}
	defer program.Close()
	if err := h.Update(program, nil); err != nil {
		return err
	}
	if catchUp != nil {
		if err := catchUp(); err != nil {
			return err
		}
	}
	return d.TakeNext(h, nil)
}

// Interrupted tells whether there is something for Resume.
func (d *Dir) Interrupted() bool { return exists(d.Next()) || exists(d.done()) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// DropNext removes the next pins, if there are any. Where a link has the program among them it keeps them.
func (d *Dir) DropNext(h *Hook) error {
	used, err := d.nextInUse(h)
	if used || err != nil {
		return err
	}
	return removeBelow(d.path, nextDir, d.names)
}

// nextInUse tells whether a link has the program among the next pins. A nil hook has no links.
func (d *Dir) nextInUse(h *Hook) (bool, error) {
	if h == nil {
		return false, nil
	}
	p, err := d.nextProgram(h)
	if p == nil || err != nil {
		return false, err
	}
	defer p.Close()
	return h.has(p)
}

// nextProgram returns the program among the next pins, nil if there is none. The caller closes it.
func (d *Dir) nextProgram(h *Hook) (*ebpf.Program, error) {
	return pinnedProgram(filepath.Join(d.Next(), h.program))
}

// PinNext pins a program among the next pins.
func (d *Dir) PinNext(h *Hook, p *ebpf.Program) error {
	clone, err := p.Clone()
	if err != nil {
		return fmt.Errorf("clone program: %w", err)
	}
	defer clone.Close()
	if err := clone.Pin(filepath.Join(d.Next(), h.program)); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	return nil
}

// has tells whether a link has a program.
func (h *Hook) has(p *ebpf.Program) (bool, error) {
	want, err := programID(p)
	if err != nil {
		return false, err
	}
	for _, l := range h.Links {
		info, err := l.Info()
		if err != nil {
			return false, fmt.Errorf("inspect a link: %w", err)
		}
		if info.Program == want {
			return true, nil
		}
	}
	return false, nil
}

// TakeNext puts the next pins in the place of those of the same names, and removes those of tables that only the program
// before had. after, if it is not nil, is called after every step.
func (d *Dir) TakeNext(h *Hook, after func(string)) error {
	if err := os.Rename(d.Next(), d.done()); err != nil {
		return fmt.Errorf("rename the directory of the next pins: %w", lb.Denied(err))
	}
	return d.MoveDone(h, after)
}

// MoveDone is the rest of TakeNext, once the directory has been renamed. The program is moved last: by it the tables are
// known that have no successor.
func (d *Dir) MoveDone(h *Hook, after func(string)) error {
	if after == nil {
		after = func(string) {}
	}
	d.found = slices.Clone(d.names) // none of them is to be discarded any more
	after("renamed")
	if err := d.removeObsolete(h); err != nil {
		return err
	}
	after("removed what has no successor")
	next, err := os.ReadDir(d.done())
	if err != nil {
		return fmt.Errorf("read the next pins: %w", lb.Denied(err))
	}
	names := make([]string, 0, len(next))
	for _, n := range next {
		if n.Name() != h.program {
			names = append(names, n.Name())
		}
	}
	if len(names) < len(next) {
		names = append(names, h.program)
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(d.done(), name), filepath.Join(d.path, name)); err != nil {
			return fmt.Errorf("move the next pin %s: %w", name, lb.Denied(err))
		}
		after("moved " + name)
	}
	if err := os.Remove(d.done()); err != nil {
		return fmt.Errorf("remove the directory of the next pins: %w", lb.Denied(err))
	}
	return nil
}

// removeObsolete removes the pins of tables that the program before has, and the next one has not.
func (d *Dir) removeObsolete(h *Hook) error {
	old, err := h.Pinned()
	if old == nil || err != nil {
		return err
	}
	defer old.Close()
	info, err := old.Info()
	if err != nil {
		return fmt.Errorf("inspect the pinned program: %w", err)
	}
	of, _ := info.MapIDs()
	pins, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("read pin directory: %w", lb.Denied(err))
	}
	for _, pin := range pins {
		if pin.IsDir() || slices.Contains(d.names, pin.Name()) || !isMapOf(filepath.Join(d.path, pin.Name()), of) {
			continue
		}
		if err := os.Remove(filepath.Join(d.path, pin.Name())); err != nil {
			return fmt.Errorf("remove a pin: %w", lb.Denied(err))
		}
	}
	return nil
}

// isMapOf tells whether a map with one of these numbers is pinned somewhere.
func isMapOf(path string, ids []ebpf.MapID) bool {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return false
	}
	defer m.Close()
	id, err := mapID(m)
	return err == nil && slices.Contains(ids, id)
}

// removeBelow removes a directory of next pins, if it is there, and what is ours in it.
func removeBelow(path, below string, names []string) error {
	dir := filepath.Join(path, below)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return remove(dir, names, nil)
}
