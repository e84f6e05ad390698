package xdp

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"lbctl/testbed/netns"
)

// maxIndex is the largest number of an interface that an Exchange knows, plus one.
const maxIndex = 4096

// Exchange is one program for all the interfaces of a namespace: what comes in by one goes out, as it is, by another.
// One program, since the kernel calls no more than 48 XDP programs directly (BPF_DISPATCHER_MAX of
// include/linux/bpf.h), and the balancers that are measured should be among them.
type Exchange struct {
	program *ebpf.Program
	mates   *ebpf.Map
}

// NewExchange returns one without interfaces. Slow is how often each frame waits for the kernel's
// clock, some 20 ns each.
func NewExchange(slow int) (*Exchange, error) {
	mates, err := ebpf.NewMap(&ebpf.MapSpec{Name: "mates", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: maxIndex})
	if err != nil {
		return nil, fmt.Errorf("make exchange: %w", err)
	}
	program, err := Load("exchange", exchange(mates, slow))
	if err != nil {
		return nil, errors.Join(err, mates.Close())
	}
	return &Exchange{program, mates}, nil
}

// Close frees it. What is attached stays so.
func (e *Exchange) Close() error { return errors.Join(e.program.Close(), e.mates.Close()) }

// Pass sends what comes in by a link out by another of the same namespace, until the result is closed.
func (e *Exchange) Pass(from, to netns.Link) (io.Closer, error) {
	if err := e.mates.Put(uint32(from.Index), uint32(to.Index)); err != nil {
		return nil, fmt.Errorf("pass from %s to %s: %w", from.Name, to.Name, err)
	}
	return AttachProgram(from, e.program)
}

// exchange asks the map of mates by the index of the interface that a frame came in by.
func exchange(mates *ebpf.Map, slow int) asm.Instructions {
	const ingress = 12 // xdp_md.ingress_ifindex
	code := append(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, askTime(slow)...)
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
