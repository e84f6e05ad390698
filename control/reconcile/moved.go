package reconcile

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/lb/scheduler"
)

// Moved says how many of parts equal parts of the hash values have another owner in next than
// in old, which may have none: the exact share of new flows that go elsewhere.
//
// Tables of m and n slots under one hash look at it modulo m and modulo n. Slot i of one and
// slot j of the other have values in common if and only if i and j agree modulo
// gcd(m, n), and then one in lcm(m, n): so parts are lcm(m, n), which is the number of slots
// if that stays. Under two hashes, which have nothing to do with each other, any
// two slots do, and parts are m*n.
func Moved(old, next lb.Service) (moved, parts uint64) {
	before, after := owners(old), owners(next)
	m, n := uint64(len(before)), uint64(len(after))
	classes := gcd(m, n)
	if !sameHash(old, next) {
		classes = 1
	}
	type place struct {
		class uint64
		owner netip.AddrPort
	}
	// The slots of the old table by their class and owner; those of the new one meet them.
	had := make(map[place]uint64, len(before))
	for i, owner := range before {
		had[place{uint64(i) % classes, owner}]++
	}
	var kept uint64
	for j, owner := range after {
		kept += had[place{uint64(j) % classes, owner}]
	}
	parts = m * n / classes
	return parts - kept, parts
}

// owners returns the owner of every slot: of a service without a table, one slot of nobody's.
func owners(s lb.Service) []netip.AddrPort {
	table := []netip.AddrPort{}
	if s.Active() > 0 {
		for _, i := range scheduler.Build(s) {
			table = append(table, s.Replicas[i].Address)
		}
	}
	if len(table) == 0 {
		return make([]netip.AddrPort, 1)
	}
	return table
}

// sameHash tells whether two services hash a flow alike.
func sameHash(a, b lb.Service) bool {
	return a.Hash == b.Hash && (a.Seed == b.Seed || a.Hash != lb.JHash)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
