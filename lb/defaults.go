package lb

import (
	"slices"
	"time"

	"lbctl/rss/packet"
)

// WithDefaults returns a copy of the service, sharing nothing with it, in which fields of value zero have their
// defaults: TableSize is the number of active replicas for Modulo and DefaultTableSize for Maglev, a replica's
// weight is 1, Idle of a service that tracks flows is DefaultIdle, TunnelPort of GUE is GUEPort,
// Burst of a rate limit is DefaultBurst. A caller that can distinguish a weight of 0
// from none (a configuration file) must reject 0 first.
func (s Service) WithDefaults() Service {
	s = s.Clone()
	for i := range s.Replicas {
		s.Replicas[i].Weight = max(s.Replicas[i].Weight, 1)
	}
	if s.Tracking != Stateless && s.Idle == 0 {
		s.Idle = DefaultIdle(s.VIP.Protocol)
	}
	if s.Encapsulation == GUE && s.TunnelPort == 0 {
		s.TunnelPort = GUEPort
	}
	if s.RateLimit.limits() && s.RateLimit.Burst == 0 {
		s.RateLimit.Burst = DefaultBurst
	}
	if s.TableSize != 0 {
		return s
	}
	switch s.Scheduler {
	case Modulo:
		s.TableSize = s.Active()
	case Maglev:
		s.TableSize = DefaultTableSize(s.Tracking, s.Replicas)
	}
	return s
}

// slotsPerReplica is how many slots a replica has at least in a table of the default size, so that shares differ by 1 % at most
// (Eisenbud et al., Maglev, NSDI 2016, section 5.3).
const slotsPerReplica = 100

// DefaultTableSize returns the number of slots of a Maglev table for these replicas, whatever their states: a prime large enough
// that the one with the least weight has slotsPerReplica, DefaultMaglevSize at most. A small table costs a packet less, since
// more of it is in the caches. There are few sizes, each three times the one before, since all flows are hashed anew when it changes:
// with equal weights after 10, 31, 100 and 316 replicas. A service that records no flows would lose them then: it has
// DefaultMaglevSize always.
func DefaultTableSize(t Tracking, replicas []Replica) uint32 {
	if t == Stateless {
		return DefaultMaglevSize
	}
	var sum, least uint64
	for _, r := range replicas {
		weight := uint64(max(r.Weight, 1))
		if sum += weight; least == 0 || weight < least {
			least = weight
		}
	}
	for _, size := range []uint32{1009, 3163, 10_007, 31_627} {
		if slotsPerReplica*sum <= uint64(size)*least {
			return size
		}
	}
	return DefaultMaglevSize
}

// Clone returns a copy that shares nothing with the service.
func (s Service) Clone() Service {
	s.Replicas, s.SourceRanges = slices.Clone(s.Replicas), slices.Clone(s.SourceRanges)
	return s
}

// SameAs reports whether two services are equal.
func (s Service) SameAs(o Service) bool {
	return s.VIP == o.VIP && s.EndPort == o.EndPort && s.Scheduler == o.Scheduler && s.Mode == o.Mode && s.Hash == o.Hash &&
		s.Seed == o.Seed && s.TableSize == o.TableSize && s.Tracking == o.Tracking && s.Idle == o.Idle &&
		s.Encapsulation == o.Encapsulation && s.TunnelPort == o.TunnelPort && s.TunnelSources == o.TunnelSources &&
		s.RateLimit == o.RateLimit && sameRanges(s, o) &&
		sameReplicas(s.Replicas, o.Replicas)
}

// sameReplicas compares two lists, which are the same one where a service has not changed.
func sameReplicas(a, b []Replica) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// Slots is the number of slots of the service's table: TableSize, or 0 when there is no
// active replica to fill them with.
func (s Service) Slots() uint32 {
	for _, r := range s.Replicas {
		if r.State == Active {
			return s.TableSize
		}
	}
	return 0
}

// Active is the number of replicas that are given new flows.
func (s Service) Active() (n uint32) {
	for _, r := range s.Replicas {
		if r.State == Active {
			n++
		}
	}
	return n
}

// DefaultTracking is TrackChanges for TCP, and TrackAlways for UDP, whose packets do not tell when a flow starts.
func DefaultTracking(p packet.Protocol) Tracking {
	if p == packet.TCP {
		return TrackChanges
	}
	return TrackAlways
}

// DefaultIdle is ten minutes for TCP and two for UDP (RFC 4787, REQ-5, asks for two of a NAT).
func DefaultIdle(p packet.Protocol) time.Duration {
	if p == packet.TCP {
		return 10 * time.Minute
	}
	return 2 * time.Minute
}
