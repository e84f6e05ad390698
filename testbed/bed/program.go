package bed

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Program returns the kernel's number of the XDP program on the balancer's end of the clients' link: no two
// programs have the same.
func (s *Stage) Program() (id uint32, err error) {
	err = s.balancer.Do(func() error {
		l, err := netlink.LinkByIndex(s.host.Index)
		if err != nil {
			return fmt.Errorf("look at link %s: %w", s.host.Name, err)
		}
		if x := l.Attrs().Xdp; x != nil && x.Attached {
			id = x.ProgId
		}
		return nil
	})
	return id, err
}
