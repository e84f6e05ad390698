package xdp

import (
	"fmt"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// free says who holds the interface, if somebody does.
func free(device netlink.Link) error {
	a := device.Attrs()
	if a.Xdp == nil || !a.Xdp.Attached {
		return nil
	}
	return fmt.Errorf("%w: %s already has the XDP program %s", lb.ErrConflict, a.Name, programName(a.Xdp.ProgId))
}

func programName(id uint32) string {
	unnamed := fmt.Sprintf("with id %d", id)
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return unnamed
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return unnamed
	}
	return fmt.Sprintf("%q (id %d)", info.Name, id)
}
