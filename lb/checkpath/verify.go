package checkpath

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// Verify returns which programs are not attached any more where they were, or have another one in their place. If it repairs, it
// attaches them again. Those of interfaces that are gone have gone with them.
func (p *Path) Verify(repair bool) (found lb.Verification) {
	p.mu.Lock()
	defer p.mu.Unlock()
	places := slices.SortedFunc(maps.Keys(p.holds), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.attach, b.attach))
	})
	for _, at := range places {
		h := p.holds[at]
		if h.err != nil {
			continue // by the next look it is tried again, and what it is for is unhealthy
		}
		var name string
		err := p.network.Inside(func() error {
			device, err := netlink.LinkByIndex(at.index)
			if err != nil {
				return nil
			}
			name = device.Attrs().Name
			return lost(h)
		})
		if err == nil {
			continue
		}
		d := lb.Drift{Table: "checks", Key: fmt.Sprintf("the program at %s (%v)", name, at.attach), Want: "attached", Have: "not attached"}
		if repair {
			err := p.release(at)
			again := p.attach(at)
			again.idle = h.idle
			d.Repaired = errors.Join(err, again.err) == nil
		}
		found.Add(d)
	}
	return found
}

// numberOf returns the number of a program.
func numberOf(p *ebpf.Program) (ebpf.ProgramID, error) {
	info, err := p.Info()
	if err != nil {
		return 0, fmt.Errorf("describe a program: %w", lb.Denied(err))
	}
	number, _ := info.ID() // every kernel that is supported tells it
	return number, nil
}
