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

// Attach loads a program and attaches it natively to a link, until the result is closed or this
// process ends. Attaching switches GRO on (drivers/net/veth.c, veth_xdp_set): unless frames are to
// be merged it is switched off again.
func Attach(to netns.Link, name string, merge bool, code asm.Instructions) (io.Closer, error) {
	program, err := Load(name, code)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	var attached link.Link
	err = to.Namespace().Do(func() error {
		attached, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: to.Index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach xdp to %s: %w", to.Name, err)
	}
	if merge {
		return attached, nil
	}
	if err := to.OffloadsOff(); err != nil {
		return nil, errors.Join(err, attached.Close())
	}
	return attached, nil
}

// AskTime is code that asks the kernel for the time so many times, some 20 ns each: it makes a program
// slow. Registers R0 to R5 are lost.
func AskTime(times int) (code asm.Instructions) {
	for range times {
		code = append(code, asm.FnKtimeGetNs.Call())
	}
	return code
}
