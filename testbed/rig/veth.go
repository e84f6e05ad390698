package rig

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"

	"lbctl/testbed/netns"
)

// StartVeth makes a veth pair with a number of queues at both ends, up and without offloads: the
// negative control. It looks like a multi-queue NIC, and its queues are no NIC's: a frame comes in at the
// host on the queue of the number that the wire's stack picked for sending. A verifier that
// finds RSS here is broken. The pair goes with its namespaces.
//
// What is sent on the wire spreads by the kernel's own hash of the flow (skb_tx_hash).
func StartVeth(wire, host netns.End, queues int) (netns.Link, netns.Link, error) {
	if queues < 1 || queues > maxQueues {
		return netns.Link{}, netns.Link{}, fmt.Errorf("start veth: %d queues: want 1 to %d", queues, maxQueues)
	}
	if err := makeVeth(wire, host, queues); err != nil {
		return netns.Link{}, netns.Link{}, fmt.Errorf("start veth: %w", err)
	}
	w, errW := readyVeth(wire)
	h, errH := readyVeth(host)
	return w, h, errors.Join(errW, errH)
}

func makeVeth(wire, host netns.End, queues int) error {
	peer, err := os.Open(host.Namespace.Path())
	if err != nil {
		return fmt.Errorf("open namespace: %w", err)
	}
	defer peer.Close()
	a := netlink.NewLinkAttrs()
	a.Name, a.NumTxQueues, a.NumRxQueues, a.MTU = wire.Name, queues, queues, netns.DefaultMTU
	v := &netlink.Veth{
		LinkAttrs: a, PeerName: host.Name, PeerMTU: netns.DefaultMTU,
		PeerNumTxQueues: uint32(queues), PeerNumRxQueues: uint32(queues), PeerNamespace: netlink.NsFd(peer.Fd()),
	}
	return wire.Namespace.Do(func() error { return netlink.LinkAdd(v) })
}

func readyVeth(e netns.End) (netns.Link, error) {
	l, err := e.Namespace.Link(e.Name)
	if err != nil {
		return netns.Link{}, err
	}
	return l, errors.Join(l.OffloadsOff(), l.Up())
}
