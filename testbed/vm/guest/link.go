package guest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"

	"lbctl/rss/packet"
)

// Link says how a NIC of the guest is reached.
type Link struct {
	MAC     packet.MAC   `json:"mac"`
	Address netip.Prefix `json:"address"`
	// Peer and PeerMAC are the host's end.
	Peer    netip.Addr `json:"peer"`
	PeerMAC packet.MAC `json:"peer_mac"`
}

// Up finds the interface that has the link's MAC, sets it up with its address, knows its peer without ARP, waits until it
// carries packets, and returns its name.
func (l Link) Up() (string, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return "", fmt.Errorf("list links: %w", err)
	}
	for _, found := range all {
		a := found.Attrs()
		if !bytes.Equal(a.HardwareAddr, l.MAC[:]) {
			continue
		}
		address, err := netlink.ParseAddr(l.Address.String())
		if err != nil {
			return "", err
		}
		if err := errors.Join(netlink.AddrAdd(found, address), netlink.LinkSetUp(found)); err != nil {
			return "", fmt.Errorf("set %s up: %w", a.Name, err)
		}
		peer := &netlink.Neigh{LinkIndex: a.Index, State: netlink.NUD_PERMANENT, IP: l.Peer.AsSlice(), HardwareAddr: l.PeerMAC[:]}
		if err := netlink.NeighSet(peer); err != nil {
			return "", fmt.Errorf("add neighbour to %s: %w", a.Name, err)
		}
		return a.Name, carries(a.Name)
	}
	return "", fmt.Errorf("find the NIC %v: none of %d links has its address", l.MAC, len(all))
}

// carries waits for the driver to see its cable, which takes seconds at most.
func carries(name string) error {
	for range 500 {
		if text, err := os.ReadFile(filepath.Join("/sys/class/net", name, "operstate")); err == nil && (string(text) == "up\n" || string(text) == "unknown\n") {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("wait for the cable of %s: it is not there", name)
}
