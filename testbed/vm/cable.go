package vm

import (
	"errors"
	"net/netip"

	"lbctl/rss/packet"
	"lbctl/testbed/netns"
	"lbctl/testbed/vm/guest"
)

// Cable gives the host's end of the cable of the nth NIC of a running guest an address, and returns what the guest's end
// needs: an address of the same network, 10.1.N.0/24. Neither end asks for the other by ARP.
func Cable(in *netns.Namespace, n int, nic NIC) (netns.Link, guest.Link, error) {
	host := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(n), 1}), 24)
	far := netip.PrefixFrom(host.Addr().Next(), host.Bits())
	near, err := in.Link(Wire(n))
	if err != nil {
		return near, guest.Link{}, err
	}
	err = errors.Join(near.Up(), near.AddAddress(host), near.AddNeighbour(far.Addr(), nic.MAC[:]))
	return near, guest.Link{MAC: nic.MAC, Address: far, Peer: host.Addr(), PeerMAC: packet.MAC(near.MAC)}, err
}
