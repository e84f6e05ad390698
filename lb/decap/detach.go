package decap

import (
	"context"
	"errors"
	"fmt"

	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf/link"
)

// Detach makes an interface unpack no more, and forgets what it counted. Errors: lb.ErrNotFound (no
// such interface, or it does not unpack), lb.ErrDenied.
func Detach(ctx context.Context, dir, name string) error {
	device, err := xdp.Device(name)
	if err != nil {
		return err
	}
	none := fmt.Errorf("%w: %s is not attached", lb.ErrNotFound, name)
	unlock, err := lock(dir)
	if errors.Is(err, lb.ErrNotFound) {
		return none
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
	if alive, err := at.alive(); err != nil {
		return err
	} else if !alive {
		return none
	}
	return at.detach(name)
}

// detach closes the last reference to the link, which detaches, and then removes the rest.
func (p place) detach(name string) error {
	l, err := link.LoadPinnedLink(p.link(), nil)
	if err != nil {
		return fmt.Errorf("open pinned link: %w", xdp.Denied(err))
	}
	if err := errors.Join(l.Unpin(), l.Close()); err != nil {
		return fmt.Errorf("detach xdp from %s: %w", name, err)
	}
	return p.remove()
}
