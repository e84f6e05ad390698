package xdp

import "github.com/cilium/ebpf"

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
