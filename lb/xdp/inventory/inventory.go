// Package inventory tells which of our programs and tables the kernel has, and which of what we use of the kernel it has.
package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Loaded is what is pinned in a directory, and what that uses.
type Loaded struct {
	Programs []Program `json:"programs"`
	Tables   []Table   `json:"maps"`
	Links    []Link    `json:"links"`
}

// Program is a program in the kernel.
type Program struct {
	Name     string       `json:"name"`
	Pin      string       `json:"pin,omitempty"` // "" of one that a link alone holds, as that of a monitor
	ID       uint32       `json:"id"`
	Kind     string       `json:"kind"`
	Tag      string       `json:"tag"`
	Ours     bool         `json:"is_of_this_build"`
	Verified uint32       `json:"verified_instructions,omitempty"`
	Memlock  uint64       `json:"memory_bytes,omitempty"`
	MapIDs   []ebpf.MapID `json:"map_ids,omitempty"`
}

// Table is a BPF map in the kernel.
type Table struct {
	Name    string `json:"name"`
	Pin     string `json:"pin"`
	ID      uint32 `json:"id"`
	Kind    string `json:"kind"`
	Key     uint32 `json:"key_bytes"`
	Value   uint32 `json:"value_bytes"`
	Entries uint32 `json:"max_entries"`
	Memlock uint64 `json:"memory_bytes,omitempty"`
}

// Link is what keeps a program at an interface.
type Link struct {
	Pin     string `json:"pin"`
	ID      uint32 `json:"id"`
	Kind    string `json:"kind"`
	Program uint32 `json:"program_id"`
	IfIndex uint32 `json:"ifindex,omitempty"`
}

// Pinned tells what is pinned in a directory and below. It changes nothing and takes no lock. What can be told is told beside an
// error. Errors: fs.ErrNotExist, lb.ErrDenied.
func Pinned(dir string) (all Loaded, err error) {
	dir, all = filepath.Clean(dir), Loaded{[]Program{}, []Table{}, []Link{}}
	var errs []error
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err == nil && d.IsDir():
			return nil
		case err == nil:
			err = all.add(dir, strings.TrimPrefix(path, dir+"/"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, lb.Denied(err)))
		}
		return nil
	})
	if err != nil {
		return Loaded{}, fmt.Errorf("read pin directory: %w", lb.Denied(err))
	}
	all.addHeld(dir)
	return all, errors.Join(errs...)
}

// add tells of one pin, whatever it is of.
func (all *Loaded) add(dir, name string) error {
	path := filepath.Join(dir, name)
	if m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true}); err == nil {
		defer m.Close()
		return all.addTable(name, m)
	}
	if p, err := ebpf.LoadPinnedProgram(path, nil); err == nil {
		defer p.Close()
		return all.addProgram(dir, name, p)
	}
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return err
	}
	told := Link{Pin: name, ID: uint32(info.ID), Kind: fmt.Sprint(info.Type), Program: uint32(info.Program)}
	if x := info.XDP(); x != nil {
		told.Kind, told.IfIndex = "xdp", x.Ifindex
	}
	all.Links = append(all.Links, told)
	return nil
}

func (all *Loaded) addTable(pin string, m *ebpf.Map) error {
	info, err := m.Info()
	if err != nil {
		return err
	}
	id, _ := info.ID()
	memory, _ := info.Memlock()
	all.Tables = append(all.Tables, Table{info.Name, pin, uint32(id), info.Type.String(), info.KeySize, info.ValueSize, info.MaxEntries, memory})
	return nil
}

func (all *Loaded) addProgram(dir, pin string, p *ebpf.Program) error {
	info, err := p.Info()
	if err != nil {
		return err
	}
	id, _ := info.ID()
	verified, _ := info.VerifiedInstructions()
	memory, _ := info.Memlock()
	ids, _ := info.MapIDs()
	all.Programs = append(all.Programs, Program{info.Name, pin, uint32(id), info.Type.String(), info.Tag, isOurs(info, dir), verified, memory, ids})
	return nil
}

// addHeld tells of the programs that links have and that are not pinned, over the tables of a directory.
func (all *Loaded) addHeld(dir string) {
	known := map[uint32]bool{}
	for _, p := range all.Programs {
		known[p.ID] = true
	}
	for _, l := range all.Links {
		if known[l.Program] {
			continue
		}
		known[l.Program] = true
		if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(l.Program)); err == nil {
			_ = all.addProgram(dir, "", p) // it may have ended meanwhile
			p.Close()
		}
	}
}
