// Package xdp loads and attaches the small XDP programs of the testbed: programs that receive, redirect and
// join links. They run beside the load balancer's program, in other namespaces.
package xdp

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"lbctl/testbed/netns"
)

// Verdicts of include/uapi/linux/bpf.h.
const (
	Aborted = 0
	Drop    = 1
	Pass    = 2
	Tx      = 3
)

// Load loads a program.
func Load(name string, code asm.Instructions) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.XDP, License: "GPL", Instructions: code})
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", name, err)
	}
	return p, nil
}

// Attach loads a program and attaches it as AttachProgram does.
func Attach(to netns.Link, name string, code asm.Instructions) (io.Closer, error) {
	program, err := Load(name, code)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	return AttachProgram(to, program)
}

// AttachProgram attaches a program natively to a link, until the result is closed or this process
// ends. Attaching switches GRO on (drivers/net/veth.c, veth_xdp_set); AttachProgram switches it off again.
func AttachProgram(to netns.Link, program *ebpf.Program) (attached io.Closer, err error) {
	err = to.Namespace().Do(func() error {
		attached, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: to.Index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach xdp to %s: %w", to.Name, err)
	}
	if err := to.OffloadsOff(); err != nil {
		return nil, errors.Join(err, attached.Close())
	}
	return attached, nil
}

// Redirect is the smallest program that forwards: it sends every frame out of one interface and looks at
// nothing. Slow is how many times it first reads the kernel's clock, some 20 ns each: controls are slowed so.
func Redirect(to, slow int) asm.Instructions {
	return append(readClock(slow),
		asm.Mov.Imm(asm.R1, int32(to)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	)
}

// readClock clobbers the registers R0 to R5.
func readClock(times int) (code asm.Instructions) {
	for range times {
		code = append(code, asm.FnKtimeGetNs.Call())
	}
	return code
}
