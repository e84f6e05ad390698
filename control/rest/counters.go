package rest

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// wireCounters sorts: reasons by packets, most first, then by name; services and replicas
// by address.
func wireCounters(i intent.Intent, c lb.Counters) api.Counters {
	wire := api.Counters{Reasons: []api.ReasonCount{}, Services: []api.ServiceCount{}, Replicas: []api.ReplicaCount{}}
	names := i.Names()
	for reason, n := range c.Reasons {
		wire.Packets += n.Packets
		wire.Bytes += n.Bytes
		wire.Reasons = append(wire.Reasons, api.ReasonCount{Reason: string(reason), Packets: n.Packets, Bytes: n.Bytes})
	}
	slices.SortFunc(wire.Reasons, func(a, b api.ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason))
	})
	for _, vip := range slices.SortedFunc(maps.Keys(c.Services), lb.VIP.Compare) {
		n := c.Services[vip]
		wire.Services = append(wire.Services, api.ServiceCount{
			Name: names[vip], VIP: vip.Address.String(), Protocol: vip.Protocol.String(), Packets: n.Packets, Bytes: n.Bytes,
		})
	}
	for _, vip := range slices.SortedFunc(maps.Keys(c.Replicas), lb.VIP.Compare) {
		wire.Replicas = append(wire.Replicas, wireReplicas(names[vip], vip, c.Replicas[vip])...)
	}
	return wire
}

func wireReplicas(name string, vip lb.VIP, counts map[netip.AddrPort]lb.Count) []api.ReplicaCount {
	var wire []api.ReplicaCount
	for _, r := range slices.SortedFunc(maps.Keys(counts), netip.AddrPort.Compare) {
		n := counts[r]
		wire = append(wire, api.ReplicaCount{
			ServiceName: name, VIP: vip.Address.String(), Protocol: vip.Protocol.String(), Replica: r.String(), Packets: n.Packets, Bytes: n.Bytes,
		})
	}
	return wire
}
