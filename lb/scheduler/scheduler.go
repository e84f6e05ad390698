// Package scheduler makes slot tables: which replica of a service a slot belongs to.
//
// A flow with hash h goes to the replica of slot h mod TableSize. Modulo has one
// slot a replica. Maglev has many, and keeps most of them with their owner when
// a replica comes or goes.
package scheduler

import (
	"fmt"

	"lbctl/lb"
)

// Build returns the table of a valid service: for each of its TableSize slots an index into
// s.Replicas, of one that is active. It is nil when none is. The same service always gives
// the same table, on every machine. It panics on a table size or scheduler that
// lb.Service.Validate rejects.
func Build(s lb.Service) []uint32 {
	var active []lb.Replica
	var indexes []uint32
	for i, r := range s.Replicas {
		if r.State == lb.Active {
			active, indexes = append(active, r), append(indexes, uint32(i))
		}
	}
	if len(active) == 0 {
		return nil
	}
	table := build(s, active)
	for slot, n := range table {
		table[slot] = indexes[n]
	}
	return table
}

// build makes the table of replicas that are all active.
func build(s lb.Service, active []lb.Replica) []uint32 {
	switch s.Scheduler {
	case lb.Modulo:
		return modulo(len(active))
	case lb.Maglev:
		return maglev(active, s.TableSize)
	}
	panic(fmt.Sprintf("scheduler: %v", s.Scheduler))
}

// modulo returns the table in which slot i belongs to replica i.
func modulo(n int) []uint32 {
	table := make([]uint32, n)
	for i := range table {
		table[i] = uint32(i)
	}
	return table
}
