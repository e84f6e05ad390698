package xdp

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// precedes tells whether one program hands packets on to another: a table of its tail calls holds it. Such a program was put
// before the other, as an observer, and may stay. The kernel empties the table when the process that filled it is gone.
// Without the right to look, CAP_SYS_ADMIN, the answer is no.
func precedes(one, other ebpf.ProgramID) bool {
	p, err := ebpf.NewProgramFromID(one)
	if err != nil {
		return false
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return false
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		if calls(id, other) {
			return true
		}
	}
	return false
}

// calls tells whether a map holds a program for tail calls.
func calls(id ebpf.MapID, program ebpf.ProgramID) bool {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return false
	}
	defer m.Close()
	if m.Type() != ebpf.ProgramArray {
		return false
	}
	for at := range m.MaxEntries() {
		var held uint32
		if m.Lookup(at, &held) == nil && ebpf.ProgramID(held) == program {
			return true
		}
	}
	return false
}

// Same tells whether two programs do the same: they have the same instructions and tables, and constants of the same values.
// Without the right to look, CAP_SYS_ADMIN, the answer is no.
func Same(one, other *ebpf.Program) bool {
	a, err := one.Info()
	b, err1 := other.Info()
	if err != nil || err1 != nil || a.Tag != b.Tag {
		return false
	}
	as, _ := a.MapIDs()
	bs, _ := b.MapIDs()
	return len(as) == len(bs) && !slices.ContainsFunc(as, func(id ebpf.MapID) bool {
		return !slices.Contains(bs, id) && !slices.ContainsFunc(bs, func(of ebpf.MapID) bool { return sameConstants(id, of) })
	})
}

// TableOf returns a table of the program that is pinned at a path, nil if there is none or it may not be looked at. The caller
// closes it.
func TableOf(path, name string) *ebpf.Map {
	p, err := ebpf.LoadPinnedProgram(path, nil)
	if err != nil {
		return nil
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return nil
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return nil
		}
		if is, err := m.Info(); err == nil && is.Name == name {
			return m
		}
		m.Close()
	}
	return nil
}

// sameConstants tells whether two maps are constants, fixed when their programs were loaded, of the same values, or what a CPU
// works with while it handles one packet.
func sameConstants(one, other ebpf.MapID) bool {
	var values [2][]byte
	for i, id := range []ebpf.MapID{one, other} {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return false
		}
		defer m.Close()
		info, err := m.Info()
		if err != nil || m.MaxEntries() != 1 {
			return false
		}
		if m.Type() == ebpf.PerCPUArray {
			values[i] = fmt.Appendf(nil, "%s, %d bytes", info.Name, m.ValueSize())
			continue
		}
		if !info.Frozen() || m.Lookup(uint32(0), &values[i]) != nil {
			return false
		}
	}
	return bytes.Equal(values[0], values[1])
}
