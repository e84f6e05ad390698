package datapath

import (
	"net/netip"
	"sync/atomic"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/nexthop"
	"lbctl/lb/oracle"
	"lbctl/lb/tables"
	"lbctl/rss"
	"lbctl/rss/packet"

	"golang.org/x/sys/unix"
)

// view is the live tables as the reference datapath reads them, for one packet.
type view struct {
	program  *program
	registry *registry
	network  nexthop.State
	ingress  int // of the packet, 0 for none in particular
}

var _ oracle.View = view{}

// Key implements oracle.View, as do the others here.
func (v view) Key() rss.Key { return v.program.options.ToeplitzKey }

func (v view) Rejects() bool { return v.program.options.NoService == lb.RejectNoService }

func (v view) Service(vip lb.VIP) (*lb.Service, bool) {
	if e, ok := v.registry.services[vip]; ok {
		return &e.service, true
	}
	if ranged, ok := v.registry.index.InRange(vip); ok {
		return &v.registry.services[ranged].service, true
	}
	return nil, false
}

func (v view) IsVIP(a netip.Addr) bool {
	_, ok := v.registry.addresses[a]
	return ok
}

func (v view) ReverseNAT(replica netip.AddrPort, p packet.Protocol) (owners []oracle.Owner) {
	for _, vip := range v.registry.index.Owners(replica, p) {
		owners = append(owners, oracle.Owner{VIP: vip, ByRecord: v.registry.services[vip].knows(replica)})
	}
	return owners
}

func (v view) Slot(vip lb.VIP, i uint32) oracle.Slot {
	s := v.registry.tables.Slot(v.registry.services[vip].row.Offset + i)
	return oracle.Slot{Owner: v.registry.tables.AddressOf(s.Owner()), Previous: v.registry.tables.AddressOf(s.Previous()), InTransition: s.InTransition()}
}

func (v view) PreviousTable(vip lb.VIP) (oracle.Function, bool) {
	e := v.registry.services[vip]
	if !e.rehashed() {
		return oracle.Function{}, false
	}
	return oracle.Function{Hash: lb.Hash(e.row.PreviousHash), Seed: e.row.PreviousSeed, Size: e.row.PreviousSize}, true
}

func (v view) PreviousOwner(vip lb.VIP, i uint32) netip.AddrPort {
	return v.registry.tables.AddressOf(v.registry.tables.Slot(v.registry.services[vip].row.PreviousOffset + i).Previous())
}

func (v view) Record(vip lb.VIP, f packet.Flow) (oracle.Record, bool) {
	e := v.registry.services[vip]
	hash := oracle.Hash(lb.Service{Hash: lb.Hash(e.row.PreviousHash), Seed: e.row.PreviousSeed}, v.program.options.ToeplitzKey, f)
	r, stage := v.registry.tables.FindRecord(v.key(f, vip.Address.Port()), hash)
	if r == 0 || v.registry.serviceOfReplica(r.Replica()) != e {
		return oracle.Record{}, false
	}
	record := oracle.Record{Stage: stage, Replica: v.registry.tables.AddressOf(r.Replica()), Age: oracle.Age(r.Age())}
	if byClient, byReplica := r.Closed(); byClient && byReplica {
		record.Closed = oracle.ByBoth
	} else if byClient {
		record.Closed = oracle.ByClient
	} else if byReplica {
		record.Closed = oracle.ByReplica
	}
	return record, true
}

func (v view) key(f packet.Flow, first uint16) uint64 {
	return bpf.FlowKey(v.program.secret, f.Source, f.Destination, uint8(f.Protocol), first)
}

func (v view) Displaced(f packet.Flow) bool {
	return !v.registry.tables.HasRoom(v.key(f, f.Destination.Port()))
}

// Rates does not see what CPUs have taken at once and not used yet.
func (v view) Rates(vip lb.VIP) (packet, flow bool) {
	e := v.registry.services[vip]
	state, l := v.registry.tables.RateStates.Row(e.row.Id), e.service.RateLimit
	return v.leaves(&state.PacketsUntil, l.Packets, l.Burst), v.leaves(&state.FlowsUntil, l.NewFlows, l.Burst)
}

func (v view) leaves(until *uint64, rate uint32, burst time.Duration) bool {
	var now unix.Timespec
	if rate == 0 || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return true
	}
	second := v.program.options.second()
	cost, used := second/uint64(rate), atomic.LoadUint64(until)
	used -= min(used, uint64(now.Nano()))
	return used+cost <= max(cost, second/1000*uint64(burst/time.Millisecond))
}

func (v view) State(vip lb.VIP, replica netip.AddrPort) (lb.ReplicaState, bool) {
	for _, r := range v.registry.services[vip].service.Replicas {
		if r.Address == replica {
			return r.State, true
		}
	}
	return 0, false
}

func (v view) Fragment(k oracle.FragmentKey) (oracle.FragmentPorts, bool) {
	key := bpf.FragmentKey(v.program.secret, k.Source, k.Destination, k.ID, uint8(k.Protocol))
	m := v.program.objects.Fragments
	var line bpf.LbFragmentLine
	if m.Lookup(uint32(key)%m.MaxEntries(), &line) != nil {
		return oracle.FragmentPorts{}, false
	}
	protocol, source, destination, ok := line.Find(key)
	return oracle.FragmentPorts{Protocol: packet.Protocol(protocol), Source: source, Destination: destination}, ok
}

func (v view) LinkMTU(index int) int {
	if device := v.network.Link(index); index != 0 && device != nil {
		return device.MTU
	}
	return 0
}

func (v view) PathMTU(vip lb.VIP, replica netip.AddrPort) int {
	return believed(atomic.LoadUint64(&v.registry.tables.Replicas.Row(v.registry.services[vip].ids[replica]).PathMtu))
}

// believed returns the MTU that a router has told, 0 if none did lately.
func believed(word uint64) int {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	mtu, told := bpf.PathMTU(word)
	if since := time.Duration(now.Nano())>>30<<30 - told; since > oracle.PathMTULife {
		return 0
	}
	return mtu
}

func (v view) RouteToReplica(vip lb.VIP, replica netip.AddrPort) (oracle.Route, bool) {
	return v.route(v.registry.tables.Hop(v.registry.services[vip].ids[replica]))
}

func (v view) RouteToClient(source, destination netip.Addr) (oracle.Route, bool) {
	of := nexthop.Arrival{Source: source, Ingress: v.ingress}
	if v.network.Refuses(destination, of) {
		return oracle.Route{Refuses: true}, true
	}
	next, _ := v.network.ResolveFor(destination, of)
	return v.route(next)
}

func (v view) route(next tables.Hop) (oracle.Route, bool) {
	h := next
	if h.State == uint8(bpf.LbHopStateHOP_NONE) {
		return oracle.Route{}, false
	}
	r := oracle.Route{Index: int(h.Ifindex), MTU: int(h.Mtu), Source: h.Source, Preferred: netip.AddrFrom16(next.Tunnel).Unmap()}
	if device := v.network.Link(r.Index); device != nil {
		r.Interface = device.Name
	}
	if h.State == uint8(bpf.LbHopStateHOP_RESOLVED) {
		r.Neighbour = h.Destination
	}
	return r, true
}
