package decap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/vishvananda/netlink"
)

// Attach makes an interface unpack what comes to its addresses. What is attached gets the addresses
// that are named now in place of those from before, and the program of this build, without a packet
// lost; nothing is written that is right already. dir is below a BPF file system.
//
// Errors: lb.ErrInvalid; lb.ErrNotFound (no such interface); lb.ErrConflict (held by another XDP
// program, which is named, or attached in another mode, or pinned by a build with other tables);
// lb.ErrUnsupported; lb.ErrFull (too many addresses); lb.ErrDenied. After an error the interface is
// attached if it was, and may have addresses from before beside new ones.
func Attach(ctx context.Context, dir, name string, o Options) (Interface, error) {
	o, err := o.check()
	if err != nil {
		return Interface{}, err
	}
	device, err := xdp.Device(name)
	if err != nil {
		return Interface{}, err
	}
	if o.Locals, err = withOwn(device, o.Locals); err != nil {
		return Interface{}, err
	}
	fleeting, err := xdp.MakeDir(dir)
	if err != nil {
		return Interface{}, err
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
		return i, errors.Join(err, sweep(dir)) // what was begun for this one, too
	}
	if fleeting {
		i.Notes = append(i.Notes, "the BPF file system is in a mount namespace that is not the machine's: when the last process in it "+
			"ends, unpacking ends too (ip netns exec makes such a one, nsenter --net does not)")
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
	defer func() { err = errors.Join(err, u.close()) }()
	if u.link == nil {
		lowered, err := u.start(device, o)
		if err != nil {
			return i, err
		}
		if lowered != nil {
			i.Notes = append(i.Notes, fmt.Sprintf("attached in mode generic, which is slower: %v", lowered))
		}
	} else if err := u.change(device, o); err != nil {
		return i, err
	}
	if device, err = xdp.Device(device.Attrs().Name); err != nil {
		return i, err
	}
	notes := i.Notes
	i, err = u.describe(device)
	i.Notes = notes
	return i, err
}

// start hooks an interface that was not. lowered says why mode auto became generic.
func (u *unpacker) start(device netlink.Link, o Options) (lowered, err error) {
	if err := u.fill(o); err != nil {
		return nil, err
	}
	if u.link, lowered, err = xdp.Attach(u.LbDecap, device, o.Mode); err != nil {
		return nil, err
	}
	if err := u.pinProgram(); err != nil {
		return nil, err
	}
	if err := u.link.Pin(u.at.link()); err != nil {
		return nil, fmt.Errorf("pin xdp link of %s: %w", device.Attrs().Name, err)
	}
	return lowered, nil
}

// change brings an interface that is hooked to what is asked now.
func (u *unpacker) change(device netlink.Link, o Options) error {
	if i := xdp.Describe(device); o.Mode != lb.Auto && o.Mode != i.Mode {
		return fmt.Errorf("%w: %s is attached in mode %s", lb.ErrConflict, i.Name, i.Mode)
	}
	if err := u.fill(o); err != nil {
		return err
	}
	return u.renew()
}

// withOwn adds the addresses that the interface has, but those of the link: no balancer behind a router sends to
// them, and the kernel gives them out when it likes.
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
