package decap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// fill makes the tables hold the addresses asked for. It adds new ones before it removes old ones: an address that
// is in both sets is allowed at all times.
func (u *unit) fill(o Options) error {
	steps := []func() error{
		func() error { return add(u.Locals, o.Locals) },
		func() error { return add(u.Vips, o.VIPs) },
		func() error { return u.setPorts(o.Ports) },
		func() error { return u.allowAny(len(o.VIPs) == 0) },
		func() error { return keep(u.Locals, o.Locals) },
		func() error { return keep(u.Vips, o.VIPs) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (u *unit) allowAny(any bool) error {
	want := bpf.DecapPolicy{}
	if any {
		want.AnyVip = 1
	}
	is, err := policy(u.Policies)
	if err != nil || is.AnyVip == want.AnyVip {
		return err
	}
	if err := u.Policies.Put(uint32(0), want); err != nil {
		return fmt.Errorf("write %v: %w", u.Policies, err)
	}
	return nil
}

func policy(m *ebpf.Map) (p bpf.DecapPolicy, err error) {
	if err := m.Lookup(uint32(0), &p); err != nil {
		return p, fmt.Errorf("read %v: %w", m, err)
	}
	return p, nil
}

// add adds addresses to a table.
func add(m *ebpf.Map, addresses []netip.Addr) error {
	for _, a := range addresses {
		err := m.Update(keyOf(a), uint32(1), ebpf.UpdateNoExist)
		switch {
		case err == nil, errors.Is(err, ebpf.ErrKeyExist):
		case errors.Is(err, unix.E2BIG):
			return fmt.Errorf("%w: %v holds %d addresses", lb.ErrFull, m, m.MaxEntries())
		default:
			return fmt.Errorf("add %v to %v: %w", a, m, err)
		}
	}
	return nil
}

// keep removes all other addresses from a table.
func keep(m *ebpf.Map, addresses []netip.Addr) error {
	all, err := read(m)
	if err != nil {
		return err
	}
	for _, a := range all {
		if _, wanted := slices.BinarySearchFunc(addresses, a, netip.Addr.Compare); wanted {
			continue
		}
		if err := m.Delete(keyOf(a)); err != nil {
			return fmt.Errorf("remove %v from %v: %w", a, m, err)
		}
	}
	return nil
}

// setPorts makes the table hold those ports; first it adds, then it removes.
func (u *unit) setPorts(want []uint16) error {
	for _, p := range want {
		err := u.Ports.Update(bpf.Port(p), uint32(1), ebpf.UpdateNoExist)
		switch {
		case errors.Is(err, unix.E2BIG):
			return fmt.Errorf("%w: %v holds %d ports", lb.ErrFull, u.Ports, u.Ports.MaxEntries())
		case err != nil && !errors.Is(err, ebpf.ErrKeyExist):
			return fmt.Errorf("add %d to %v: %w", p, u.Ports, err)
		}
	}
	is, err := readPorts(u.Ports)
	if err != nil {
		return err
	}
	for _, p := range is {
		if slices.Contains(want, p) {
			continue
		}
		if err := u.Ports.Delete(bpf.Port(p)); err != nil {
			return fmt.Errorf("remove %d from %v: %w", p, u.Ports, err)
		}
	}
	return nil
}

// readPorts returns the ports of a table, sorted; none of a nil one.
func readPorts(m *ebpf.Map) (all []uint16, err error) {
	if m == nil {
		return nil, nil
	}
	var key [2]byte
	var value uint32
	rows := m.Iterate()
	for rows.Next(&key, &value) {
		all = append(all, binary.BigEndian.Uint16(key[:]))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %v: %w", m, err)
	}
	slices.Sort(all)
	return all, nil
}

// read returns the addresses of a table, sorted.
func read(m *ebpf.Map) (all []netip.Addr, err error) {
	var key bpf.DecapAddress
	var value uint32
	rows := m.Iterate()
	for rows.Next(&key, &value) {
		all = append(all, addressOf(key))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %v: %w", m, err)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all, nil
}

func keyOf(a netip.Addr) bpf.DecapAddress {
	k := bpf.DecapAddress{Bytes: bpf.Address(a), IpVersion: 6}
	if a.Is4() {
		k.IpVersion = 4
	}
	return k
}

// addressOf is the reverse of keyOf.
func addressOf(k bpf.DecapAddress) netip.Addr {
	a := netip.AddrFrom16(k.Bytes)
	if k.IpVersion == 4 {
		return a.Unmap()
	}
	return a
}

// Decapsulated is the reason of the packets whose inner one went up.
const Decapsulated lb.Reason = "decapsulated"

// counters returns what was counted on all CPUs.
func counters(m *ebpf.Map) (map[lb.Reason]lb.Count, error) {
	names, err := bpf.DecapReasons()
	if err != nil {
		return nil, err
	}
	all := make(map[lb.Reason]lb.Count, len(names))
	for i, name := range names {
		var perCPU []bpf.DecapCount
		if err := m.Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("read counter %d of %v: %w", i, m, err)
		}
		var sum lb.Count
		for _, c := range perCPU {
			sum.Packets += c.Packets
			sum.Bytes += c.Bytes
		}
		all[lb.Reason(name)] = sum
	}
	return all, nil
}
