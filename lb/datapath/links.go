package datapath

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
)

// programPin is the name of the program's pin; links are link_INDEX, maps bear their names.
const programPin = "lb"

// pinNames are the names of what is pinned beside links: the program, and the tables; the settings, without which the
// directory is not ours, are the last.
func pinNames() ([]string, error) {
	spec, err := bpf.LoadLb()
	if err != nil {
		return nil, fmt.Errorf("read the datapath's object: %w", err)
	}
	names := []string{programPin, programPin + "_next"}
	for name, m := range spec.Maps {
		if m.Pinning == ebpf.PinByName && name != bpf.LbMapSettings {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return append(names, bpf.LbMapSettings), nil
}

// links hold the program to interfaces, in the namespace of the next hops.
type links struct {
	hook *xdp.Hook // nil before adopt
	hops *hops
	log  *slog.Logger
}

// adopt takes over the pinned links.
func (l *links) adopt(dir string) (err error) {
	l.hook, err = xdp.Open(dir, programPin)
	return err
}

func (l *links) close() error {
	if l.hook == nil {
		return nil
	}
	return l.hook.Close()
}

// indexes are those of the attached interfaces.
func (l *links) indexes() []int {
	if l.hook == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(l.hook.Links))
}

func (l *links) interfaces() (all []lb.Interface, err error) {
	err = l.hops.network.Inside(func() (err error) {
		all, err = l.hook.Interfaces()
		return err
	})
	return all, err
}

func (l *links) attach(ctx context.Context, p *ebpf.Program, name string, mode lb.AttachMode) (i lb.Interface, err error) {
	if _, err := lb.ParseAttachMode(string(mode)); err != nil {
		return i, err
	}
	err = l.hops.network.Inside(func() (err error) {
		i, err = l.attachHere(ctx, p, name, mode)
		return err
	})
	return i, err
}

// attachHere is attach on a thread that is in the namespace.
func (l *links) attachHere(ctx context.Context, p *ebpf.Program, name string, mode lb.AttachMode) (lb.Interface, error) {
	device, err := xdp.Device(name)
	if err != nil {
		return lb.Interface{}, err
	}
	if _, attached := l.hook.Links[device.Attrs().Index]; !attached && ctx.Err() != nil {
		return lb.Interface{}, ctx.Err()
	}
	lowered, err := l.hook.Attach(p, device, mode)
	if err != nil {
		return lb.Interface{}, err
	}
	if lowered != nil {
		l.log.Warn("attached in generic mode", "interface", name, "because", lowered)
	}
	if device, err = xdp.Device(name); err != nil {
		return lb.Interface{}, err
	}
	return xdp.Describe(device), nil
}

func (l *links) mayAttach(name string, mode lb.AttachMode) error {
	if _, err := lb.ParseAttachMode(string(mode)); err != nil {
		return err
	}
	return l.hops.network.Inside(func() error {
		device, err := xdp.Device(name)
		if err != nil {
			return err
		}
		return l.hook.MayAttach(device, mode)
	})
}

func (l *links) detach(name string) error {
	return l.hops.network.Inside(func() error {
		device, err := xdp.Device(name)
		if err != nil {
			return err
		}
		return l.hook.Detach(device)
	})
}
