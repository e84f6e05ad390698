package lb

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/rss/packet"
)

// Index knows which services exclude each other. Two services with different VIPs do
//
//   - when both are nat and have the same replica, address, port and protocol: an answer of it would not tell
//     to which of them it belongs. The records of flows do, where both record every flow; at most MaxShares share one;
//   - when a replica of one has the address of the other: the balancer would send its packets to itself;
//   - when both have several ports at one address, and one of them in common; and at most MaxPortRanges services of an
//     address have several ports.
//
// To add, to remove and to ask costs what the service is large, however many there are. An Index also takes services
// that exclude each other. It is not safe for concurrent use.
// Make one with NewIndex.
type Index struct {
	// vips and replicas are the services with a VIP, and those with a replica, at an address.
	vips, replicas map[netip.Addr]holders
	// owners are the nat services of a backend, and recording those that record every flow.
	owners    map[backend]holders
	recording map[VIP]bool
	// shared is how many backends have several owners.
	shared int
	// ranged are the services with several ports, by address.
	ranged map[netip.Addr]ranges
}

// MaxShares is how many services may have the same nat replica.
const MaxShares = 4

// backend is where the answers of a nat replica come from.
type backend struct {
	address  netip.AddrPort
	protocol packet.Protocol
}

// NewIndex returns an index of services.
func NewIndex(services ...Service) *Index {
	x := newIndex(nil)
	for _, s := range services {
		x.Add(s)
	}
	return x
}

// newIndex returns an empty index with room for services.
func newIndex(services []*Service) *Index {
	n := 0
	for _, s := range services {
		n += len(s.Replicas)
	}
	return &Index{
		vips:     make(map[netip.Addr]holders, len(services)),
		replicas: map[netip.Addr]holders{},
		owners:   make(map[backend]holders, n), recording: map[VIP]bool{},
		ranged: map[netip.Addr]ranges{},
	}
}

// Add adds a service that is not in the index. It reports whether another one is an owner of one of its replicas, too.
func (x *Index) Add(s Service) (shares bool) {
	shares = x.claim(s)
	alone := holders{s.VIP}
	for _, r := range s.Replicas {
		hold(x.replicas, r.Address.Addr(), alone)
	}
	return shares
}

// claim adds what a service needs for itself: its address and ports, and its replicas if it is nat; see Add.
func (x *Index) claim(s Service) (shares bool) {
	x.addRange(s)
	alone := holders{s.VIP}
	hold(x.vips, s.VIP.Address.Addr(), alone)
	if s.Mode != NAT {
		return false
	}
	if s.Tracking == TrackAlways {
		x.recording[s.VIP] = true
	}
	for _, r := range s.Replicas {
		n := hold(x.owners, backend{r.Address, s.VIP.Protocol}, alone)
		if shares = shares || n > 1; n == 2 {
			x.shared++
		}
	}
	return shares
}

// Remove removes a service that Add added.
func (x *Index) Remove(s Service) {
	remove(x.vips, s.VIP.Address.Addr(), s.VIP)
	for _, r := range s.Replicas {
		remove(x.replicas, r.Address.Addr(), s.VIP)
		if remove(x.owners, backend{r.Address, s.VIP.Protocol}, s.VIP) == 1 {
			x.shared--
		}
	}
	delete(x.recording, s.VIP)
	x.removeRange(s)
}

// Conflict returns a service that excludes s, and an error that wraps ErrConflict and says why; nil if there is none.
// A service with the VIP of s does not exclude it: s would take its place.
func (x *Index) Conflict(s Service) (with VIP, err error) {
	if v, found := x.replicas[s.VIP.Address.Addr()].other(s.VIP); found {
		return v, fmt.Errorf("%w: %v has the address of a replica of %v", ErrConflict, s.VIP, v)
	}
	if v, why := x.overlapping(s, anyone); why != "" {
		return v, fmt.Errorf("%w: %s", ErrConflict, why)
	}
	for _, r := range s.Replicas {
		if v, why := x.sharing(s, r, anyone); why != "" {
			return v, fmt.Errorf("%w: nat replica %v %v of %v is one of %v, %s", ErrConflict, s.VIP.Protocol, r.Address, s.VIP, v, why)
		}
		if v, found := x.looping(s, r); found {
			return v, fmt.Errorf("%w: replica %v of %v has the address of the service %v", ErrConflict, r.Address, s.VIP, v)
		}
	}
	return VIP{}, nil
}

// Allows reports whether s could have the replica r.
func (x *Index) Allows(s Service, r Replica) bool {
	_, sharing := x.sharing(s, r, anyone)
	_, looping := x.looping(s, r)
	return sharing == "" && !looping
}

func anyone(VIP) bool { return true }

