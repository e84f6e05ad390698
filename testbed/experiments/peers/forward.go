package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// startXDP forwards packets by the smallest XDP program that can do so: it reads one byte of
// the address, writes the MACs and redirects. No balancer in XDP can cost less.
func startXDP(_ context.Context, b *bench, p *path) error {
	back, err := p.hop(toClients, p.hosts[0])
	if err != nil {
		return err
	}
	var there [][]byte
	for i := range p.replicas {
		h, err := p.hop(toReplica(i), p.hosts[1+i])
		if err != nil {
			return err
		}
		there = append(there, h)
		if err := b.forward(p, toReplica(i), [][]byte{back}, nil); err != nil {
			return err
		}
	}
	// The third byte of a replica's address is its number (path.replicaNet).
	const thirdByte = 14 + 16 + 2
	return b.forward(p, toClients, there, asm.Instructions{asm.LoadMem(asm.R1, asm.R6, thirdByte, asm.Byte)})
}

// A hop is the two MACs of an Ethernet header and the index of the interface.
const (
	hopMACs = 12
	hopSize = hopMACs + 4
)

// hop returns the hop from one of the balancer's interfaces to the host behind it.
func (p *path) hop(name string, to netns.Link) ([]byte, error) {
	out, err := p.balancer.Link(name)
	if err != nil {
		return nil, err
	}
	return binary.NativeEndian.AppendUint32(slices.Concat(to.MAC, out.MAC), uint32(out.Index)), nil
}

// forward sends IPv4 packets that come in by an interface to one of some hops: the one whose number the code
// leaves in R1, or without code the first.
func (b *bench) forward(p *path, name string, hops [][]byte, code asm.Instructions) error {
	table, err := ebpf.NewMap(&ebpf.MapSpec{Name: "hops", Type: ebpf.Array, KeySize: 4, ValueSize: hopSize, MaxEntries: uint32(len(hops))})
	if err != nil {
		return fmt.Errorf("make hops: %w", err)
	}
	defer table.Close()
	for i, h := range hops {
		if err := table.Put(uint32(i), h); err != nil {
			return fmt.Errorf("write hop: %w", err)
		}
	}
	in, err := p.balancer.Link(name)
	if err != nil {
		return err
	}
	if code == nil {
		code = asm.Instructions{asm.Mov.Imm(asm.R1, 0)}
	}
	attached, err := xdp.Attach(in, "forward", forwarder(table, code))
	if err != nil {
		return err
	}
	b.run.Bed.Closing(attached)
	return nil
}

func forwarder(table *ebpf.Map, code asm.Instructions) asm.Instructions {
	const (
		headers = 14 + 20
		ipv4    = 0x0008 // 0x0800 as it lies in memory
	)
	program := asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word), // xdp_md.data
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R6),
		asm.Add.Imm(asm.R3, headers),
		asm.JGT.Reg(asm.R3, asm.R2, "pass"),
		asm.LoadMem(asm.R1, asm.R6, 12, asm.Half),
		asm.JNE.Imm(asm.R1, ipv4, "pass"),
	}
	program = append(program, code...)
	program = append(program,
		asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, table.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
	)
	for at := int16(0); at < hopMACs; at += 4 {
		program = append(program, asm.LoadMem(asm.R1, asm.R0, at, asm.Word), asm.StoreMem(asm.R6, at, asm.R1, asm.Word))
	}
	return append(program,
		asm.LoadMem(asm.R1, asm.R0, hopMACs, asm.Word),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdp.Pass).WithSymbol("pass"),
		asm.Return(),
	)
}
