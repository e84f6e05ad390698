package model

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// read says what the flow of a packet is that does not show it itself.
func (t *tables) read(p *parsed, frame []byte) lb.Reason {
	switch {
	case p.part == later:
		f, found := t.fragments[fragmentKey(*p)]
		switch {
		case found:
			p.flow.Protocol = f.protocol
			p.setPorts(f.ports[:])
		case t.isVIP(p.flow.Destination.Addr()):
			return lb.FragmentOrphan
		default:
			return lb.NotOurs
		}
	case p.icmp && p.isEcho(frame):
		if !p.plain || !isHost(p.flow.Source.Addr()) || !t.isVIP(p.flow.Destination.Addr()) {
			return lb.NotTCPUDP
		}
		return lb.EchoAnswered
	case p.icmp && !p.readQuote(frame):
		return lb.NotTCPUDP
	}
	return ok
}

// isVIP tells whether a VIP has the address.
func (t *tables) isVIP(a netip.Addr) bool {
	for vip := range t.services {
		if vip.Address.Addr() == a {
			return true
		}
	}
	return false
}

// fragmentID is what the fragments of a packet have in common.
type fragmentID struct {
	source, destination netip.Addr
	id                  uint32
	protocol            packet.Protocol
}

// fragment is what only the first one says.
type fragment struct {
	ports    [4]byte
	protocol packet.Protocol
}

func fragmentKey(p parsed) fragmentID {
	k := fragmentID{p.flow.Source.Addr(), p.flow.Destination.Addr(), p.fragmentID, 0}
	if p.v4 {
		k.protocol = p.flow.Protocol
	}
	return k
}
