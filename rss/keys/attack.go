package keys

import (
	"encoding/binary"
	"fmt"

	"lbctl/rss"
)

// Attack is what the sender of one IPv4 address needs to put its flows to one server on one queue.
type Attack struct {
	// Fewest and Most are how many of the 65,536 source ports lead to a queue: to the one with
	// the fewest, which may be 0, and to the one with the most.
	Fewest, Most int
	// Tries is the mean number of random ports until one leads to the queue that has the most.
	Tries float64
	// Probes is the number of ports whose entries an attacker who does not know the key must learn
	// (by latency, say) to know that of every port: in a table of a power of two of entries the entry is an
	// affine function of the port. 0 in other tables.
	Probes int
}

// SourcePorts says how one client's source ports spread over the queues of a table, as an attacker
// would use it. It returns an error when the table is empty.
func SourcePorts(key rss.Key, table rss.Table) (Attack, error) {
	if len(table) == 0 {
		return Attack{}, fmt.Errorf("indirection table is empty")
	}
	first := patterns()[0]
	source, destination := first.flow(0)
	input := rss.AppendTuple(nil, source, destination)
	hash := rss.NewTables(key, len(input))
	counts := make([]int, table.Queues())
	for port := range 1 << 16 {
		binary.BigEndian.PutUint16(input[8:], uint16(port))
		counts[table.Queue(hash.Hash(input))]++
	}
	a := Attack{Fewest: 1 << 16}
	if n := len(table); n&(n-1) == 0 {
		a.Probes = 1 + indexRank(key, IPv4, rss.SourcePort, indexBits(n))
	}
	for q, share := range table.Shares() {
		if share > 0 {
			a.Fewest, a.Most = min(a.Fewest, counts[q]), max(a.Most, counts[q])
		}
	}
	a.Tries = (1 << 16) / float64(a.Most)
	return a, nil
}
