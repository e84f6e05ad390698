package observe

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"lbctl/bpf"
	"lbctl/rss"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
)

// Totals say what became of the packets that passed an observer. Their sum is all of them.
type Totals struct {
	// Recorded were counted under their flow.
	Recorded uint64
	// NoFlow were neither TCP nor UDP in plain IPv4 or IPv6: fragments, options,
	// extension headers, VLAN tags, other protocols.
	NoFlow uint64
	// TableFull were of a flow for which there was no room.
	TableFull uint64
}

// Flows returns what was seen since the start or the last Reset, in the order of
// source and destination.
func (o *Observer) Flows() ([]Flow, error) {
	flows := map[packet.Flow]*Flow{}
	var k bpf.ObserveSighting
	var v bpf.ObserveSeen
	rows := o.objects.Sightings.Iterate()
	for rows.Next(&k, &v) {
		id := packet.Flow{
			Source:      bpf.AddrPort(k.Source, k.SourcePort),
			Destination: bpf.AddrPort(k.Destination, k.DestinationPort),
			Protocol:    packet.Protocol(k.Protocol),
		}
		f := flows[id]
		if f == nil {
			f = &Flow{Flow: id, Queues: map[rss.Queue]uint64{}}
			flows[id] = f
		}
		f.add(rss.Queue(k.Queue), v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read what the observer saw: %w", err)
	}
	return sorted(flows), nil
}

func (f *Flow) add(q rss.Queue, seen bpf.ObserveSeen) {
	f.Packets += seen.Packets
	f.Queues[q] += seen.Packets
	for i, word := range seen.Cpus {
		for ; word != 0; word &= word - 1 {
			f.CPUs = append(f.CPUs, i*64+bits.TrailingZeros64(word))
		}
	}
	slices.Sort(f.CPUs)
	f.CPUs = slices.Compact(f.CPUs)
}

func sorted(flows map[packet.Flow]*Flow) []Flow {
	all := make([]Flow, 0, len(flows))
	for _, f := range flows {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b Flow) int {
		return cmp.Or(a.Flow.Source.Compare(b.Flow.Source), a.Flow.Destination.Compare(b.Flow.Destination),
			cmp.Compare(a.Flow.Protocol, b.Flow.Protocol))
	})
	return all
}

// Totals returns what was counted since the observer started; Reset does not touch it.
func (o *Observer) Totals() (Totals, error) {
	var t Totals
	for sight, n := range map[bpf.ObserveSight]*uint64{
		bpf.ObserveSightSIGHT_RECORDED:   &t.Recorded,
		bpf.ObserveSightSIGHT_NO_FLOW:    &t.NoFlow,
		bpf.ObserveSightSIGHT_TABLE_FULL: &t.TableFull,
	} {
		var perCPU []uint64
		if err := o.objects.Sights.Lookup(uint32(sight), &perCPU); err != nil {
			return Totals{}, fmt.Errorf("read the observer's totals: %w", err)
		}
		for _, packets := range perCPU {
			*n += packets
		}
	}
	return t, nil
}

// Reset forgets the flows seen so far. Packets that pass meanwhile are counted before or after.
func (o *Observer) Reset() error {
	var k bpf.ObserveSighting
	var v bpf.ObserveSeen
	var all []bpf.ObserveSighting
	rows := o.objects.Sightings.Iterate()
	for rows.Next(&k, &v) {
		all = append(all, k)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read what the observer saw: %w", err)
	}
	for _, k := range all {
		if err := o.objects.Sightings.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget what the observer saw: %w", err)
		}
	}
	return nil
}
