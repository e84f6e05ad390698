package xdp

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"lbctl/testbed/netns"
)

// maxIndex is the largest interface index that a Patch knows, plus one.
const maxIndex = 4096

// Patch joins interfaces of a namespace in pairs, as a patch panel does: a frame that comes in by one goes out
// by the other, byte for byte. It is one program for all of them, because the kernel calls at most 48 XDP
// programs directly (BPF_DISPATCHER_MAX of include/linux/bpf.h), and the measured balancers should be among them.
type Patch struct {
	program *ebpf.Program
	mates   *ebpf.Map
}

// NewPatch returns a Patch without interfaces. Slow is how many times the program reads the kernel's clock
// for each frame, some 20 ns each.
func NewPatch(slow int) (*Patch, error) {
	mates, err := ebpf.NewMap(&ebpf.MapSpec{Name: "mates", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: maxIndex})
	if err != nil {
		return nil, fmt.Errorf("make patch: %w", err)
	}
	program, err := Load("patch", patch(mates, slow))
	if err != nil {
		return nil, errors.Join(err, mates.Close())
	}
	return &Patch{program, mates}, nil
}

// Close frees the program and its map. Attached links stay attached.
func (p *Patch) Close() error { return errors.Join(p.program.Close(), p.mates.Close()) }

// Pass sends every frame that comes in by a link out by another of the same namespace, until the result is closed.
func (p *Patch) Pass(from, to netns.Link) (io.Closer, error) {
	if err := p.mates.Put(uint32(from.Index), uint32(to.Index)); err != nil {
		return nil, fmt.Errorf("pass from %s to %s: %w", from.Name, to.Name, err)
	}
	return AttachProgram(from, p.program)
}

// patch looks the outgoing interface up by the index of the one that the frame came in by.
func patch(mates *ebpf.Map, slow int) asm.Instructions {
	const ingress = 12 // xdp_md.ingress_ifindex
	code := append(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, readClock(slow)...)
	return append(code,
		asm.LoadMem(asm.R1, asm.R6, ingress, asm.Word),
		asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, mates.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.Word),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, Drop).WithSymbol("drop"),
		asm.Return(),
	)
}
