package datapath

import (
	"net/netip"
	"slices"

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

// heir returns the entry if a service in that mode goes on with its replicas' rows, else nil: they say
// how packets are rewritten.
func (e *entry) heir(m lb.Mode) *entry {
	if e == nil || e.service.Mode != m {
		return nil
	}
	return e
}

// same tells whether two services have the same tables.
func same(a, b lb.Service) bool {
	return a.VIP == b.VIP && a.Scheduler == b.Scheduler && a.Mode == b.Mode && a.Hash == b.Hash &&
		a.Seed == b.Seed && a.TableSize == b.TableSize && slices.Equal(a.Replicas, b.Replicas)
}
