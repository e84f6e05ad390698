package keys

import (
	"fmt"
	"net/netip"

	"lbctl/rss"
	"lbctl/rss/balance"
)

// byChance is the level of the bound that an imbalance is compared with: random hashes exceed it
// in one of a hundred cases.
const byChance = 0.99

// Traffic is how a key spreads one kind of structured traffic.
type Traffic struct {
	Name  string
	Flows int
	// Hashes is the number of different hashes, at most Flows.
	Hashes int
	// Entries is the number of entries of the indirection table that were hit.
	Entries int
	// Queues is the number of queues that were hit.
	Queues int
	// AllAfter is the number of flows, in their order, after which every queue that has an entry had a flow; 0
	// when one of them never had.
	AllAfter int
	// Imbalance is balance.Imbalance by the table's shares. Random hashes exceed Bound in one of a
	// hundred cases.
	Imbalance, Bound float64
}

// pattern is a kind of traffic: its flows by number.
type pattern struct {
	name  string
	flows int
	flow  func(i int) (source, destination netip.AddrPort)
}

// patterns use the addresses that RFC 5737 and RFC 3849 reserve for documentation. Linux takes ephemeral
// ports from 32768 to 60999, and connect(2) takes every other one.
func patterns() []pattern {
	server, client := netip.MustParseAddrPort("192.0.2.1:443"), netip.MustParseAddr("198.51.100.7")
	server6, client6 := netip.MustParseAddrPort("[2001:db8::1]:443"), netip.MustParseAddr("2001:db8:1::7")
	ports := func(c netip.Addr, s netip.AddrPort, first, step int) func(int) (netip.AddrPort, netip.AddrPort) {
		return func(i int) (netip.AddrPort, netip.AddrPort) {
			return netip.AddrPortFrom(c, uint16(first+step*i)), s
		}
	}
	return []pattern{
		{"ipv4 client, consecutive ports", 28232, ports(client, server, 32768, 1)},
		{"ipv4 client, every other port", 14116, ports(client, server, 32768, 2)},
		{"ipv4 /24 of clients, one port", 256, func(i int) (netip.AddrPort, netip.AddrPort) {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 40000), server
		}},
		{"ipv4 NAT gateway, all its ports", 64512, ports(client, server, 1024, 1)},
		{"ipv6 client, consecutive ports", 28232, ports(client6, server6, 32768, 1)},
		{"ipv6 /120 of clients, one port", 256, func(i int) (netip.AddrPort, netip.AddrPort) {
			a := client6.As16()
			a[15] = byte(i)
			return netip.AddrPortFrom(netip.AddrFrom16(a), 40000), server6
		}},
	}
}

// Spread returns how a key spreads each pattern of traffic over a table, such as one client with
// consecutive ports, a network of clients, a NAT gateway. It returns an error when the table is empty.
func Spread(key rss.Key, table rss.Table) ([]Traffic, error) {
	if len(table) == 0 {
		return nil, fmt.Errorf("indirection table is empty")
	}
	hash := rss.NewBatch(key)
	var all []Traffic
	for _, p := range patterns() {
		t, err := p.spread(hash, table)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func (p pattern) spread(hash *rss.Batch, table rss.Table) (Traffic, error) {
	t := Traffic{Name: p.name, Flows: p.flows}
	different, entries := make(map[uint32]bool, p.flows), make([]bool, len(table))
	shares := table.Shares()
	counts, served := make([]int, len(shares)), 0
	for _, s := range shares {
		if s > 0 {
			served++
		}
	}
	for i, h := range p.hashes(hash) {
		different[h] = true
		if e := table.Index(h); !entries[e] {
			entries[e] = true
			t.Entries++
		}
		q := table.Queue(h)
		if counts[q]++; counts[q] == 1 {
			if t.Queues++; t.Queues == served {
				t.AllAfter = i + 1
			}
		}
	}
	t.Hashes = len(different)
	var err error
	if t.Imbalance, err = balance.Imbalance(counts, shares); err != nil {
		return Traffic{}, err
	}
	t.Bound, err = balance.ImbalanceBound(p.flows, shares, byChance)
	return t, err
}

// hashes returns the hashes of all flows.
func (p pattern) hashes(hash *rss.Batch) []uint32 {
	hashes := make([]uint32, p.flows)
	hash.HashFlows(hashes, p.flow)
	return hashes
}
