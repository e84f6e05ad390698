package rig

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"lbctl/testbed/netns"
)

// xdpPass is XDP_PASS of include/uapi/linux/bpf.h.
const xdpPass = 2

// Receive attaches a native XDP program that passes everything to a link. A veth takes the
// frames that XDP on its peer sends back or redirects to it only so: without a program, or NAPI
// otherwise switched on, it drops them (drivers/net/veth.c, veth_xdp_xmit). Attaching
// switches GRO on; Receive switches it off again, so that a capture sees frames as they came.
//
// The program is attached until the result is closed, or the process ends.
func Receive(l netns.Link) (io.Closer, error) {
	return receive(l, asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()})
}

// ReceiveOn is Receive for a host that does its receiving on one core, whatever core the
// frames come on. With its processes on that core too (netns.Namespace.Pin), what it sends leaves in
// order: otherwise the answers of one connection take turns on two cores, arrive through two queues of a SoftNIC, and overtake each other.
func ReceiveOn(l netns.Link, core int) (io.Closer, error) {
	cores, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "receive_on", Type: ebpf.CPUMap, KeySize: 4, ValueSize: 4, MaxEntries: uint32(core) + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("make cpu map: %w", err)
	}
	defer cores.Close()
	if err := cores.Put(uint32(core), uint32(hostQueue)); err != nil {
		return nil, fmt.Errorf("receive on core %d: %w", core, err)
	}
	return receive(l, asm.Instructions{
		asm.LoadMapPtr(asm.R1, cores.FD()),
		asm.Mov.Imm(asm.R2, int32(core)),
		asm.Mov.Imm(asm.R3, xdpPass), // if the map says no
		asm.FnRedirectMap.Call(),
		asm.Return(),
	})
}

// hostQueue is how many frames wait for the core of ReceiveOn.
const hostQueue = 4096

// receive attaches a program to a link and keeps GRO off.
func receive(l netns.Link, program asm.Instructions) (io.Closer, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "receive", Type: ebpf.XDP, License: "MIT", Instructions: program})
	if err != nil {
		return nil, fmt.Errorf("load receive program: %w", err)
	}
	defer p.Close()
	attached, err := attach(l, p)
	if err != nil {
		return nil, err
	}
	if err := l.OffloadsOff(); err != nil {
		return nil, errors.Join(err, attached.Close())
	}
	return attached, nil
}

// attach attaches a program natively.
func attach(l netns.Link, program *ebpf.Program) (attached link.Link, err error) {
	err = l.Namespace().Do(func() error {
		attached, err = link.AttachXDP(link.XDPOptions{
			Program: program, Interface: l.Index, Flags: link.XDPDriverMode,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach xdp to %s: %w", l.Name, err)
	}
	return attached, nil
}
