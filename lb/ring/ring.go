// Package ring makes slot tables: which replica of a service a slot belongs to.
//
// A flow with hash h goes to the replica of slot h mod TableSize. Modulo has one
// slot a replica. Maglev has many, and keeps most of them with their owner when
// a replica comes or goes.
package ring

import (
	"fmt"

	"lbctl/lb"
)

// Build returns the table of a valid service: for each of its TableSize slots an index into
// s.Replicas. It is nil when there are no replicas. The same service always gives
// the same table, on every machine. It panics on a table size or scheduler that
// lb.Service.Validate rejects.
func Build(s lb.Service) []uint32 {
	if len(s.Replicas) == 0 {
		return nil
	}
	switch s.Scheduler {
	case lb.Modulo:
		return modulo(len(s.Replicas))
	case lb.Maglev:
		return maglev(s.Replicas, s.TableSize)
	}
	panic(fmt.Sprintf("ring: %v", s.Scheduler))
}

// modulo returns the table in which slot i belongs to replica i.
func modulo(n int) []uint32 {
	table := make([]uint32, n)
	for i := range table {
		table[i] = uint32(i)
	}
	return table
}
