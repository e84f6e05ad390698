package nic

import (
	"fmt"
	"strconv"
	"strings"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// Unhashed is why a packet was not hashed. The zero value is that of a packet that was.
type Unhashed uint8

// The causes.
const (
	_ Unhashed = iota
	// ARP: an ARP packet.
	ARP
	// PPPoE, MPLS: an encapsulation that the NIC does not look into (Config.Inner).
	PPPoE
	MPLS
	// Tags: more VLAN tags than the NIC skips (packet.MaxVLANs).
	Tags
	// LLC: a frame of 802.3 with a length in place of an EtherType, as of spanning tree.
	LLC
	// OtherEtherType: another protocol that is not IP.
	OtherEtherType
	// Damaged: an Ethernet or IP header is too short or contradicts itself.
	Damaged
	// NoFields: the NIC is set to hash no fields of such packets.
	NoFields
	// Cut: the capture ends before what the NIC would hash. Its queue is not known.
	Cut
	unhashedCauses
)

// unhashedNames are the names that scripts rely on.
const unhashedNames = "none arp pppoe mpls vlan-tags llc other-ethertype damaged no-fields cut"

// String returns "arp", "no-fields" and so on; "none" for 0.
func (u Unhashed) String() string {
	if names := strings.Fields(unhashedNames); int(u) < len(names) {
		return names[u]
	}
	return fmt.Sprintf("unhashed-%d", uint8(u))
}

// UnhashedCauses returns all causes.
func UnhashedCauses() []Unhashed {
	all := make([]Unhashed, 0, unhashedCauses)
	for u := ARP; u < unhashedCauses; u++ {
		all = append(all, u)
	}
	return all
}

// causeOf says why a packet without IP addresses is not hashed.
func causeOf(h *packet.Headers, err error) Unhashed {
	const firstEtherType = 0x600 // IEEE 802.3
	switch {
	case err == packet.ErrCut:
		return Cut
	case h.EtherType == packet.TypeARP:
		return ARP
	case h.EtherType == packet.TypePPPoE, h.EtherType == packet.TypePPPoEDiscovery:
		return PPPoE
	case h.EtherType == packet.TypeMPLS, h.EtherType == packet.TypeMPLSMulticast:
		return MPLS
	case h.EtherType.IsVLAN():
		return Tags
	case h.EtherType < firstEtherType:
		return LLC
	}
	return OtherEtherType
}

// DefaultQueue is where a NIC puts packets without a hash. The zero value is queue 0.
type DefaultQueue struct {
	// FirstEntry is true for the queue that entry 0 of the indirection table names, as if the hash were 0. Queue
	// is ignored then.
	FirstEntry bool
	Queue      rss.Queue
}

// firstEntry is the word for it.
const firstEntry = "entry-0"

// Of returns the queue.
func (d DefaultQueue) Of(table rss.Table) rss.Queue {
	switch {
	case !d.FirstEntry:
		return d.Queue
	case len(table) == 0:
		return 0
	}
	return table[0]
}

// String returns "entry-0" or the number of the queue, as ParseDefaultQueue reads it.
func (d DefaultQueue) String() string {
	if d.FirstEntry {
		return firstEntry
	}
	return strconv.Itoa(int(d.Queue))
}

// ParseDefaultQueue reads "entry-0" or the number of a queue.
func ParseDefaultQueue(s string) (DefaultQueue, error) {
	if s == firstEntry {
		return DefaultQueue{FirstEntry: true}, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return DefaultQueue{}, fmt.Errorf("default queue %q: want the number of a queue, or %s for the queue that entry 0 of the table names", s, firstEntry)
	}
	return DefaultQueue{Queue: rss.Queue(n)}, nil
}
