package xdp

import (
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"lbctl/testbed/netns"
)

// Receive makes a link receive the frames that XDP on its veth peer sends back or redirects to it: the
// driver drops them unless the link has a program, or NAPI (drivers/net/veth.c, veth_xdp_xmit). It
// attaches a program that passes everything, until the result is closed or the process ends. GRO stays
// off, so that a capture sees frames as they came.
func Receive(l netns.Link) (io.Closer, error) {
	return Attach(l, "receive", asm.Instructions{asm.Mov.Imm(asm.R0, Pass), asm.Return()})
}

// ReceiveOn is Receive for a host that receives on one core, whatever core the frames come on. With
// its processes on that core too (netns.Namespace.Pin) its frames leave in order. Otherwise the
// answers of one connection leave on two cores, arrive through two queues of a SoftNIC, and overtake each other.
func ReceiveOn(l netns.Link, core int) (io.Closer, error) {
	const queue = 4096 // frames that wait for the core
	cores, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "receive_on", Type: ebpf.CPUMap, KeySize: 4, ValueSize: 4, MaxEntries: uint32(core) + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("make cpu map: %w", err)
	}
	defer cores.Close()
	if err := cores.Put(uint32(core), uint32(queue)); err != nil {
		return nil, fmt.Errorf("receive on core %d: %w", core, err)
	}
	return Attach(l, "receive", asm.Instructions{
		asm.LoadMapPtr(asm.R1, cores.FD()),
		asm.Mov.Imm(asm.R2, int32(core)),
		asm.Mov.Imm(asm.R3, Pass), // if the map has no entry for the core
		asm.FnRedirectMap.Call(),
		asm.Return(),
	})
}
