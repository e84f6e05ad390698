// Package xdp loads the small XDP programs that benchmarks put beside the load balancer's.
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

// Attach is AttachProgram for a program that is loaded for it.
func Attach(to netns.Link, name string, code asm.Instructions) (io.Closer, error) {
	program, err := Load(name, code)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	return AttachProgram(to, program)
}

// AttachProgram attaches a program natively to a link, until the result is closed or this
// process ends. Attaching switches GRO on (drivers/net/veth.c, veth_xdp_set): it is switched off again.
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

// Redirect is the least program that can send a packet on: out of an interface, nothing looked at.
// Slow is how often it asks the kernel for the time before that, some 20 ns each: this is how a control is slowed.
func Redirect(to, slow int) asm.Instructions {
	return append(askTime(slow),
		asm.Mov.Imm(asm.R1, int32(to)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	)
}

// askTime loses the registers R0 to R5.
func askTime(times int) (code asm.Instructions) {
	for range times {
		code = append(code, asm.FnKtimeGetNs.Call())
	}
	return code
}
