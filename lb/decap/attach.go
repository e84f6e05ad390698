package decap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// Attach makes an interface decapsulate what comes to its addresses. On an interface that is attached already it
// replaces the addresses and brings in the program of this build, without losing a packet, and writes only what
// differs. dir is below a BPF file system.
//
// Errors: lb.ErrInvalid; lb.ErrNotFound (no such interface); lb.ErrConflict (held by another XDP
// program, which is named, or attached in another mode);
// lb.ErrUnsupported; lb.ErrFull (too many addresses); lb.ErrDenied. After an error the interface is
// attached if it was, and may have addresses from before beside new ones.
func Attach(ctx context.Context, dir, name string, o Options) (Interface, error) {
	o, err := o.check()
	if err != nil {
		return Interface{}, err
	}
	if err := xdp.RequireKernel(); err != nil {
		return Interface{}, err
	}
	device, err := xdp.Device(name)
	if err != nil {
		return Interface{}, err
	}
	if o.Locals, err = withOwn(device, o.Locals); err != nil {
		return Interface{}, err
	}
	if err := xdp.MakeDir(dir); err != nil {
		return Interface{}, err
	}
	if !o.Ephemeral {
		if err := xdp.RequireLasting(dir); err != nil {
			return Interface{}, errors.Join(err, removeEmpty(dir))
		}
	}
	unlock, err := lock(dir)
	if err != nil {
		return Interface{}, err
	}
	defer unlock()
	if err := errors.Join(ctx.Err(), sweep(dir)); err != nil {
		return Interface{}, err
	}
	i, err := attach(dir, device, o)
	if err != nil {
		return i, errors.Join(err, sweep(dir)) // also the new place of this interface
	}
	return i, nil
}

func attach(dir string, device netlink.Link, o Options) (i Interface, err error) {
	at, err := placeOf(dir, device.Attrs().Index)
	if err != nil {
		return i, err
	}
	u, err := open(at)
	if err != nil {
		return i, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.dir.DropNext(u.hook))
		}
		err = errors.Join(err, u.close())
	}()
	if err := u.requireMode(device, o.Mode); err != nil {
		return i, err
	}
	if err := u.fill(o); err != nil {
		return i, err
	}
	lowered, err := u.renew(device, o.Mode)
	if err != nil {
		return i, err
	}
	if device, err = xdp.Device(device.Attrs().Name); err != nil {
		return i, err
	}
	i, err = describe(&u.DecapMaps, xdp.Describe(device))
	if lowered != nil {
		i.Notes = append(i.Notes, fmt.Sprintf("attached in mode generic, which is slower: %v", lowered))
	}
	return i, err
}

// withOwn adds the addresses that the interface has, except link-local ones: no balancer behind a router sends
// to them, and the kernel assigns them as it likes.
func withOwn(device netlink.Link, others []netip.Addr) ([]netip.Addr, error) {
	name := device.Attrs().Name
	own, err := netlink.AddrList(device, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("read addresses of %s: %w", name, err)
	}
	for _, o := range own {
		if a, ok := netip.AddrFromSlice(o.IP); ok && !a.IsLinkLocalUnicast() {
			others = append(others, a)
		}
	}
	if len(others) == 0 {
		return nil, fmt.Errorf("%w: %s has no address, and none is named that packets come to", lb.ErrInvalid, name)
	}
	return tidy(others), nil
}

// Detach makes an interface decapsulate no more, and removes its counters. Errors: lb.ErrNotFound (no
// such interface, or it does not decapsulate), lb.ErrDenied.
func Detach(ctx context.Context, dir, name string) error {
	device, err := xdp.Device(name)
	if err != nil {
		return err
	}
	unlock, err := lock(dir)
	if errors.Is(err, lb.ErrNotFound) {
		return fmt.Errorf("%w: %s is not attached", lb.ErrNotFound, name)
	}
	if err != nil {
		return err
	}
	defer unlock()
	if err := errors.Join(ctx.Err(), sweep(dir)); err != nil {
		return err
	}
	at, err := placeOf(dir, device.Attrs().Index)
	if err != nil {
		return err
	}
	hook, err := at.hook()
	if err != nil {
		return err
	}
	if err := hook.Detach(device); err != nil {
		return errors.Join(err, hook.Close())
	}
	return at.remove()
}

