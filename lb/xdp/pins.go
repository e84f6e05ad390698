package xdp

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// pin is a name in the pin directory, and the object that belongs there.
type pin struct {
	path   string
	object any
	// stands reports whether the object is pinned there; renew pins it where nothing is.
	stands func() bool
	renew  func() error
}

// stood is a pin that was opened and had its object: the file that it was. A BPF file system makes a new inode for each pin, so
// the same file is the same object.
type stood struct {
	object any
	file   file
}

type file struct {
	device, inode uint64
	changed       unix.Timespec
}

// fileAt returns the file at a path, the zero value for none.
func fileAt(path string) file {
	var s unix.Stat_t
	if unix.Stat(path, &s) != nil {
		return file{}
	}
	return file{s.Dev, s.Ino, s.Ctim}
}

// stands reports whether an object is pinned where it belongs. It opens the pin only if it is another file than when it last did.
func (h *Hook) stands(p pin) bool {
	now := stood{p.object, fileAt(p.path)}
	if now.file == (file{}) {
		return false
	}
	if h.stood[p.path] == now {
		return true
	}
	is := p.stands()
	if is && fileAt(p.path) == now.file {
		h.stood[p.path] = now
	}
	return is
}

// pins are those of the links, of the program and of its maps by their names.
func (h *Hook) pins(p *ebpf.Program, tables map[string]*ebpf.Map) []pin {
	all := []pin{{h.programPin(), p, func() bool { return h.programStands(p) }, func() error { return h.PinProgram(p) }}}
	for _, index := range slices.Sorted(maps.Keys(h.Links)) {
		path, l := h.linkPin(index), h.Links[index]
		all = append(all, pin{path, l, func() bool { return linkStands(path, l) }, func() error {
			return errors.Join(l.Unpin(), l.Pin(path)) // a link that takes itself for pinned is not pinned again
		}})
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		path, m := filepath.Join(h.dir, name), tables[name]
		all = append(all, pin{path, m, func() bool { return mapStands(path, m) }, func() error { return pinMap(m, path) }})
	}
	return all
}

// Unpinned returns the paths at which what should be pinned is not, or something else is.
func (h *Hook) Unpinned(p *ebpf.Program, tables map[string]*ebpf.Map) (missing []string) {
	for _, pin := range h.pins(p, tables) {
		if !h.stands(pin) {
			missing = append(missing, pin.path)
		}
	}
	return missing
}

// Repin pins what Unpinned names, in a new directory and on a new BPF file system if need be, and returns what it
// pinned. Errors: those of MakeDir.
func (h *Hook) Repin(p *ebpf.Program, tables map[string]*ebpf.Map) (repinned []string, err error) {
	for _, pin := range h.pins(p, tables) {
		if h.stands(pin) {
			continue
		}
		if err := MakeDir(h.dir); err != nil {
			return repinned, err
		}
		if err := os.RemoveAll(pin.path); err != nil {
			return repinned, fmt.Errorf("remove what stands in the place of a pin: %w", lb.Denied(err))
		}
		if err := pin.renew(); err != nil {
			return repinned, fmt.Errorf("pin %s again: %w", pin.path, err)
		}
		repinned = append(repinned, pin.path)
	}
	return repinned, nil
}

func (h *Hook) programStands(p *ebpf.Program) bool {
	pinned, err := h.Pinned()
	if err != nil || pinned == nil {
		return false
	}
	defer pinned.Close()
	want, err := programID(p)
	is, err1 := programID(pinned)
	return err == nil && err1 == nil && is == want
}

func programID(p *ebpf.Program) (ebpf.ProgramID, error) {
	info, err := p.Info()
	if err != nil {
		return 0, fmt.Errorf("inspect a program: %w", err)
	}
	id, _ := info.ID()
	return id, nil
}

func linkStands(path string, l link.Link) bool {
	pinned, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return false
	}
	defer pinned.Close()
	want, err := l.Info()
	is, err1 := pinned.Info()
	return err == nil && err1 == nil && is.ID == want.ID
}

func mapStands(path string, m *ebpf.Map) bool {
	pinned, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return false
	}
	defer pinned.Close()
	want, err := mapID(m)
	is, err1 := mapID(pinned)
	return err == nil && err1 == nil && is == want
}

func mapID(m *ebpf.Map) (ebpf.MapID, error) {
	info, err := m.Info()
	if err != nil {
		return 0, fmt.Errorf("inspect a map: %w", err)
	}
	id, _ := info.ID()
	return id, nil
}

// pinMap pins a map by a clone: a handle that takes itself for pinned is not pinned again.
func pinMap(m *ebpf.Map, path string) error {
	clone, err := m.Clone()
	if err != nil {
		return fmt.Errorf("clone map: %w", err)
	}
	defer clone.Close()
	return clone.Pin(path)
}
