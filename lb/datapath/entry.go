package datapath

import (
	"net/netip"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// entry is a service as it stands in the kernel's tables.
type entry struct {
	service lb.Service
	row     bpf.LbService
	at      uint32                    // where the row is
	ids     map[netip.AddrPort]uint32 // replica ids

	// lag is the time since the ages of its flows went up.
	lag time.Duration
	// inTransition is the number of its slots that are in transition.
	inTransition uint32
	// recorded tells whether there may be records of its flows.
	recorded bool
	// aging is set while a sweep makes its flows older.
	aging *aging
}

func vipKey(v lb.VIP) bpf.LbEndpoint { return bpf.Endpoint(v.Address, uint8(v.Protocol)) }

func vipOf(k bpf.LbEndpoint) lb.VIP {
	return lb.VIP{Address: k.AddrPort(), Protocol: packet.Protocol(k.Protocol)}
}

// replicaKey is the endpoint that a replica's answers come from.
func replicaKey(v lb.VIP, a netip.AddrPort) bpf.LbEndpoint { return bpf.Endpoint(a, uint8(v.Protocol)) }

// replicaID returns the id of the replica at an address; a nil entry has none.
func (e *entry) replicaID(a netip.AddrPort) (uint32, bool) {
	if e == nil {
		return 0, false
	}
	id, ok := e.ids[a]
	return id, ok
}

// answered tells whether the replica at an address has a reverse NAT entry for the service. A nil entry has
// none.
func (e *entry) answered(a netip.AddrPort) bool {
	_, ok := e.replicaID(a)
	return ok && e.service.Mode == lb.NAT
}

// tracked tells whether the service tracks flows; a nil entry does not.
func (e *entry) tracked() bool {
	return e != nil && e.row.Flags&uint8(bpf.LbServiceFlagSERVICE_TRACK_CHANGES|bpf.LbServiceFlagSERVICE_TRACK_ALWAYS) != 0
}

// rehashed tells whether the previous owners are in another table.
func (e *entry) rehashed() bool { return e.row.Flags&uint8(bpf.LbServiceFlagSERVICE_REHASHED) != 0 }

// recordsByOtherHash tells whether records hold another hash than that of the table.
func (e *entry) recordsByOtherHash() bool {
	r := e.row
	return r.PreviousHash != r.Hash || r.PreviousSeed != r.Seed && lb.Hash(r.Hash) == lb.JHash
}

// ranges returns the ranges of slots that are the service's: its table and, if it is
// rehashed, the previous one.
func (e *entry) ranges() []extent {
	all := []extent{{e.row.Offset, e.row.Offset + e.row.Size}}
	if e.rehashed() {
		all = append(all, e.previousSlots())
	}
	return all
}

// previousSlots returns the slots in which the previous owners are.
func (e *entry) previousSlots() extent {
	return extent{e.row.PreviousOffset, e.row.PreviousOffset + e.row.PreviousSize}
}
