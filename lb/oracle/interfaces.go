package oracle

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"lbctl/lb"
)

// Interfaces implements lb.Dataplane.
func (m *Datapath) Interfaces() ([]lb.Interface, error) {
	done, err := m.begin("list interfaces")
	if err != nil {
		return nil, err
	}
	defer done()
	list := make([]lb.Interface, 0, len(m.tables.attached))
	for _, name := range slices.Sorted(maps.Keys(m.tables.attached)) {
		list = append(list, m.tables.attached[name])
	}
	return list, nil
}

// Condition implements lb.Dataplane: nobody else changes these tables.
func (m *Datapath) Condition() (lb.Condition, error) {
	done, err := m.begin("tell the condition")
	if err != nil {
		return lb.Condition{}, err
	}
	defer done()
	c := lb.Condition{Unfit: map[netip.Addr]string{}}
	for _, s := range m.tables.services {
		for _, r := range s.Replicas {
			if why := m.tables.unfit[r.Address.Addr()]; why != "" {
				c.Unfit[r.Address.Addr()] = why
			}
		}
	}
	return c, nil
}

// Verify implements lb.Dataplane: there is nobody else here, either.
func (m *Datapath) Verify(context.Context, bool) (lb.Verification, error) {
	done, err := m.begin("verify")
	if err != nil {
		return lb.Verification{}, err
	}
	done()
	return lb.Verification{}, nil
}

// Unfit implements lb.Dataplane.
func (m *Datapath) Unfit(addresses []netip.Addr) (map[netip.Addr]string, error) {
	done, err := m.begin("look at addresses")
	if err != nil {
		return nil, err
	}
	defer done()
	why := map[netip.Addr]string{}
	for _, a := range addresses {
		if w, found := m.tables.unfit[a]; found {
			why[a] = w
		}
	}
	return why, nil
}

// Attach implements lb.Dataplane: lb.Auto becomes lb.Native. The error of an unknown mode
// wraps lb.ErrInvalid.
func (m *Datapath) Attach(ctx context.Context, name string, mode lb.AttachMode) (lb.Interface, error) {
	done, err := m.beginChange(ctx, "attach")
	if err != nil {
		return lb.Interface{}, err
	}
	defer done()
	return m.tables.attach(name, mode)
}

// MayAttach implements lb.Dataplane.
func (m *Datapath) MayAttach(name string, mode lb.AttachMode) error {
	done, err := m.begin("look at an interface")
	if err != nil {
		return err
	}
	defer done()
	return m.tables.mayAttach(name, mode)
}

func (t *tables) mayAttach(name string, mode lb.AttachMode) error {
	if _, err := lb.ParseAttachMode(string(mode)); err != nil {
		return fmt.Errorf("attach %s: %w", name, err)
	}
	if _, found := t.links[name]; !found {
		return fmt.Errorf("attach %s: interface %w", name, lb.ErrNotFound)
	}
	if present, attached := t.attached[name]; attached && mode != lb.Auto && mode != present.Mode {
		return fmt.Errorf("attach %s: %w: attached in mode %v", name, lb.ErrConflict, present.Mode)
	}
	return nil
}

func (t *tables) attach(name string, mode lb.AttachMode) (lb.Interface, error) {
	if err := t.mayAttach(name, mode); err != nil {
		return lb.Interface{}, err
	}
	if present, attached := t.attached[name]; attached {
		return present, nil
	}
	if mode == lb.Auto {
		mode = lb.Native
	}
	t.attached[name] = lb.Interface{Name: name, Index: t.links[name], Mode: mode}
	return t.attached[name], nil
}

// Detach implements lb.Dataplane.
func (m *Datapath) Detach(ctx context.Context, name string) error {
	done, err := m.beginChange(ctx, "detach")
	if err != nil {
		return err
	}
	defer done()
	if _, attached := m.tables.attached[name]; !attached {
		return fmt.Errorf("detach %s: %w", name, lb.ErrNotFound)
	}
	delete(m.tables.attached, name)
	return nil
}
