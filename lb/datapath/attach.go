package datapath

import (
	"context"

	"lbctl/lb"
	"lbctl/lb/xdp"
)

// programPin is the name of the program's pin; links are link_INDEX, maps bear their names.
const programPin = "lb"

// Interfaces returns the interfaces that are attached, sorted by name.
func (d *Datapath) Interfaces() (all []lb.Interface, err error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	err = d.hops.inside(func() (err error) {
		all, err = d.hook.Interfaces()
		return err
	})
	return all, err
}

// Attach hooks the program to an interface. See lb.Dataplane.
func (d *Datapath) Attach(ctx context.Context, name string, mode lb.AttachMode) (i lb.Interface, err error) {
	unlock, err := d.lock()
	if err != nil {
		return i, err
	}
	defer unlock()
	if _, err := lb.ParseAttachMode(string(mode)); err != nil {
		return i, err
	}
	err = d.hops.inside(func() (err error) {
		i, err = d.attach(ctx, name, mode)
		return err
	})
	return i, err
}

func (d *Datapath) attach(ctx context.Context, name string, mode lb.AttachMode) (lb.Interface, error) {
	device, err := xdp.Device(name)
	if err != nil {
		return lb.Interface{}, err
	}
	if _, attached := d.hook.Links[device.Attrs().Index]; !attached && ctx.Err() != nil {
		return lb.Interface{}, ctx.Err()
	}
	lowered, err := d.hook.Attach(d.program(), device, mode)
	if err != nil {
		return lb.Interface{}, err
	}
	if lowered != nil {
		d.options.Logger.Warn("attached in generic mode", "interface", name, "because", lowered)
	}
	if device, err = xdp.Device(name); err != nil {
		return lb.Interface{}, err
	}
	return xdp.Describe(device), nil
}

// Detach unhooks an interface. See lb.Dataplane.
func (d *Datapath) Detach(ctx context.Context, name string) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return d.hops.inside(func() error {
		device, err := xdp.Device(name)
		if err != nil {
			return err
		}
		return d.hook.Detach(device)
	})
}
