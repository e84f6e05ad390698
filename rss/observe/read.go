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

// Flows returns what was seen since the start or the last Reset, in the order of
// source and destination.
func (o *Observer) Flows() ([]Flow, error) {
	sightings, err := o.Sightings()
	if err != nil {
		return nil, err
	}
	var flows []Flow
	for _, s := range sightings {
		if len(flows) == 0 || flows[len(flows)-1].Flow != s.Flow {
			flows = append(flows, Flow{Flow: s.Flow, Queues: map[rss.Queue]uint64{}})
		}
		flows[len(flows)-1].add(s)
	}
	return flows, nil
}

func (f *Flow) add(s Sighting) {
	f.Packets += s.Packets
	f.Queues[s.Queue] += s.Packets
	f.CPUs = append(f.CPUs, s.CPUs...)
	slices.Sort(f.CPUs)
	f.CPUs = slices.Compact(f.CPUs)
}

// Sightings returns the same in more detail, in the order of source, destination, queue and hash.
func (o *Observer) Sightings() ([]Sighting, error) {
	var all []Sighting
	var k bpf.ObserveSighting
	var v bpf.ObserveSeen
	rows := o.maps.Sightings.Iterate()
	for rows.Next(&k, &v) {
		all = append(all, sighting(k, v))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read what the observer saw: %w", err)
	}
	slices.SortFunc(all, func(a, b Sighting) int {
		return cmp.Or(a.Flow.Source.Compare(b.Flow.Source), a.Flow.Destination.Compare(b.Flow.Destination),
			cmp.Compare(a.Flow.Protocol, b.Flow.Protocol), cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Hash, b.Hash))
	})
	return all, nil
}

func sighting(k bpf.ObserveSighting, v bpf.ObserveSeen) Sighting {
	s := Sighting{
		Flow: packet.Flow{
			Source:      bpf.AddrPort(k.Source, k.SourcePort),
			Destination: bpf.AddrPort(k.Destination, k.DestinationPort),
			Protocol:    packet.Protocol(k.Protocol),
		},
		Queue: rss.Queue(k.Queue), Hash: k.Hash, Hashed: k.Hashed != 0, Packets: v.Packets,
	}
	for i, word := range v.Cpus {
		for ; word != 0; word &= word - 1 {
			s.CPUs = append(s.CPUs, i*64+bits.TrailingZeros64(word))
		}
	}
	return s
}

// Reset forgets the flows seen so far. Packets that pass meanwhile are counted before or after.
func (o *Observer) Reset() error {
	var k bpf.ObserveSighting
	var v bpf.ObserveSeen
	var all []bpf.ObserveSighting
	rows := o.maps.Sightings.Iterate()
	for rows.Next(&k, &v) {
		all = append(all, k)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read what the observer saw: %w", err)
	}
	for _, k := range all {
		if err := o.maps.Sightings.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget what the observer saw: %w", err)
		}
	}
	return nil
}
