package datapath

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/nexthop"
	"lbctl/lb/tables"
)

// hops are the next hops of the replicas in the tables, and what each depends on.
type hops struct {
	tables  *tables.Tables
	network *nexthop.Network  // nil before open
	last    []resolved        // how each replica was resolved last, by id
	differ  map[uint32]string // how routes differ by the interface that packets come in on, by id
	unfit   map[uint32]unfit  // the replicas that have no next hop for their addresses, by id
	links   *links
	events  *events
	// ticks are when packets last asked for the entries of the FIB cache, as of the last confirm.
	ticks []uint32
	log   *slog.Logger
	// made resolves in place of the network: for the self-test.
	made nexthop.Resolver
	// lately is what was gathered for the resolver before.
	lately gathered
}

// resolved is the next hop of a replica, and the neighbour that it is. The zero value stands for a replica that was not resolved.
type resolved struct {
	known bool
	next  tables.Hop
	via   nexthop.Neighbour
}

// lastOf returns how a replica was resolved last.
func (h *hops) lastOf(replica uint32) resolved {
	if int(replica) < len(h.last) {
		return h.last[replica]
	}
	return resolved{}
}

// gathered is the network as it was found for a resolver. Each of the services of a large change needs it: to list links and
// neighbours for each takes a third of the time of their routes.
type gathered struct {
	state       nexthop.State
	ingresses   []int
	since, used time.Time
}

// goesOn reports whether an operation follows the one before closely enough to see the network as that did. What changed meanwhile
// is mended when its news come, as if it had changed afterwards; when news have come, nothing that was gathered is used any more.
func (g *gathered) goesOn(now time.Time, ingresses []int) bool {
	return now.Sub(g.used) < 10*time.Millisecond && now.Sub(g.since) < time.Second && slices.Equal(g.ingresses, ingresses)
}

func (h *hops) open() (err error) {
	h.network, err = nexthop.Open()
	return err
}

func (h *hops) close() {
	if h.network != nil {
		h.network.Close()
	}
}

// resolver begins an operation that resolves next hops.
func (h *hops) resolver() nexthop.Resolver {
	if h.made != nil {
		return h.made
	}
	now, ingresses := time.Now(), h.links.indexes()
	if !h.lately.goesOn(now, ingresses) {
		h.lately = gathered{state: h.network.Gather(ingresses...), ingresses: ingresses, since: now}
	}
	h.lately.used = now
	return h.lately.state
}

// resolve returns the next hop of a replica, and remembers the neighbour. A replica has one next hop for all packets, so it warns
// where rules want several.
func (h *hops) resolve(r nexthop.Resolver, replica uint32, a netip.Addr) tables.Hop {
	next, via := r.Resolve(a)
	for int(replica) >= len(h.last) {
		h.last = append(h.last, resolved{})
	}
	h.last[replica] = resolved{true, next, via}
	switch differ := r.Differing(a); {
	case differ == "":
		delete(h.differ, replica)
	case h.differ[replica] != differ:
		h.differ[replica] = differ
		h.log.Warn("rules have routes to a replica differ by the interface that packets come in on: all go as those from the first",
			"replica", a, "routes", differ)
	}
	h.judge(r, replica, a, next)
	return next
}

// unfit is an address that no replica can have, and why.
type unfit struct {
	address netip.Addr
	why     string
}

// judge notes whether a replica has no next hop for its address, and warns when it becomes so.
func (h *hops) judge(r nexthop.Resolver, replica uint32, a netip.Addr, next tables.Hop) {
	why := ""
	if next.State == uint8(bpf.LbHopStateHOP_NONE) {
		why = r.Unfit([]netip.Addr{a})[a]
	}
	switch {
	case why == "":
		delete(h.unfit, replica)
	case h.unfit[replica].why != why:
		h.unfit[replica] = unfit{a, why}
		h.log.Warn("no packet can get to a replica", "replica", a, "because it is", why)
	}
}