// unit is the program of one interface with its tables.
type unit struct {
	bpf.DecapObjects
	hook *xdp.Hook
	dir  *xdp.Dir
	// next: some tables are new, and pinned apart until the link has the program.
	next bool
}

// open loads the program, with the pinned tables and the link where there are any. In the place of tables of another layout
// it makes new ones.
func open(at place) (_ *unit, err error) {
	if err := os.Mkdir(string(at), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make pin directory: %w", lb.Denied(err))
	}
	u := &unit{dir: xdp.Unlocked(string(at), names())}
	if u.hook, err = at.hook(); err != nil {
		return nil, err
	}
	if err := u.dir.Resume(u.hook, nil); err != nil {
		return nil, errors.Join(err, u.hook.Close())
	}
	if err := u.load(at); err != nil {
		return nil, errors.Join(err, u.dir.DropNext(u.hook), u.hook.Close())
	}
	return u, nil
}

// load loads the program. Pinned tables that fit are used again.
func (u *unit) load(at place) error {
	spec, err := bpf.LoadDecap()
	if err != nil {
		return fmt.Errorf("read the object of the decapsulation program: %w", err)
	}
	o := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: string(at)}, MapReplacements: map[string]*ebpf.Map{}}
	for name, m := range spec.Maps {
		is, err := ebpf.LoadPinnedMap(filepath.Join(string(at), name), nil)
		if m.Pinning != ebpf.PinByName || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("open pinned map %s: %w", name, lb.Denied(err))
		}
		defer is.Close()
		if m.Compatible(is) == nil {
			o.MapReplacements[name] = is
		} else {
			u.next = true
		}
	}
	if u.next {
		o.Maps.PinPath = u.dir.Next()
		if err := u.dir.MakeNext(); err != nil {
			return err
		}
	}
	if err := xdp.Load(spec, &u.DecapObjects, &o); err != nil {
		return fmt.Errorf("load the decapsulation program: %w", err)
	}
	return nil
}

// close releases the handles; what is pinned stays.
func (u *unit) close() error { return errors.Join(u.DecapObjects.Close(), u.hook.Close()) }

// requireMode returns lb.ErrConflict if the interface is attached in another mode.
func (u *unit) requireMode(device netlink.Link, mode lb.AttachMode) error {
	if len(u.hook.Links) == 0 {
		return nil
	}
	return xdp.RequireMode(xdp.Describe(device), mode)
}

// renew brings the program of this build to the interface, and writes nothing if it is there. A changed program is
// pinned after it is under the link, a new one before it is attached: so a link without that pin, which a killed
// process may leave, counts as one with another program. lowered says why mode auto became generic.
func (u *unit) renew(device netlink.Link, mode lb.AttachMode) (lowered, err error) {
	if u.next {
		return nil, u.takeNext()
	}
	if pinned, err := u.hook.IsPinned(u.LbDecap); err != nil || pinned && len(u.hook.Links) > 0 {
		return nil, err
	}
	if len(u.hook.Links) > 0 {
		return nil, u.hook.Swap(u.LbDecap)
	}
	if err := u.hook.PinProgram(u.LbDecap); err != nil {
		return nil, err
	}
	return u.hook.Attach(u.LbDecap, device, mode)
}

// takeNext puts the program over new tables under the link, and the pins in their places.
func (u *unit) takeNext() error {
	if err := u.dir.PinNext(u.hook, u.LbDecap); err != nil {
		return err
	}
	was, err := u.hook.Pinned()
	if err != nil {
		return err
	}
	if was != nil {
		defer was.Close()
	}
	if err := u.hook.Update(u.LbDecap, was); err != nil {
		return err
	}
	return u.dir.TakeNext(u.hook, nil)
}
