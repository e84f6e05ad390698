package decap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// unpacker is the program of one interface with its tables.
type unpacker struct {
	at place
	bpf.DecapObjects
	link link.Link // nil: not attached
}

// open loads the program, with the pinned tables and the link where there are any.
func open(at place) (*unpacker, error) {
	u := &unpacker{at: at}
	if err := os.Mkdir(string(at), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make pin directory: %w", xdp.Denied(err))
	}
	err := bpf.LoadDecapObjects(&u.DecapObjects, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: string(at)}})
	switch {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return nil, fmt.Errorf("%w: the tables pinned in %s have another layout: detach first (%v)", lb.ErrConflict, at, err)
	case err != nil:
		return nil, fmt.Errorf("load the program that unpacks: %w", xdp.Denied(err))
	}
	u.link, err = link.LoadPinnedLink(at.link(), nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("open pinned link: %w", xdp.Denied(err)), u.close())
	}
	return u, nil
}

// close releases the handles; what is pinned stays.
func (u *unpacker) close() error {
	err := u.DecapObjects.Close()
	if u.link != nil {
		err = errors.Join(err, u.link.Close())
	}
	return err
}

// renew puts the program of this build under the link if it is another one.
func (u *unpacker) renew() error {
	same, err := u.isPinned()
	if err != nil || same {
		return err
	}
	if err := u.link.Update(u.LbDecap); err != nil {
		return fmt.Errorf("update xdp link: %w", err)
	}
	return u.pinProgram()
}

// isPinned tells whether the pinned program is this one, by the tag of its instructions.
func (u *unpacker) isPinned() (bool, error) {
	pinned, err := ebpf.LoadPinnedProgram(u.at.program(), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open pinned program: %w", xdp.Denied(err))
	}
	defer pinned.Close()
	is, err := pinned.Info()
	if err != nil {
		return false, fmt.Errorf("look at pinned program: %w", err)
	}
	want, err := u.LbDecap.Info()
	if err != nil {
		return false, fmt.Errorf("look at program: %w", err)
	}
	return is.Tag == want.Tag, nil
}

// pinProgram makes the pin by which the next process knows the program. Between its two steps
// there is none, which the next process takes for another program.
func (u *unpacker) pinProgram() error {
	if err := os.Remove(u.at.program()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove program pin: %w", xdp.Denied(err))
	}
	if err := u.LbDecap.Pin(u.at.program()); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	return nil
}

// describe reads what the interface does and did.
func (u *unpacker) describe(device netlink.Link) (Interface, error) {
	return describe(&u.DecapMaps, xdp.Describe(device))
}
