package bed

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"lbctl/testbed/netns"
)

// Wire joins two namespaces by a veth pair. Without offloads every packet on it is a frame with a whole
// checksum, as packets that XDP redirects must be; with them the pair is as the kernel makes it:
// segmentation and checksums are left to whoever comes last.
func Wire(a, b netns.End, offloads bool) (netns.Link, netns.Link, error) {
	if !offloads {
		return netns.Veth(a, b, 0)
	}
	peer, err := os.Open(b.Namespace.Path())
	if err != nil {
		return netns.Link{}, netns.Link{}, fmt.Errorf("open namespace: %w", err)
	}
	defer peer.Close()
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU = a.Name, netns.DefaultMTU
	v := netlink.NewVeth(attributes)
	v.PeerName, v.PeerMTU, v.PeerNamespace = b.Name, netns.DefaultMTU, netlink.NsFd(peer.Fd())
	if err := a.Namespace.Do(func() error { return netlink.LinkAdd(v) }); err != nil {
		return netns.Link{}, netns.Link{}, fmt.Errorf("make veth %s, %s: %w", a.Name, b.Name, err)
	}
	first, errA := up(a)
	second, errB := up(b)
	return first, second, errors.Join(errA, errB)
}

func up(e netns.End) (netns.Link, error) {
	l, err := e.Namespace.Link(e.Name)
	if err != nil {
		return netns.Link{}, err
	}
	return l, l.Up()
}

// Join gives the two ends of a link addresses of one network, and makes them known to each other,
// so that nothing has to be asked for.
func Join(a, b netns.Link, here, there netip.Prefix) error {
	return errors.Join(
		a.AddAddress(here), b.AddAddress(there),
		a.AddNeighbour(there.Addr(), b.MAC), b.AddNeighbour(here.Addr(), a.MAC),
	)
}
