package nexthop

import (
	"fmt"
	"net/netip"

	"lbctl/lb"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Use is a MAC address to which packets are sent on a link.
type Use struct {
	Link int
	MAC  lb.MAC
}

// mostConfirmed bounds how many neighbours one call of Confirm asks for.
const mostConfirmed = 1024

// Confirm has the kernel probe, as it does for packets of its own, neighbours that packets use and of which it has had no
// word for a while (NUD_STALE). bpf_fib_lookup gives out such a neighbour for good, and nothing else makes the kernel ask
// whether it is still there. It leaves alone those that the kernel keeps by itself, and returns how many it asked for.
func (n *Network) Confirm(uses map[Use]bool) (asked int, err error) {
	links := map[int]bool{}
	for u := range uses {
		links[u.Link] = true
	}
	for link := range links {
		all, _ := n.netlink.NeighList(link, unix.AF_UNSPEC) // an error is a link that has gone
		for _, neighbour := range all {
			if !needsProbe(neighbour, uses) || asked == mostConfirmed {
				continue
			}
			asked++
			if err := n.probe(neighbour); err != nil {
				return asked, err
			}
		}
	}
	return asked, nil
}

func needsProbe(n netlink.Neigh, uses map[Use]bool) bool {
	var mac lb.MAC
	if n.State != netlink.NUD_STALE || n.FlagsExt&netlink.NTF_EXT_MANAGED != 0 || len(n.HardwareAddr) != len(mac) {
		return false
	}
	copy(mac[:], n.HardwareAddr)
	return uses[Use{n.LinkIndex, mac}]
}

// probe has the kernel treat a neighbour as if it had just sent it a packet: NTF_USE of neigh_add in
// net/core/neighbour.c. It changes nothing else of it.
func (n *Network) probe(to netlink.Neigh) error {
	a, _ := netip.AddrFromSlice(to.IP)
	err := n.netlink.NeighSet(&netlink.Neigh{
		LinkIndex: to.LinkIndex, Family: family(a.Unmap()), IP: to.IP, State: netlink.NUD_STALE, Flags: netlink.NTF_USE,
	})
	if err != nil {
		return fmt.Errorf("have neighbour %v probed: %w", a, err)
	}
	return nil
}
