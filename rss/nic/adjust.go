package nic

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"lbctl/rss"
	"lbctl/rss/gf2"
	"lbctl/rss/packet"
)

// Adjustment is how some bits of a port change the entry that a flow picks, when nothing else of it changes. The entry is
// then an affine function over GF(2) of these bits, so the ports that lead to an entry are solved for, not searched.
// (rte_thash_adjust_tuple of DPDK does so too; it puts a sequence into the key, for which every entry can be reached.)
type Adjustment struct {
	nic         *NIC
	flow        packet.Flow
	destination bool
	// moves are the bits of the port that may change, and what each changes of the index.
	moves []move
	// index is the entry that the flow picks as it is.
	index int
}

type move struct {
	port  uint16
	index uint32
}

// Adjust returns how the bits of mask in a flow's source port, or its destination port, change its entry. It is an error if
// the NIC does not hash that port, or not in a linear way.
func (n *NIC) Adjust(flow packet.Flow, destination bool, mask uint16) (*Adjustment, error) {
	a := &Adjustment{nic: n, flow: flow, destination: destination}
	now := n.ClassifyFlow(flow)
	field := rss.SourcePort
	if destination {
		field = rss.DestinationPort
	}
	size := len(n.config.Table)
	switch {
	case mask == 0:
		return nil, errors.New("no bit of the port may change")
	case !now.Hashed || now.Fields&field == 0:
		return nil, fmt.Errorf("the NIC does not hash this port of %v flows: hash fields %v", flow.Protocol, now.Fields)
	case n.config.Transform == rss.SymmetricOrXOR:
		return nil, fmt.Errorf("under %v the hash is not linear", n.config.Transform)
	case n.config.Quirks.Sorted:
		return nil, errors.New("this NIC sorts the ports, under which the hash is not linear")
	case size&(size-1) != 0:
		return nil, fmt.Errorf("indirection table of %d entries: want a power of two, or the index is not linear", size)
	}
	a.index = now.Index
	for bit := range 16 {
		if port := uint16(1) << bit; mask&port != 0 {
			a.moves = append(a.moves, move{port, uint32(n.ClassifyFlow(a.with(port)).Index ^ now.Index)})
		}
	}
	return a, nil
}

// port returns the flow's port that is adjusted.
func (a *Adjustment) port() uint16 {
	if a.destination {
		return a.flow.Destination.Port()
	}
	return a.flow.Source.Port()
}

// with returns the flow with some bits of the port changed.
func (a *Adjustment) with(change uint16) packet.Flow { return a.Flow(a.port() ^ change) }

// Flow returns the flow with another port.
func (a *Adjustment) Flow(port uint16) packet.Flow {
	f := a.flow
	if a.destination {
		f.Destination = netip.AddrPortFrom(f.Destination.Addr(), port)
	} else {
		f.Source = netip.AddrPortFrom(f.Source.Addr(), port)
	}
	return f
}

// IndexBits is the number of bits of an entry's index.
func (a *Adjustment) IndexBits() int { return bits.Len(uint(len(a.nic.config.Table))) - 1 }

// Rank is how many of the bits of the index the port's bits change independently: 2^Rank entries can be reached.
func (a *Adjustment) Rank() int {
	columns := make([]uint32, len(a.moves))
	for i, m := range a.moves {
		columns[i] = m.index
	}
	return gf2.Rank(columns)
}

// Ports returns the ports that lead to an entry, ascending; none if it cannot be reached.
func (a *Adjustment) Ports(entry int) (ports []uint16) {
	s := gf2.NewSystem(len(a.moves))
	for bit := range a.IndexBits() {
		e := s.Equation()
		for i, m := range a.moves {
			e.Set(i, m.index>>bit&1 == 1)
		}
		e.Set(s.Unknowns(), (entry^a.index)>>bit&1 == 1)
		if s.Add(e) == gf2.Contradiction {
			return nil
		}
	}
	ports = []uint16{a.port() ^ a.change(s.Solution(gf2.Nothing))}
	for _, v := range s.Kernel() {
		change := a.change(v)
		for _, p := range ports[:len(ports):len(ports)] {
			ports = append(ports, p^change)
		}
	}
	slices.Sort(ports)
	return ports
}

// change returns the bits of the port for a vector of moves.
func (a *Adjustment) change(v gf2.Vector) (change uint16) {
	for i, m := range a.moves {
		if v.Bit(i) {
			change |= m.port
		}
	}
	return change
}
