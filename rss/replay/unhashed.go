package replay

import (
	"cmp"
	"fmt"
	"slices"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// Unhashed is the load that one cause left without a hash.
type Unhashed struct {
	// Cause is one of nic.UnhashedCauses.
	Cause string `json:"cause"`
	Load
	// Example is the flow of the first such packet, or for other-ethertype its EtherType.
	Example string `json:"example,omitempty"`
}

// tallies are the packets without a hash, by cause.
type tallies [nic.Cut]struct {
	Load
	example string
}

// all returns their sum.
func (t *tallies) all() (sum Load) {
	for _, u := range t {
		sum.Packets, sum.Bytes, sum.Flows = sum.Packets+u.Packets, sum.Bytes+u.Bytes, sum.Flows+u.Flows
	}
	return sum
}

// add counts a packet.
func (t *tallies) add(why nic.Unhashed, bytes uint64, h *packet.Headers) {
	u := &t[why]
	u.Load.add(bytes)
	switch {
	case u.Packets > 1:
	case h.Flow.Source.IsValid():
		u.example = h.Flow.String()
	case why == nic.OtherEtherType:
		u.example = h.EtherType.String()
	}
}

// report lists the causes, the most frequent first.
func (t *tallies) report() []Unhashed {
	list := []Unhashed{}
	for why, u := range t {
		if u.Packets > 0 {
			list = append(list, Unhashed{nic.Unhashed(why).String(), u.Load, u.example})
		}
	}
	slices.SortStableFunc(list, func(a, b Unhashed) int { return cmp.Compare(b.Packets, a.Packets) })
	return list
}

// predicts tells whether enough of a packet was captured for its queue in every setup. It classifies the packet for the
// other setups.
func (r *Replay) predicts(frame []byte, h *packet.Headers, err error, first *nic.Result) bool {
	predicted := first.Unhashed != nic.Cut
	for i := range r.others {
		o := &r.others[i]
		o.result = o.NIC.ClassifyHeaders(frame, h, err)
		predicted = predicted && o.result.Unhashed != nic.Cut
	}
	return predicted
}

// fixed returns the load of the packets without a hash on the queues, which no table can move; unless it goes with entry 0.
func fixed(unhashed uint64, to nic.DefaultQueue, queues int) []uint64 {
	loads := make([]uint64, max(queues, int(to.Queue)+1))
	if !to.FirstEntry {
		loads[to.Queue] = unhashed
	}
	return loads
}

// destination says where packets without a hash go.
func destination(to nic.DefaultQueue, table rss.Table) string {
	if to.FirstEntry {
		return fmt.Sprintf("queue %d, which entry 0 of the table names", to.Of(table))
	}
	return fmt.Sprintf("queue %d", to.Queue)
}
