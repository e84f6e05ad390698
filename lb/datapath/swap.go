package datapath

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// programPin is the name of the program's pin; links are link_INDEX, maps bear their names.
const programPin = "lb"

// pinned returns the program that the process before has put under the links, nil if there
// was none.
func (d *Datapath) pinned() (*ebpf.Program, error) {
	p, err := ebpf.LoadPinnedProgram(filepath.Join(d.options.Dir, programPin), nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the pinned program: %w", denied(err))
	}
	return p, nil
}

// swapProgram puts the new program under every pinned link and renews its pin. On error those
// that have it already go back to the old one.
func (d *Datapath) swapProgram() error {
	old, err := d.pinned()
	if err != nil {
		return err
	}
	if old != nil {
		defer old.Close()
	}
	if err := d.updateLinks(d.objects.Lb, old); err != nil {
		return err
	}
	return d.pinProgram()
}

// updateLinks puts a program under all links. On error those that have it already go back to the
// old one.
func (d *Datapath) updateLinks(program, old *ebpf.Program) error {
	var updated []link.Link
	for _, index := range slices.Sorted(maps.Keys(d.links)) {
		if err := update(d.links[index], program); err != nil {
			err = fmt.Errorf("update xdp link of interface %d: %w", index, err)
			return errors.Join(err, takeBack(updated, old))
		}
		updated = append(updated, d.links[index])
	}
	return nil
}

// takeBack puts the old program under links again.
func takeBack(links []link.Link, old *ebpf.Program) (err error) {
	for _, l := range links {
		if old == nil {
			return errors.New("no old program is pinned to go back to")
		}
		err = errors.Join(err, update(l, old))
	}
	return err
}

// update puts a program under a link. Under that of an interface that was deleted none is
// needed: the kernel detached, the pin goes at the next start.
func update(l link.Link, program *ebpf.Program) error {
	if err := l.Update(program); err != nil && !errors.Is(err, unix.ENOLINK) {
		return err
	}
	return nil
}

// pinProgram renews the pin of the program.
func (d *Datapath) pinProgram() error {
	pin := filepath.Join(d.options.Dir, programPin)
	next := pin + "_next" // a BPF file system takes no dots in names
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stale program pin: %w", err)
	}
	// A clone, so that the handle's pin path does not follow the rename.
	p, err := d.objects.Lb.Clone()
	if err != nil {
		return fmt.Errorf("clone program: %w", err)
	}
	defer p.Close()
	if err := p.Pin(next); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	return os.Rename(next, pin)
}