// list returns the next hops of the replicas of some services.
func (h *hops) list(services map[lb.VIP]*entry, of []lb.Service) [][]lb.ReplicaHop {
	network := h.network.Gather()
	all, _ := eachReplica(services, of, func(id uint32) (lb.ReplicaHop, error) { return hopOf(network, h.tables.Hop(id), h.lastOf(id).via), nil })
	return all
}

func hopOf(network nexthop.State, hop tables.Hop, via nexthop.Neighbour) lb.ReplicaHop {
	if hop.State == uint8(bpf.LbHopStateHOP_NONE) {
		return lb.ReplicaHop{}
	}
	to := lb.ReplicaHop{NextHop: lb.NextHop{Index: int(hop.Ifindex), Source: hop.Source}, Neighbour: via.Address, State: network.Neighbour(via), MTU: int(hop.Mtu)}
	if device := network.Link(to.Index); device != nil {
		to.Interface = device.Name
	}
	if hop.State == uint8(bpf.LbHopStateHOP_RESOLVED) {
		to.Destination = hop.Destination
	}
	return to
}

// forget removes what a removed replica depends on.
func (h *hops) forget(replica uint32) {
	if int(replica) < len(h.last) {
		h.last[replica] = resolved{}
	}
	delete(h.differ, replica)
	delete(h.unfit, replica)
}

// confirm has the kernel probe the clients and gateways to whose MAC addresses packets were sent since the last call, unless
// it knows them to be there. An entry of the FIB cache lives for some ticks, so one that is in use is made anew all the time.
func (h *hops) confirm() error {
	if n := h.tables.FIBCache.Len(); len(h.ticks) != n {
		h.ticks = make([]uint32, n)
	}
	uses := map[nexthop.Use]bool{}
	for at, entry := range h.tables.FIBCache.Pass() {
		if entry.Tick == h.ticks[at] {
			continue
		}
		h.ticks[at] = entry.Tick
		u := nexthop.Use{Link: int(entry.Ifindex)}
		copy(u.MAC[:], entry.Macs[:])
		uses[u] = true
	}
	asked, err := h.network.Confirm(uses)
	if asked > 0 {
		h.log.Debug("had neighbours probed", "neighbours", asked, "addresses in use", len(uses))
	}
	return err
}

// refresh resolves the next hops of the replicas that a change of the network may concern, and writes those that differ.
// It reports whether there was one.
func (h *hops) refresh(c nexthop.Changes, services map[lb.VIP]*entry) (changed bool) {
	h.lately = gathered{}
	network := h.network.Gather(h.links.indexes()...)
	for _, e := range inOrder(services) {
		ids, addresses := h.concerned(c, network, e)
		network.Prepare(addresses)
		for a, id := range ids {
			next := h.resolve(network, id, a.Addr())
			if h.tables.Hop(id) == next {
				continue
			}
			h.tables.FlipHop(id, next)
			changed = true
			h.events.tell(lb.Event{
				Kind: lb.NextHopChanged, Index: int(next.Ifindex), Replica: a, Resolved: next.State == uint8(bpf.LbHopStateHOP_RESOLVED),
			})
			h.log.Debug("next hop changed", "replica", a, "interface", next.Ifindex, "state", next.State)
		}
		h.tables.Trim()
	}
	return changed
}

// concerned returns the replicas of a service that a change of the network may concern: their ids, and their addresses alone.
func (h *hops) concerned(c nexthop.Changes, network nexthop.State, e *entry) (ids map[netip.AddrPort]uint32, addresses []netip.Addr) {
	ids = map[netip.AddrPort]uint32{}
	for a, id := range e.ids {
		if via := h.lastOf(id).via; c.Routes(a.Addr()) || c.Has(via) && !network.Agrees(h.tables.Hop(id), via) {
			ids[a], addresses = id, append(addresses, a.Addr())
		}
	}
	return ids, addresses
}
