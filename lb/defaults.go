package lb

import "slices"

// WithDefaults returns a copy of the service, sharing nothing with it, in which what was left
// zero has its default: TableSize is len(Replicas) for Modulo and DefaultMaglevSize for
// Maglev, a replica's weight is 1. Whoever can tell a weight of 0 from no weight
// (a configuration file) must reject it first.
func (s Service) WithDefaults() Service {
	s = s.Clone()
	for i := range s.Replicas {
		s.Replicas[i].Weight = max(s.Replicas[i].Weight, 1)
	}
	if s.TableSize != 0 {
		return s
	}
	switch s.Scheduler {
	case Modulo:
		s.TableSize = uint32(len(s.Replicas))
	case Maglev:
		s.TableSize = DefaultMaglevSize
	}
	return s
}

// Clone returns a copy that shares nothing with the service.
func (s Service) Clone() Service {
	s.Replicas = slices.Clone(s.Replicas)
	return s
}

// Slots is the number of slots that the service occupies in a datapath: TableSize, or 0
// when there is no replica to fill them with.
func (s Service) Slots() uint32 {
	if len(s.Replicas) == 0 {
		return 0
	}
	return s.TableSize
}
