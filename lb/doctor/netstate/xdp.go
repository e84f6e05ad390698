package netstate

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"lbctl/lb/doctor"
)

// program is the name of the balancer's program (bpf/src/lb.bpf.c).
const program = "lb"

// modes are XDP_ATTACHED_* of include/uapi/linux/if_link.h.
func modes() []doctor.XDPMode {
	return []doctor.XDPMode{doctor.Detached, doctor.Native, doctor.Generic, doctor.Offloaded, doctor.SeveralXDP}
}

// attached tells what is attached to an interface. Programs and links are looked up by number, for which
// CAP_SYS_ADMIN is needed: without it there is no name.
func attached(a *netlink.LinkAttrs) doctor.XDP {
	if a.Xdp == nil || !a.Xdp.Attached || int(a.Xdp.AttachMode) >= len(modes()) {
		return doctor.XDP{}
	}
	x := doctor.XDP{Mode: modes()[a.Xdp.AttachMode], ID: a.Xdp.ProgId}
	x.Program, x.Link = programName(x.ID), holder(x.ID, a.Index)
	return x
}

func programName(id uint32) string {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return ""
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return ""
	}
	return info.Name
}

// holder returns the number of the link that holds a program at an interface, 0 if none is found.
func holder(program uint32, index int) uint32 {
	var it link.Iterator
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil || info.Program != ebpf.ProgramID(program) {
			continue
		}
		if x := info.XDP(); x != nil && x.Ifindex == uint32(index) {
			return uint32(info.ID)
		}
	}
	return 0
}