// sharing returns another nat service, one of those that count, that has a replica of s, and why s may not have it, too;
// "" if it may.
func (x *Index) sharing(s Service, r Replica, counts func(VIP) bool) (with VIP, why string) {
	if s.Mode != NAT {
		return VIP{}, ""
	}
	others := 0
	for _, v := range x.Owners(r.Address, s.VIP.Protocol) {
		if v == s.VIP || !counts(v) {
			continue
		}
		if s.Tracking != TrackAlways || !x.recording[v] {
			return v, "and its answers could not be told apart without tracking: always of both"
		}
		if others++; others >= MaxShares {
			return v, fmt.Sprintf("and %d services have it already", MaxShares)
		}
	}
	return VIP{}, ""
}

// looping returns another service at the address of a replica of s.
func (x *Index) looping(s Service, r Replica) (VIP, bool) {
	return x.vips[r.Address.Addr()].other(s.VIP)
}

// Owners returns the nat services to which answers from an address, port and protocol may belong, sorted. The caller
// does not write to them.
func (x *Index) Owners(replica netip.AddrPort, p packet.Protocol) []VIP {
	return x.owners[backend{replica, p}]
}

// Shared reports whether several nat services have a replica. Where no replica is shared, as mostly, it looks nothing up.
func (x *Index) Shared(replica netip.AddrPort, p packet.Protocol) bool {
	return x.shared > 0 && len(x.Owners(replica, p)) > 1
}

// HasVIP reports whether a service has a VIP at an address.
func (x *Index) HasVIP(a netip.Addr) bool { return len(x.vips[a]) > 0 }

// holders are the services that hold something, sorted, each once. They are not written to: what one service alone holds shares them.
type holders []VIP

// hold adds a service, which alone consists of, to the holders of a thing. It returns how many there are now, 0 if it was one of them.
func hold[K comparable](of map[K]holders, a K, alone holders) int {
	all := of[a]
	if len(all) == 0 {
		of[a] = alone
		return 1
	}
	at, found := slices.BinarySearchFunc(all, alone[0], VIP.Compare)
	if found {
		return 0
	}
	of[a] = slices.Concat(all[:at], alone, all[at:])
	return len(all) + 1
}

// remove takes a service from the holders of a thing, and forgets what no service holds. It returns how many are left, -1 if it was
// none of them.
func remove[K comparable](of map[K]holders, a K, v VIP) int {
	all := of[a]
	at, found := slices.BinarySearchFunc(all, v, VIP.Compare)
	switch {
	case !found:
		return -1
	case len(all) == 1:
		delete(of, a)
		return 0
	}
	of[a] = slices.Concat(all[:at], all[at+1:])
	return len(all) - 1
}

// other returns the first holder but v.
func (all holders) other(v VIP) (VIP, bool) {
	for _, h := range all {
		if h != v {
			return h, true
		}
	}
	return VIP{}, false
}

// Usage is how much of a dataplane's capacity services take.
type Usage struct{ Services, Replicas, Slots, SourceRanges uint64 }

// Add counts a service.
func (u *Usage) Add(s Service) {
	u.Services++
	u.Replicas += uint64(len(s.Replicas))
	u.Slots += uint64(s.Slots())
	u.SourceRanges += uint64(len(s.SourceRanges))
}

// Remove undoes Add.
func (u *Usage) Remove(s Service) {
	u.Services--
	u.Replicas -= uint64(len(s.Replicas))
	u.Slots -= uint64(s.Slots())
	u.SourceRanges -= uint64(len(s.SourceRanges))
}

// Room returns ErrFull, naming the limit, if services that take u leave no room for s in addition or, if old is not nil,
// in its place. The slots of old are still taken while those of s are written; its entry, replicas and source ranges are not.
func (u Usage) Room(s Service, old *Service, l Limits) error {
	slots, ranges := u.Slots+uint64(s.Slots()), cmp.Or(l.SourceRanges, DefaultLimits.SourceRanges)
	if old != nil {
		u.Remove(*old)
	}
	u.Add(s)
	switch {
	case u.Services > uint64(l.Services):
		return fmt.Errorf("%w: %d services, the limit is %d", ErrFull, u.Services, l.Services)
	case u.Replicas > uint64(l.Replicas):
		return fmt.Errorf("%w: %d replicas, the limit is %d", ErrFull, u.Replicas, l.Replicas)
	case u.SourceRanges > uint64(ranges):
		return fmt.Errorf("%w: %d source ranges, the limit is %d", ErrFull, u.SourceRanges, ranges)
	case slots > uint64(l.Slots):
		return fmt.Errorf("%w: %d slots, old table and new, the limit is %d", ErrFull, slots, l.Slots)
	}
	return nil
}
